import { describeFault } from "./faults.ts";
import { drawPlan } from "./plan.ts";
import { type RunResult, runPlan, type Simulated } from "./run.ts";
import { type Reduction, reducePlan, shrink } from "./shrink.ts";
import { Trace } from "./trace.ts";
import { loadSimulated, type Task } from "./worker.ts";

/** How many lines of a trace are worth having: all of a run that was shrunk well. */
const TRACE_LINES = 150;

/** A seed at which something did not hold. */
export interface SimulationFailure {
  readonly seed: number;
  readonly result: RunResult;
  /** What is left of the plan; `result` and `trace` are of that. */
  readonly reduction: Reduction;
  /** The options of `flotilla simulate` that play it again. */
  readonly replay: string;
  /** The faults that are left, a line each. */
  readonly faults: readonly string[];
  /** What happened, the last lines: a line a happening, a column a peer. */
  readonly trace: readonly string[];
}

interface Wanted {
  readonly shrink: boolean;
  readonly reduction: Partial<Reduction> | undefined;
  /** What it came to before. */
  readonly known: RunResult | undefined;
}

/** Plays a seed again to find out more. */
export async function investigate(
  seed: number,
  { machine, plan: options }: Pick<Task, "machine" | "plan">,
  wanted: Wanted,
): Promise<SimulationFailure> {
  const simulated: Simulated = await loadSimulated(machine);
  const plan = drawPlan(seed, options);
  const all: Reduction = { keep: plan.faults.map((_, at) => at), quiet: false, forMs: plan.forMs, ...wanted.reduction };
  const check = wanted.known?.violation?.check;
  // The others are not found by playing it once more.
  const canShrink = wanted.shrink && check !== undefined && check !== "determinism" && check !== "conformance";
  const reduction = canShrink && wanted.known !== undefined ? await shrink(plan, simulated, wanted.known) : all;
  const reduced = reducePlan(plan, reduction);
  const trace = new Trace(plan.peers, TRACE_LINES);
  const played = await runPlan(reduced, simulated, { watcher: trace });
  // One that is not deterministic need not fail twice.
  const result = played.violation === undefined && wanted.known !== undefined ? wanted.known : played;
  return {
    ...{ seed, result, reduction, trace: trace.lines },
    replay: replayOf(plan.seed, reduction, plan.faults.length, options.peers),
    faults: reduced.faults.map(describeFault),
  };
}

function replayOf(seed: number, { keep, quiet, forMs }: Reduction, faults: number, peers: number | undefined): string {
  const parts = [`--seeds ${seed}..${seed}`, `--for ${forMs}ms`];
  if (peers !== undefined) parts.push(`--peers ${peers}`);
  if (keep.length < faults) parts.push(`--keep ${keep.length === 0 ? "none" : keep.join(",")}`);
  if (quiet) parts.push("--quiet");
  return parts.join(" ");
}
