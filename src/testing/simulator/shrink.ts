import type { Plan } from "./plan.ts";
import type { RunResult } from "./run.ts";

/** What is left of a plan. */
export interface Reduction {
  /** The faults that stay, by their places in the plan. */
  readonly keep: readonly number[];
  /** Whether the links are left without noise. */
  readonly quiet: boolean;
  readonly forMs: number;
}

/** How many runs a search may take. */
const MOST_RUNS = 120;
/** No packet is lost, doubled, held or repeated; they take their time as before. */
const QUIET = { loss: 0, duplicate: 0, hold: 0, ghost: 0 } as const;

export function reducePlan(plan: Plan, { keep, quiet, forMs }: Reduction): Plan {
  return {
    ...plan,
    forMs,
    noise: quiet ? { ...plan.noise, ...QUIET } : plan.noise,
    faults: plan.faults.filter((fault, at) => keep.includes(at) && fault.atMs < forMs),
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
  let best: Reduction = { keep: plan.faults.map((_, at) => at), quiet: false, forMs: plan.forMs };
  const attempt = async (reduction: Reduction): Promise<boolean> => {
    if (runs++ >= MOST_RUNS) return false;
    const { violation } = await play(reducePlan(plan, reduction));
    if (violation?.check !== failed.violation?.check) return false;
    best = reduction;
    return true;
  };

  const atMs = failed.violation?.atMs ?? plan.forMs;
  // Right behind the place, or, when it was in what follows the faults, with ever shorter ones.
  if (atMs < plan.forMs) await attempt({ ...best, forMs: Math.ceil(atMs) + 1 });
  else while (best.forMs > 500 && (await attempt({ ...best, forMs: Math.ceil(best.forMs / 2) }))) {}
  await attempt({ ...best, keep: best.keep.filter((at) => (plan.faults[at]?.atMs ?? 0) < best.forMs) });
  await attempt({ ...best, quiet: true });
  for (let size = Math.ceil(best.keep.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < best.keep.length; ) {
      const keep = [...best.keep.slice(0, from), ...best.keep.slice(from + size)];
      if (!(await attempt({ ...best, keep }))) from += size;
    }
  }
  return best;
}
