import { describe, expect, it } from "vitest";
import { KeyValueMap } from "../../../src/machine/key-value.ts";
import { drawPlan } from "../../../src/testing/simulator/plan.ts";
import { runPlan } from "../../../src/testing/simulator/run.ts";
import { Trace } from "../../../src/testing/simulator/trace.ts";

const MAP = { createMachine: () => new KeyValueMap(), workload: undefined };

describe("a seed decides everything", () => {
  it.each([1, 2, 3, 4, 5, 6])("seed %i comes to the same twice", async (seed) => {
    const plan = drawPlan(seed, { forMs: 10_000 });
    expect(await runPlan(plan, MAP)).toEqual(await runPlan(plan, MAP));
  });

  it("other seeds come to something else", async () => {
    const hashes = new Set<string>();
    for (let seed = 1; seed <= 10; seed++) hashes.add((await runPlan(drawPlan(seed, { forMs: 1_000 }), MAP)).hash);
    expect(hashes.size).toBe(10);
  });

  it.each([11, 12, 13, 14])("to watch seed %i changes nothing of it", async (seed) => {
    const plan = drawPlan(seed, { forMs: 5_000 });
    const watcher = new Trace(plan.peers, 10);
    expect(await runPlan(plan, MAP, { watcher })).toEqual(await runPlan(plan, MAP));
    expect(watcher.lines.length).toBeGreaterThan(10);
  });
});
