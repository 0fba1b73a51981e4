import { describe, expect, it } from "vitest";
import { KeyValueMap } from "../../../src/machine/key-value.ts";
import { RaftError } from "../../../src/raft/errors.ts";
import { investigate } from "../../../src/testing/simulator/investigate.ts";
import { drawPlan } from "../../../src/testing/simulator/plan.ts";
import { runPlan } from "../../../src/testing/simulator/run.ts";
import { type SimulateOptions, simulate } from "../../../src/testing/simulator/simulate.ts";

const DURABLE_TALLY = new URL("./fixtures/durable-tally.ts", import.meta.url);
const TALLY = new URL("./fixtures/tally.ts", import.meta.url);

/** Seeds that are others each day; the message of a failure says which. */
const TODAY = Math.floor(Date.now() / 86_400_000) * 10_000;

async function errorOf(options: SimulateOptions): Promise<RaftError> {
  const error: unknown = await simulate(options).catch((thrown: unknown) => thrown);
  if (error instanceof RaftError) return error;
  throw new Error("expected a RaftError", { cause: error });
}

async function failureOf(flaw: string): Promise<string> {
  const machine = { module: TALLY, options: { flaw } };
  const report = await simulate({ machine, seeds: [1, 40], forMs: 20_000, threads: 0, shrink: false });
  return report.failures[0]?.result.violation?.check ?? "nothing";
}

describe("simulate", { timeout: 300_000 }, () => {
  it.each([
    // Many short ones are more different from each other than few long ones; but some things take their time.
    { name: "always the same seeds", first: 1, count: 100, forMs: 3_000 },
    { name: `seeds of this day, from ${TODAY} on`, first: TODAY, count: 180, forMs: 3_000 },
    { name: `longer ones of this day, from ${TODAY + 1_000} on`, first: TODAY + 1_000, count: 40, forMs: 8_000 },
  ])("finds nothing wrong with $name", async ({ first, count, forMs }) => {
    const report = await simulate({ seeds: [first, first + count - 1], forMs, shrink: false });
    expect(report.failures.map(({ replay, result }) => ({ replay, violation: result.violation }))).toEqual([]);
    expect(report.seeds).toBe(count);
    expect(report.seconds).toBeGreaterThan((count * forMs) / 1_000);
  });

  it("finds nothing that the reference does not permit, with machines of both kinds", async () => {
    expect(new Set([8, 9, 10, 11, 12, 13, 14].map((seed) => drawPlan(seed, { forMs: 1_000 }).durable)).size).toBe(2);
    const report = await simulate({ seeds: [8, 14], forMs: 5_000, conformance: true, shrink: false });
    expect(report.failures.map(({ replay, result }) => ({ replay, violation: result.violation }))).toEqual([]);
  });

  it("finds nothing wrong with a sound machine of one's own", async () => {
    const report = await simulate({ machine: TALLY, seeds: [1, 10], forMs: 10_000, threads: 0 });
    expect(report.failures).toEqual([]);
  });

  it("finds nothing wrong with a sound durable machine, and finds one out that keeps in a field what its results depend on", async () => {
    const options = { seeds: [1, 15], forMs: 10_000, threads: 0, shrink: false } as const;
    expect((await simulate({ ...options, machine: DURABLE_TALLY })).failures).toEqual([]);
    const flawed = await simulate({ ...options, machine: { module: DURABLE_TALLY, options: { flaw: true } } });
    expect(flawed.failures[0]?.result.violation?.check).toBe("equal results");
  });

  it.each([
    ["reads the clock", "clock", "equal results"],
    ["draws random numbers", "random", "equal results"],
    ["shares state between its instances", "shared", "equal results"],
    ["leaves something out of its snapshots", "lean snapshot", "equal results"],
    ["changes a snapshot that was taken", "live snapshot", "equal results"],
  ])("finds out a machine that %s", async (_, flaw, check) => {
    expect(await failureOf(flaw)).toBe(check);
  });

  it("says how a failure is played again, and a reduced one fails in the same way", async () => {
    const machine = { module: TALLY, options: { flaw: "lean snapshot" } };
    const options = { machine, forMs: 8_000, threads: 0 };
    // The first two keep what a plan for a shorter time has not, or has in another place.
    for (const seed of [7, 34, 4]) {
      const [failure] = (await simulate({ ...options, seeds: [seed, seed] })).failures;
      if (failure === undefined) throw new Error(`expected seed ${seed} to fail`);
      const { reduction, result, replay, trace } = failure;
      const { keep, quiet, untilMs } = reduction;
      const parts = [
        `--seeds ${seed}..${seed}`,
        "--for 8000ms",
        `--keep ${keep}`,
        quiet && "--quiet",
        `--until ${untilMs}ms`,
      ];
      expect(replay).toBe(parts.filter(Boolean).join(" "));
      expect(trace.join("\n")).toContain(result.violation?.message);
      const again = await simulate({ ...options, seeds: [seed, seed], reduction });
      expect(again.failures[0]?.result).toEqual(result);
    }
  });

  it("says of what the reference found that it has to judge again", async () => {
    const options = { forMs: 500, peers: 3 };
    const played = await runPlan(drawPlan(3, options), { createMachine: () => new KeyValueMap(), workload: undefined });
    const violation = { check: "conformance", message: "a rule", atMs: 500 } as const;
    const task = { machine: { module: undefined }, plan: options, conformance: true };
    const wanted = { shrink: false, reduction: undefined, known: { ...played, violation } };
    expect(await investigate(3, task, wanted)).toMatchObject({
      result: { violation },
      replay: "--seeds 3..3 --for 500ms --peers 3 --conformance",
    });
  });

  it.each<[SimulateOptions, string]>([
    [
      { seeds: [5, 4] },
      "seeds: expected a range with something in it, the first no greater than the last, got [ 5, 4 ]",
    ],
    [{ seeds: [-1, 4] }, "seeds: expected a whole number from 0 to 4294967295, got -1"],
    [{ forMs: 0 }, "forMs: expected a number of milliseconds from 1 to 86400000, got 0"],
    [{ peers: 8 }, "peers: expected a whole number from 1 to 7, got 8"],
    [
      { machine: "./nowhere" },
      "machine: expected the URL of a module, such as new URL('./machine.ts', import.meta.url), got './nowhere'",
    ],
    [{ seeds: [1, 2], reduction: { quiet: true } }, "reduction: expected a single seed with it, got [ 1, 2 ]"],
  ])("refuses %o", async (options, message) => {
    expect(await errorOf(options)).toMatchObject({ code: "ERR_INVALID_OPTION", message });
  });

  it("refuses a machine that does not say what clients do to it", async () => {
    const machine = new URL("../../../src/machine/key-value.ts", import.meta.url);
    expect(await errorOf({ machine, threads: 0 })).toMatchObject({ code: "ERR_MACHINE_MODULE" });
  });

  it("ends when it is told to", async () => {
    const reason = new Error("enough");
    const options = { seeds: [1, 1_000] as const, threads: 0, signal: AbortSignal.abort(reason) };
    await expect(simulate(options)).rejects.toBe(reason);
  });
});
