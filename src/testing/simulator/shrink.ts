import type { Plan } from "./plan.ts";
import type { RunResult } from "./run.ts";

/** What is left of a plan. */
export interface Reduction {
  /** The faults that stay, by their places in the plan. */
  readonly keep: readonly number[];
  /** Whether the links are left without noise. */
  readonly quiet: boolean;
  /** When they end; which there are hangs on how long they were to last. */
  readonly untilMs: number;
}

/** How many runs a search may take. */
const MOST_RUNS = 120;
/** No packet is lost, doubled, held or repeated; they take their time as before. */
const QUIET = { loss: 0, duplicate: 0, hold: 0, ghost: 0 } as const;

export function reducePlan(plan: Plan, { keep, quiet, untilMs }: Reduction): Plan {
  return {
    ...plan,
    forMs: untilMs,
    noise: quiet ? { ...plan.noise, ...QUIET } : plan.noise,
    faults: plan.faults.filter((fault, at) => keep.includes(at) && fault.atMs < untilMs),
  };
}

/**
 * Looks for a shorter run with fewer faults that breaks the same property (delta debugging, Zeller & Hildebrandt, 2002).
 * @param plan breaks it. @param play plays another. @returns the smallest that was found.
 */
export async function shrink(
  plan: Plan,
  failed: RunResult,
  play: (plan: Plan) => Promise<RunResult>,
): Promise<Reduction> {
  let runs = 0;
  let atMs = failed.violation?.atMs ?? plan.forMs;
  let best: Reduction = { keep: plan.faults.map((_, at) => at), quiet: false, untilMs: plan.forMs };
  const attempt = async (reduction: Reduction): Promise<boolean> => {
    if (runs++ >= MOST_RUNS) return false;
    const { violation } = await play(reducePlan(plan, reduction));
    if (violation?.check !== failed.violation?.check) return false;
    best = reduction;
    atMs = violation?.atMs ?? atMs;
    return true;
  };
  const endBehind = () => attempt({ ...best, untilMs: Math.min(best.untilMs, Math.ceil(atMs) + 1) });

  // Right behind the place, or, when it was in what follows the faults, with ever shorter ones.
  if (atMs < plan.forMs) await endBehind();
  else while (best.untilMs > 500 && (await attempt({ ...best, untilMs: Math.ceil(best.untilMs / 2) }))) {}
  await attempt({ ...best, keep: best.keep.filter((at) => (plan.faults[at]?.atMs ?? 0) < best.untilMs) });
  await attempt({ ...best, quiet: true });
  for (let size = Math.ceil(best.keep.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < best.keep.length; ) {
      const keep = [...best.keep.slice(0, from), ...best.keep.slice(from + size)];
      if (!(await attempt({ ...best, keep }))) from += size;
    }
  }
  // With fewer faults it may come about earlier.
  if (atMs < best.untilMs - 1) await endBehind();
  return best;
}
