import { expect, it } from "vitest";
import { KeyValueMap } from "../../../../src/machine/key-value.ts";
import type { PlannedFault } from "../../../../src/testing/simulator/faults.ts";
import { drawPlan } from "../../../../src/testing/simulator/plan.ts";
import { runPlan } from "../../../../src/testing/simulator/run.ts";

const SEEDS = 20;
const FOR_MS = 3_000;

it("what a peer has saved as applied, and nobody saw it commit, is no commit of the term in which it leads at once", async () => {
  const faults = Array.from(
    { length: 20 },
    (_, at): PlannedFault => ({
      ...{ kind: "crash", victims: [0], point: "after save: state", role: undefined },
      ...{ atMs: at * 150, skip: 0, downMs: 5, lingerMs: 0, newsLateMs: 0 },
    }),
  );
  let deaths = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    // Sessions that are given up soon are opened again, which no machine is told of.
    const drawn = drawPlan(seed, { peers: 1, forMs: FOR_MS });
    const plan = { ...drawn, durable: true, giveUpMs: 50, commandsPerSecond: 200, faults };
    const result = await runPlan(plan, { createMachine: () => new KeyValueMap(), workload: undefined });
    expect(result.violation, `seed ${seed}`).toBeUndefined();
    deaths += Object.values(result.deaths).reduce((sum, count) => sum + count, 0);
  }
  expect(deaths).toBeGreaterThan(SEEDS);
});
