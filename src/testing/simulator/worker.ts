import { loadFactory, type MachineSpec } from "../../machine/load.ts";
import { loadWorkload } from "./load-workload.ts";
import { drawPlan, type PlanOptions } from "./plan.ts";
import { play } from "./play.ts";
import type { RunResult, Simulated } from "./run.ts";

/** Seeds for a thread of the pool to play. */
export interface Task {
  readonly seeds: readonly number[];
  readonly machine: MachineSpec;
  readonly plan: PlanOptions;
  /** Whether each is played twice, and must come to the same. */
  readonly twice: boolean;
  /** Whether the reference judges it too. */
  readonly conformance: boolean;
}

/** Makes what is simulated in this thread. */
export async function loadSimulated(machine: MachineSpec): Promise<Simulated> {
  return { createMachine: await loadFactory(machine), workload: await loadWorkload(machine) };
}

/** Runs in a thread of the pool. @returns the results of the seeds, in their order. */
export default async function work({ seeds, machine, plan: options, twice, conformance }: Task): Promise<RunResult[]> {
  const simulated = await loadSimulated(machine);
  const results: RunResult[] = [];
  for (const seed of seeds) {
    const plan = drawPlan(seed, options);
    const result = await play(plan, simulated, { conformance });
    results.push(twice ? compare(result, await play(plan, simulated, { conformance: false })) : result);
  }
  return results;
}

function compare(one: RunResult, other: RunResult): RunResult {
  if (one.violation !== undefined || other.hash === one.hash) return one;
  const message = `seed ${one.seed} was played twice, and came to ${one.hash} and ${other.hash}: is the machine deterministic?`;
  return { ...one, violation: { check: "determinism", message, atMs: one.seconds * 1_000 } };
}
