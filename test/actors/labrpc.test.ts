import { describe, expect, test } from "vitest";
import { checkLabrpcProfile, type LabrpcProfile, labrpcFailureMs, labrpcPlan } from "../../src/actors/labrpc.ts";
import { seededRandom } from "../../src/raft/random.ts";

const DRAWS = 60_000;

/** A source that gives these numbers and then no more. */
function numbers(...values: number[]) {
  return () => {
    const value = values.shift();
    if (value === undefined) throw new Error("drew more often than expected");
    return value;
  };
}

function draw(kind: "request" | "reply", profile: LabrpcProfile) {
  const random = seededRandom(7);
  const plans = Array.from({ length: DRAWS }, () => labrpcPlan(kind, random, profile));
  return {
    dropped: plans.filter(({ drop }) => drop).length / DRAWS,
    late: plans.filter(({ delayMs }) => delayMs > 0).length / DRAWS,
    delays: plans.filter(({ drop }) => !drop).map(({ delayMs }) => delayMs),
  };
}

describe("a reliable network", () => {
  test("passes everything on at once and draws nothing", () => {
    const profile = { longDelays: true };
    expect(labrpcPlan("request", numbers(), profile)).toEqual({ delayMs: 0, drop: false });
    expect(labrpcPlan("reply", numbers(), profile)).toEqual({ delayMs: 0, drop: false });
  });

  test("never delays a request, even with long reordering", () => {
    expect(labrpcPlan("request", numbers(), { longReordering: true })).toEqual({ delayMs: 0, drop: false });
  });
});

describe("an unreliable network", () => {
  test("delays requests by 0 to 26 whole milliseconds and drops one in ten", () => {
    const { dropped, delays } = draw("request", { unreliable: true });
    expect(new Set(delays)).toEqual(new Set(Array.from({ length: 27 }, (_, delay) => delay)));
    expect(dropped).toBeCloseTo(0.1, 2);
  });

  test("drops a request only after its delay", () => {
    expect(labrpcPlan("request", numbers(0.999, 0.0999), { unreliable: true })).toEqual({ delayMs: 26, drop: true });
    expect(labrpcPlan("request", numbers(0, 0.1), { unreliable: true })).toEqual({ delayMs: 0, drop: false });
  });

  test("drops one reply in ten, at once, and delays none", () => {
    const { dropped, late } = draw("reply", { unreliable: true });
    expect(dropped).toBeCloseTo(0.1, 2);
    expect(late).toBe(0);
  });
});

describe("long reordering", () => {
  test("delays two of three replies by 200 to 2199 ms, 700 in the mean", () => {
    const { late, delays } = draw("reply", { longReordering: true });
    expect(late).toBeCloseTo(2 / 3, 2);
    const long = delays.filter((delay) => delay > 0);
    expect(Math.min(...long)).toBe(200);
    expect(Math.max(...long)).toBeLessThanOrEqual(2_199);
    expect(Math.max(...long)).toBeGreaterThan(2_000);
    expect(long.reduce((sum, delay) => sum + delay, 0) / long.length / 700).toBeCloseTo(1, 1);
  });

  test("concerns the replies that an unreliable network has not dropped", () => {
    const { dropped, late } = draw("reply", { unreliable: true, longReordering: true });
    expect(dropped).toBeCloseTo(0.1, 2);
    expect(late).toBeCloseTo(0.9 * (2 / 3), 2);
  });

  test("reaches its bounds", () => {
    const profile = { longReordering: true };
    expect(labrpcPlan("reply", numbers(0.6666, 0, 0.9), profile)).toEqual({ delayMs: 200, drop: false });
    expect(labrpcPlan("reply", numbers(0.6666, 0.99999, 0.99999), profile)).toEqual({ delayMs: 2_199, drop: false });
    expect(labrpcPlan("reply", numbers(0.6667), profile)).toEqual({ delayMs: 0, drop: false });
  });
});

test("a call that reaches nobody fails after up to 100 ms, or 7 s with long delays", () => {
  expect(labrpcFailureMs(numbers(0), {})).toBe(0);
  expect(labrpcFailureMs(numbers(0.9999), {})).toBe(99);
  expect(labrpcFailureMs(numbers(0.99999), { longDelays: true })).toBe(6_999);
});

test("a misspelt option of the profile is an error that names it", () => {
  expect(() => checkLabrpcProfile({ longDelay: true } as LabrpcProfile)).toThrow('named "longDelay"');
  expect(() => checkLabrpcProfile({ unreliable: 1 } as unknown as LabrpcProfile)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining("got 1") }),
  );
});
