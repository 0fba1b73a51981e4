import { Lives } from "./lives.ts";
import type { Plan } from "./plan.ts";
import { type RunResult, runPlan, type Simulated } from "./run.ts";
import type { Watcher } from "./world.ts";

/** How a plan is played. */
export interface PlayOptions {
  /** Whether the reference judges what all peers did, too. */
  readonly conformance: boolean;
  readonly watcher?: Watcher;
}

/** Plays a plan, with all checks; what none of them has found, the reference may find in a record of all lives. */
export async function play(
  plan: Plan,
  simulated: Simulated,
  { conformance, watcher }: PlayOptions,
): Promise<RunResult> {
  if (!conformance) return await runPlan(plan, simulated, { watcher });
  const lives = new Lives();
  const result = await runPlan(plan, simulated, { createRaft: lives.createRaft, watcher });
  if (result.violation !== undefined) return result;
  const violation = lives.judge();
  if (violation === undefined) return result;
  const { check, message } = violation;
  return { ...result, violation: { check, message, atMs: result.seconds * 1_000 } };
}
