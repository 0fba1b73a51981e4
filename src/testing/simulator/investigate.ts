import type { CheckName } from "./checks/violation.ts";
import { describeFault } from "./faults.ts";
import { drawPlan, type Plan } from "./plan.ts";
import { play } from "./play.ts";
import type { RunResult, Simulated } from "./run.ts";
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
  { machine, plan: options, conformance }: Pick<Task, "machine" | "plan" | "conformance">,
  wanted: Wanted,
): Promise<SimulationFailure> {
  const simulated: Simulated = await loadSimulated(machine);
  const plan = drawPlan(seed, options);
  const keep = plan.faults.map((_, at) => at);
  const all: Reduction = { keep, quiet: false, untilMs: plan.forMs, ...wanted.reduction };
  const check = wanted.known?.violation?.check;
  const judging = { conformance: conformance && (check === undefined || check === "conformance") };
  const playAgain = (other: Plan) => play(other, simulated, judging);
  // That one is not found by playing it once more.
  const canShrink = wanted.shrink && check !== undefined && check !== "determinism";
  const reduction = canShrink && wanted.known !== undefined ? await shrink(plan, wanted.known, playAgain) : all;
  const reduced = reducePlan(plan, reduction);
  const trace = new Trace(plan.peers, TRACE_LINES);
  const played = await play(reduced, simulated, { ...judging, watcher: trace });
  // One that is not deterministic need not fail twice.
  const result = played.violation === undefined && wanted.known !== undefined ? wanted.known : played;
  return {
    ...{ seed, result, reduction, trace: trace.lines },
    replay: replayOf(plan, reduction, options.peers, result.violation?.check),
    faults: reduced.faults.map(describeFault),
  };
}

function replayOf(
  { seed, faults, forMs }: Plan,
  { keep, quiet, untilMs }: Reduction,
  peers: number | undefined,
  check: CheckName | undefined,
): string {
  const parts = [`--seeds ${seed}..${seed}`, `--for ${forMs}ms`];
  if (peers !== undefined) parts.push(`--peers ${peers}`);
  if (keep.length < faults.length) parts.push(`--keep ${keep.length === 0 ? "none" : keep.join(",")}`);
  if (quiet) parts.push("--quiet");
  if (untilMs < forMs) parts.push(`--until ${untilMs}ms`);
  if (check === "conformance") parts.push("--conformance");
  return parts.join(" ");
}
