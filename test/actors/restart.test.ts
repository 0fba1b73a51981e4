import { describe, expect, test } from "vitest";
import { type CurrentCall, describeCall } from "../../src/actors/machine-calls.ts";
import { RestartPolicy } from "../../src/actors/restart.ts";
import type { RaftError } from "../../src/raft/errors.ts";

const OPTIONS = { intensity: 3, periodMs: 1_000, backoffMs: [10, 100] } as const;

/** The delay until the restart, or the error when the peer was given up. @param index that was applied, 0 for none. */
function exit(policy: RestartPolicy, now: number, index?: number): number | RaftError {
  return exitIn(policy, now, index === undefined ? undefined : { call: index === 0 ? "none" : "apply", index });
}

function exitIn(policy: RestartPolicy, now: number, call: CurrentCall | undefined): number | RaftError {
  const decision = policy.onExit(now, call);
  return decision.action === "restart" ? decision.delayMs : decision.error;
}

describe("the intensity", () => {
  test("allows so many exits within the period, and gives up at one more", () => {
    const policy = new RestartPolicy("p1", OPTIONS);
    for (const now of [0, 100, 200]) expect(exit(policy, now)).toBeTypeOf("number");
    expect(exit(policy, 1_000)).toMatchObject({
      code: "ERR_GIVEN_UP",
      outcome: "not-applied",
      message: expect.stringMatching(/"p1".* died 4 times within 1000 ms, and no more than 3/),
    });
  });

  test("forgets exits that are longer ago than the period", () => {
    const policy = new RestartPolicy("p1", OPTIONS);
    for (let now = 0; now < 20_000; now += 334) expect(exit(policy, now)).toBeTypeOf("number");
  });

  test("of 0 gives up at the first exit", () => {
    const policy = new RestartPolicy("p1", { ...OPTIONS, intensity: 0 });
    expect(exit(policy, 5)).toMatchObject({ code: "ERR_GIVEN_UP" });
  });

  test("counts exits that were asked for", () => {
    const policy = new RestartPolicy("p1", OPTIONS);
    exit(policy, 0);
    exit(policy, 1, 7);
    exit(policy, 2);
    expect(exit(policy, 3)).toMatchObject({ code: "ERR_GIVEN_UP" });
  });
});

describe("the backoff", () => {
  const patient = { ...OPTIONS, intensity: 100 };

  test("doubles up to its limit", () => {
    const policy = new RestartPolicy("p1", patient);
    expect([0, 100, 200, 300, 400, 500].map((now) => exit(policy, now))).toEqual([10, 20, 40, 80, 100, 100]);
  });

  test("starts anew when the peer stayed up for a period", () => {
    const policy = new RestartPolicy("p1", patient);
    exit(policy, 0);
    expect(exit(policy, 100)).toBe(20);
    // It was up from 120 on.
    expect(exit(policy, 1_119)).toBe(40);
    expect(exit(policy, 1_159 + 1_000)).toBe(10);
  });

  test("is the first one at the first exit, whenever that is", () => {
    expect(exit(new RestartPolicy("p1", patient), 0)).toBe(10);
    expect(exit(new RestartPolicy("p1", patient), 1e12)).toBe(10);
  });
});

describe("an exit that is not the peer's fault", () => {
  test("waits longer each time, and is never one too many", () => {
    const policy = new RestartPolicy("p1", { ...OPTIONS, intensity: 0 });
    expect([0, 100, 200, 300, 400, 500].map((now) => policy.delayMs(now))).toEqual([10, 20, 40, 80, 100, 100]);
    expect(exit(policy, 600)).toMatchObject({ code: "ERR_GIVEN_UP" });
  });
});

describe("a command that kills", () => {
  const patient = { ...OPTIONS, intensity: 100 };

  test("is named when the peer died of it three times in a row", () => {
    const policy = new RestartPolicy("p1", patient);
    expect(exit(policy, 0, 17)).toBe(10);
    expect(exit(policy, 5_000, 17)).toBe(10);
    expect(exit(policy, 10_000, 17)).toMatchObject({
      code: "ERR_GIVEN_UP",
      message: expect.stringContaining("the entry at index 17"),
    });
  });

  test("is named even when the intensity is used up by the same exit", () => {
    const policy = new RestartPolicy("p1", { ...OPTIONS, intensity: 2 });
    exit(policy, 0, 17);
    exit(policy, 1, 17);
    expect(exit(policy, 2, 17)).toMatchObject({ message: expect.stringContaining("index 17") });
  });

  test("is not blamed when the peer died elsewhere in between", () => {
    const policy = new RestartPolicy("p1", patient);
    for (const index of [17, 17, 18, 17, 17, 0, 17, 17]) expect(exit(policy, 0, index)).toBeTypeOf("number");
  });

  test("is found although somebody crashed the peer in between", () => {
    const policy = new RestartPolicy("p1", patient);
    for (const index of [17, undefined, 17, undefined]) expect(exit(policy, 0, index)).toBeTypeOf("number");
    expect(exit(policy, 0, 17)).toMatchObject({ message: expect.stringContaining("index 17") });
  });

  test("is not suspected when no command was being applied", () => {
    const policy = new RestartPolicy("p1", patient);
    for (const index of [0, 0, 0, 0, undefined, undefined, undefined, undefined]) {
      expect(exit(policy, 0, index)).toBeTypeOf("number");
    }
  });

  test("is not the only one that is named: so is a snapshot, of whatever entry, or its restoration", () => {
    for (const call of ["load", "snapshot", "restore"] as const) {
      const policy = new RestartPolicy("p1", patient);
      expect(exitIn(policy, 0, { call, index: 1 })).toBeTypeOf("number");
      expect(exitIn(policy, 0, { call, index: 2 })).toBeTypeOf("number");
      expect(exitIn(policy, 0, { call, index: 3 })).toMatchObject({
        code: "ERR_GIVEN_UP",
        message: expect.stringContaining(describeCall({ call, index: 3 })),
      });
    }
  });

  test("is found although the peer died of queries in between, which are nobody's fault but the asker's", () => {
    const policy = new RestartPolicy("p1", patient);
    for (let time = 0; time < 5; time++) {
      expect(exitIn(policy, 0, { call: "query", index: 17 })).toBeTypeOf("number");
    }
    for (const index of [17, 17]) {
      expect(exit(policy, 0, index)).toBeTypeOf("number");
      expect(exitIn(policy, 0, { call: "query", index })).toBeTypeOf("number");
    }
    expect(exit(policy, 0, 17)).toMatchObject({ message: expect.stringContaining("index 17") });
  });
});
