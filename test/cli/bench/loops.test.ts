import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Latencies, together } from "../../../src/cli/bench/latencies.ts";
import { closedLoop, closedLoopMicros, failureNotes, openLoop, openLoopMicros } from "../../../src/cli/bench/loops.ts";
import { startSpan } from "../../../src/cli/bench/meter.ts";

const { signal } = new AbortController();

describe("latencies", () => {
  test("keep three digits from nanoseconds to minutes", () => {
    const latencies = new Latencies();
    for (const ms of [0.0005, 0.25, 17, 90_000]) latencies.record(ms);
    const [first, second, third, last] = [0.25, 0.5, 0.75, 1].map((part) => latencies.quantile(part));
    expect(first).toBeCloseTo(0.0005, 5);
    expect(second).toBeCloseTo(0.25, 3);
    expect(third).toBeCloseTo(17, 1);
    expect(last).toBeGreaterThan(89_900);
    expect(last).toBeLessThan(90_100);
  });

  test("of several runs are one distribution, whose values ascend", () => {
    const runs = [new Latencies(), new Latencies()];
    for (let at = 1; at <= 1_000; at++) runs[at % 2]?.record(at);
    const { count, quantiles } = together(runs);
    expect(count).toBe(1_000);
    const values = quantiles.map(([, value]) => value);
    expect(values).toEqual([...values].sort((a, b) => a - b));
    expect(quantiles.find(([part]) => part === 0.5)?.[1]).toBeCloseTo(500, -1);
  });

  test("that are none have no quantiles", () => {
    expect(new Latencies().quantile(0.5)).toBeNaN();
    expect(together([])).toEqual({ unit: "ms", count: 0, quantiles: [] });
  });
});

describe("the closed loop", () => {
  test("has as many calls outstanding as it has clients, each with rounds of its own", async () => {
    const active = new Map<number, number>();
    let most = 0;
    const call = async (client: number, round: number) => {
      expect(active.has(client)).toBe(false);
      active.set(client, round);
      most = Math.max(most, active.size);
      await sleep(1);
      active.delete(client);
    };
    const { done, failures } = await closedLoop(call, { outstanding: 5, seconds: 0.1, warmUpSeconds: 0.1, signal });
    expect(most).toBe(5);
    expect(failures).toBe(0);
    expect(done).toBeGreaterThan(0);
    expect(active.size).toBe(0);
  });

  test("counts what fails apart", async () => {
    const call = () => Promise.reject(new Error("no"));
    const run = await closedLoop(call, { outstanding: 1, seconds: 0.1, warmUpSeconds: 0.1, signal });
    expect(run.done).toBe(0);
    expect(run.latencies.count).toBe(0);
    expect(run.failures).toBeGreaterThan(0);
    expect(failureNotes([{ failure: undefined }, run])).toEqual([expect.stringContaining("Error: no")]);
    expect(failureNotes([{}])).toEqual([]);
  });

  test("ends when it is told to", async () => {
    const controller = new AbortController();
    const loop = closedLoop(() => sleep(1), {
      outstanding: 1,
      seconds: 60,
      warmUpSeconds: 60,
      signal: controller.signal,
    });
    controller.abort();
    await expect(loop).rejects.toThrow("abort");
  });
});

describe("the open loop", () => {
  test("counts from when a call was due: what waits behind a stall is not left out", async () => {
    // All answers wait for the end of a stall, as those of a server that stands still do.
    const stallEnds = performance.now() + 400;
    const call = () => sleep(Math.max(0, stallEnds - performance.now()));
    const { latencies } = await openLoop(call, { rate: 1_000, seconds: 0.3, warmUpSeconds: 0, signal });
    // A loop that waited for its answers would have seen one call.
    expect(latencies.count).toBeGreaterThanOrEqual(299);
    expect(latencies.quantile(1)).toBeGreaterThan(300);
    expect(latencies.quantile(0.5)).toBeGreaterThan(150);
  });

  test("tells apart what was due in one phase and in the next, and together they are all", async () => {
    let delayMs = 50;
    const during = async (nextPhase: () => void) => {
      await sleep(200);
      nextPhase();
      delayMs = 0;
      await sleep(100);
    };
    const run = await openLoop(() => sleep(delayMs), { rate: 500, seconds: 9, warmUpSeconds: 0, during, signal });
    const [slow, quick, ...others] = run.phases;
    expect(others).toEqual([]);
    expect(slow?.latencies.count).toBeGreaterThanOrEqual(99);
    expect(slow?.latencies.quantile(0)).toBeGreaterThanOrEqual(49);
    expect(quick?.latencies.count).toBeGreaterThanOrEqual(49);
    expect(quick?.latencies.quantile(0)).toBeLessThan(49);
    expect(run.latencies.count).toBe((slow?.latencies.count ?? 0) + (quick?.latencies.count ?? 0));
    expect(run.lateness.count).toBe(run.latencies.count);
  });

  test("counts as failures those that fail long after they were due, too", async () => {
    const call = () => sleep(400).then(() => Promise.reject(new Error("no")));
    const run = await openLoop(call, { rate: 100, seconds: 0.2, warmUpSeconds: 0, signal });
    expect(run.latencies.count).toBe(0);
    expect(run.failures).toBeGreaterThanOrEqual(19);
    expect(run.failures).toBe(run.lateness.count);
    expect(run.failure).toBe("Error: no");
  });

  test("hears answers between the calls that it makes up for behind a stall", async () => {
    let made = 0;
    let mostBetween = 0;
    let isToStall = false;
    const call = async () => {
      // The loop's own thread stands still for long, once.
      for (const end = performance.now() + 200; isToStall && performance.now() < end; );
      isToStall = false;
      const number = ++made;
      await new Promise((resolve) => setImmediate(resolve));
      // At the end all that is still due is made at once.
      if (number < 20_000) mostBetween = Math.max(mostBetween, made - number);
    };
    // Not before: where the time that counts begins, all that is due is made at once, too.
    const onBegin = () => {
      isToStall = true;
    };
    await openLoop(call, { rate: 50_000, seconds: 1, warmUpSeconds: 0, onBegin, signal });
    expect(made).toBeGreaterThanOrEqual(49_999);
    // 10,000 were due when it went on.
    expect(mostBetween).toBeLessThan(10_000);
  });

  test("calls as often as it was told, however late a timer is", async () => {
    const { latencies, lateness, failures } = await openLoop(async () => {}, {
      rate: 2_000,
      seconds: 0.3,
      warmUpSeconds: 0,
      signal,
    });
    expect(failures).toBe(0);
    expect(latencies.count).toBeGreaterThanOrEqual(599);
    expect(lateness.count).toBe(latencies.count);
  });
});

test.each([
  ["closed", closedLoopMicros],
  ["open", openLoopMicros],
])("the own cost of the %s loop is measured without a load", async (_name, measure) => {
  const micros = await measure(64, signal);
  expect(micros).toBeGreaterThan(0);
  expect(Number.isFinite(micros)).toBe(true);
});

test("a span tells what the thread used that measures, and not what others did", async () => {
  const stop = startSpan();
  const end = performance.now() + 60_000;
  let burnt = process.cpuUsage();
  // Until this thread has used some CPU, whatever else the machine does.
  while (performance.now() < end) {
    burnt = process.cpuUsage(burnt);
    if (stop().cpuSeconds > 0.05) break;
  }
  const span = stop();
  const idle = startSpan();
  await sleep(20);
  expect(span.cpuSeconds).toBeGreaterThan(0.05);
  if (process.platform !== "linux") return;
  expect(span.clientCpuSeconds).toBeGreaterThan(0.02);
  expect(span.clientCpuSeconds).toBeLessThanOrEqual(span.cpuSeconds * 1.1);
  expect(idle().clientCpuSeconds).toBeLessThan(span.clientCpuSeconds ?? 0);
});
