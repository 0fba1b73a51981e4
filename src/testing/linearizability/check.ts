import { availableParallelism } from "node:os";
import { setImmediate } from "node:timers/promises";
import { RaftError } from "../../raft/errors.ts";
import type { Operation } from "../history.ts";
import { inspectShort } from "../inspect-short.ts";
import type { Model } from "./model.ts";
import { isBuiltIn } from "./models.ts";
import { checkPartition, type Exhausted, type Limits, now, type PartitionResult } from "./partition.ts";
import type { Task } from "./worker.ts";

/** How far {@link checkLinearizable} goes. */
export interface CheckOptions {
  /** Milliseconds after which what is not decided stays undecided. Default: none. */
  readonly timeoutMs?: number;
  /** How many steps of the model may be tried for one partition. Unlike a time it gives the same verdict on any machine. Default: none. */
  readonly maxSteps?: number;
  /**
   * Threads to work in, beside this one; 0: this one. Default: this one for a second, in which most histories are decided, and then
   * one for each core. A model of one's own always works in this thread, which has turns for others meanwhile.
   */
  readonly threads?: number;
  /** Ends the check: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A partition whose history no order of its operations explains. */
export interface Violation<Input = unknown, Output = unknown> {
  /** Undefined when the model has no partitions. */
  readonly partition: string | undefined;
  /** The shortest prefix of the partition's history, by time of completion, that is illegal already: all that was called in it. */
  readonly prefix: readonly Operation<Input, Output>[];
  /** How many of these have returned by its end. What has not may have taken effect or not. */
  readonly completed: number;
  /** The one that returns last. Without its answer the prefix is legal. */
  readonly culprit: Operation<Input, Output>;
  /** The longest order, each operation possible after the one before, that was found in the prefix. */
  readonly order: readonly Operation<Input, Output>[];
  /** The state after that order. */
  readonly state: string;
  /** False when a limit was reached before it was certain that no shorter prefix is illegal. */
  readonly isShortest: boolean;
}

/** What was decided of a history. */
export type CheckResult<Input = unknown, Output = unknown> = {
  /** Those that did not fail. */
  readonly operations: number;
  readonly partitions: number;
  /** Steps of the model that were tried. */
  readonly steps: number;
} & (
  | { readonly verdict: "ok" }
  /** One for each partition that is illegal, by the time of their culprits. Others may be undecided. */
  | { readonly verdict: "illegal"; readonly violations: readonly Violation<Input, Output>[] }
  /** No partition was found illegal, but these could not be decided. */
  | {
      readonly verdict: "undecided";
      readonly undecided: readonly { readonly partition: string | undefined; readonly reason: Exhausted }[];
    }
);

interface Partition<Input, Output> {
  readonly name: string | undefined;
  readonly operations: Operation<Input, Output>[];
}

/** What takes less is not worth the start of threads. */
const ALONE_MS = 1_000;
/** To each thread several portions, so that one that is slow does not keep all waiting. */
const PORTIONS = 8;
const TURN_MS = 10;

/**
 * Decides whether a history is linearizable (Herlihy & Wing, 1990): whether each operation can be thought to take
 * effect at one moment between its call and its return, so that all answers are those of `model`. One of unknown
 * outcome may take effect at any moment after its call, or never; one that failed does not.
 *
 * The search is that of Wing & Gong with Lowe's memoisation, partition by partition. It may take exponential time: set a
 * limit when somebody waits, and read what to do about it under "undecided" in docs/checking.md.
 *
 * @throws RaftError `ERR_INVALID_HISTORY` when an operation makes no sense, `ERR_INVALID_OPTION`; and what the model throws.
 */
export async function checkLinearizable<State, Input, Output>(
  history: Iterable<Operation<Input, Output>>,
  model: Model<State, Input, Output>,
  options: CheckOptions = {},
): Promise<CheckResult<Input, Output>> {
  const { signal } = options;
  signal?.throwIfAborted();
  const limits = {
    deadline: now() + positive("timeoutMs", options.timeoutMs),
    maxSteps: positive("maxSteps", options.maxSteps),
  };
  const partitions = split(history, model);
  const threads = threadsFor(model, options.threads);
  const alone = threads === 0 ? Number.POSITIVE_INFINITY : options.threads === undefined ? ALONE_MS : 0;
  const here = model as Model<unknown, Input, Output>;
  const results = await checkHere(partitions, here, limits, { signal, until: now() + alone });
  const rest = partitions.slice(results.length);
  if (rest.length > 0) results.push(...(await checkInPool(rest, model.name, limits, threads, signal)));
  return conclude(partitions, results);
}

function positive(name: string, value = Number.POSITIVE_INFINITY): number {
  if (typeof value === "number" && value >= 0) return value;
  throw new RaftError("ERR_INVALID_OPTION", `${name}: expected a number of 0 or more, got ${inspectShort(value)}`);
}

function threadsFor(model: object, wanted: number | undefined): number {
  if (wanted !== undefined && !(Number.isSafeInteger(wanted) && wanted >= 0)) {
    throw new RaftError(
      "ERR_INVALID_OPTION",
      `threads: expected a whole number of 0 or more, got ${inspectShort(wanted)}`,
    );
  }
  if (!isBuiltIn(model as Model<never, never, never>)) return 0;
  return wanted ?? availableParallelism();
}

/** In the order of their first operations. */
function split<State, Input, Output>(
  history: Iterable<Operation<Input, Output>>,
  model: Model<State, Input, Output>,
): readonly Partition<Input, Output>[] {
  const partitions = new Map<string | undefined, Partition<Input, Output>>();
  let at = 0;
  for (const operation of history) {
    checkOperation(operation, at++);
    if (operation.outcome === "failed") continue;
    const name = model.partition?.(operation.input);
    const known = partitions.get(name);
    if (known === undefined) partitions.set(name, { name, operations: [operation] });
    else known.operations.push(operation);
  }
  return [...partitions.values()];
}

function checkOperation({ call, return: end, outcome }: Operation<unknown, unknown>, at: number): void {
  const fail = (message: string) => {
    throw new RaftError("ERR_INVALID_HISTORY", `operation ${at}: ${message}`);
  };
  if (!["ok", "failed", "unknown"].includes(outcome)) {
    fail(`outcome: expected ok, failed or unknown, got ${inspectShort(outcome)}`);
  }
  if (!Number.isFinite(call)) fail(`call: expected a number of nanoseconds, got ${inspectShort(call)}`);
  if (end === undefined && outcome === "ok") fail("return: missing, but its outcome is ok");
  if (end !== undefined && !(end >= call)) fail(`return: expected ${call} or later, got ${inspectShort(end)}`);
}

/** @returns the results of the first partitions: of those that were decided before `until` */
async function checkHere<Input, Output>(
  partitions: readonly Partition<Input, Output>[],
  model: Model<unknown, Input, Output>,
  limits: Limits,
  { signal, until }: { readonly signal: AbortSignal | undefined; readonly until: number },
): Promise<PartitionResult[]> {
  const results: PartitionResult[] = [];
  let rested = now();
  for (const { operations } of partitions) {
    if (now() >= until) break;
    const checking = checkPartition(operations, model, limits);
    let turn = checking.next();
    while (turn.done !== true) {
      if (now() >= until) return results;
      if (now() - rested > TURN_MS) {
        await setImmediate();
        signal?.throwIfAborted();
        rested = now();
      }
      turn = checking.next();
    }
    results.push(turn.value);
  }
  return results;
}

async function checkInPool(
  partitions: readonly Partition<unknown, unknown>[],
  name: string,
  limits: Limits,
  threads: number,
  signal: AbortSignal | undefined,
): Promise<readonly PartitionResult[]> {
  // Loaded when it is needed.
  const { startPool } = await import("../../actors/pool.ts");
  const needed = Math.min(threads, partitions.length);
  const pool = startPool<Task, PartitionResult[]>(new URL("./worker", import.meta.url), needed);
  try {
    const size = Math.ceil(partitions.length / (needed * PORTIONS));
    const portions = Array.from({ length: Math.ceil(partitions.length / size) }, (_, at) =>
      partitions.slice(at * size, (at + 1) * size).map(({ operations }) => operations),
    );
    const results = await Promise.all(
      portions.map((portion) => pool.run({ name, partitions: portion, limits }, signal)),
    );
    return results.flat();
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    await pool.destroy();
  }
}

function conclude<Input, Output>(
  partitions: readonly Partition<Input, Output>[],
  results: readonly PartitionResult[],
): CheckResult<Input, Output> {
  const violations: Violation<Input, Output>[] = [];
  const undecided: { partition: string | undefined; reason: Exhausted }[] = [];
  let operations = 0;
  let steps = 0;
  partitions.forEach((partition, at) => {
    const result = results[at];
    operations += partition.operations.length;
    steps += result?.steps ?? 0;
    if (result?.verdict === "undecided") undecided.push({ partition: partition.name, reason: result.reason });
    if (result?.verdict !== "illegal") return;
    const { prefix } = result;
    const pick = (picked: readonly number[]) => picked.flatMap((at) => partition.operations[at] ?? []);
    const [culprit] = pick([prefix.culprit]);
    if (culprit === undefined) return;
    violations.push({
      partition: partition.name,
      prefix: pick(prefix.operations),
      completed: prefix.completed,
      culprit,
      order: pick(prefix.order),
      state: prefix.state,
      isShortest: prefix.isShortest,
    });
  });
  const counts = { operations, partitions: partitions.length, steps };
  violations.sort((one, other) => (one.culprit.return ?? 0) - (other.culprit.return ?? 0));
  if (violations.length > 0) return { verdict: "illegal", ...counts, violations };
  return undecided.length > 0 ? { verdict: "undecided", ...counts, undecided } : { verdict: "ok", ...counts };
}
