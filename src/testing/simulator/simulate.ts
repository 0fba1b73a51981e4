import { availableParallelism } from "node:os";
import { inspect } from "node:util";
import { startPool } from "../../actors/pool.ts";
import type { MachineSpec } from "../../machine/load.ts";
import { RaftError } from "../../raft/errors.ts";
import { investigate, type SimulationFailure } from "./investigate.ts";
import type { RunResult } from "./run.ts";
import type { Reduction } from "./shrink.ts";
import type { Task } from "./worker.ts";
import work from "./worker.ts";

/** What {@link simulate} plays. */
export interface SimulateOptions {
  /** The first and the last seed. Default [1, 100]. */
  readonly seeds?: readonly [first: number, last: number];
  /**
   * The module of the state machine, as for `Supervisor.start`; it has to export a {@link Workload} as `simulation` too.
   * Default: the key-value map, whose clients' history is checked to be linearizable.
   */
  readonly machine?: string | URL | { readonly module: string | URL; readonly options?: unknown } | undefined;
  /** How long the faults of each seed last, in milliseconds of virtual time: 1 to a day. Default a minute. */
  readonly forMs?: number;
  /** Peers of the cluster, 1 to 7. Default: each seed decides. */
  readonly peers?: number | undefined;
  /**
   * Whether what each peer did is recorded, and judged as by `checkConformance`: by a reference that shares no code with the
   * algorithm. Takes two to three times as long, and memory. Default false.
   */
  readonly conformance?: boolean;
  /** Threads to work in; 0: this one. Default: one for each core. */
  readonly threads?: number | undefined;
  /** How many seeds may fail before the rest is left. Default 1. */
  readonly maxFailures?: number;
  /** Whether the first failure is played again, with ever fewer faults, to find a short one. Default true. */
  readonly shrink?: boolean;
  /** Of the plan of a seed only this is played, as a failure that was shrunk says. Needs one seed. */
  readonly reduction?: Partial<Reduction> | undefined;
  /** Ends it: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Hears of each seed that was played, in any order. */
  readonly onResult?: (result: RunResult, played: number) => void;
}

/** What came of {@link simulate}. */
export interface SimulationReport {
  /** How many were played. */
  readonly seeds: number;
  /** Virtual time of all of them together. */
  readonly seconds: number;
  /** How often a process died at a point in a role. */
  readonly deaths: Readonly<Record<string, number>>;
  /** By seed. */
  readonly failures: readonly SimulationFailure[];
}

const MAX_SEED = 2 ** 32 - 1;
const MAX_MS = 86_400_000;
/** Of each thread. Nearly all that a simulation makes is of no use a moment later; the default is 48. */
const YOUNG_GENERATION_MB = 192;
/** Of a machine that is not known, so many seeds are played twice. */
const TWICE = 5;

/**
 * Plays whole clusters, with their disks, network and clients, in virtual time, each in one thread: the same algorithm, shell
 * and state machines that run in a cluster's threads. A seed decides everything, cluster size, options, workload, latencies,
 * faults, the order of what is ready, so that a failure can be played again. What must hold is checked at every step.
 *
 * @throws RaftError `ERR_INVALID_OPTION`; `ERR_MACHINE_MODULE`.
 */
export async function simulate(options: SimulateOptions = {}): Promise<SimulationReport> {
  const { seeds, task, threads, maxFailures } = checkOptions(options);
  const { signal, onResult } = options;
  const results: RunResult[] = [];
  const failed: RunResult[] = [];
  if (options.reduction === undefined) {
    const isCustom = task.machine.module !== undefined;
    const portions = portionsOf(seeds, isCustom ? TWICE : 0);
    const take = (result: RunResult) => {
      results.push(result);
      if (result.violation !== undefined) failed.push(result);
      onResult?.(result, results.length);
    };
    await playAll(portions, {
      ...task,
      threads,
      signal,
      take,
      isEnough: () => failed.length >= maxFailures,
    });
  }
  failed.sort((one, other) => one.seed - other.seed);
  const failures: SimulationFailure[] = [];
  const again = options.reduction === undefined ? failed.map(({ seed }) => seed) : [seeds[0]];
  for (const [at, seed] of again.entries()) {
    const known = failed.find((result) => result.seed === seed);
    const failure = await investigate(seed, task, {
      shrink: (options.shrink ?? true) && at === 0 && options.reduction === undefined,
      reduction: options.reduction,
      known,
    });
    if (options.reduction !== undefined) results.push(failure.result);
    if (failure.result.violation !== undefined) failures.push(failure);
  }
  const deaths: Record<string, number> = {};
  for (const result of results) {
    for (const [key, count] of Object.entries(result.deaths)) deaths[key] = (deaths[key] ?? 0) + count;
  }
  return { seeds: results.length, seconds: results.reduce((sum, { seconds }) => sum + seconds, 0), deaths, failures };
}

interface Portion {
  readonly seeds: readonly number[];
  readonly twice: boolean;
}

/** Small enough that all threads have something to do until the end, and that progress shows. */
function portionsOf([first, last]: readonly [number, number], twice: number): Portion[] {
  const portions: Portion[] = [];
  const size = Math.max(1, Math.min(8, Math.floor((last - first + 1) / 32)));
  for (let from = first; from <= last; ) {
    const isTwice = from - first < twice;
    const to = isTwice ? from : Math.min(last, from + size - 1);
    portions.push({ seeds: Array.from({ length: to - from + 1 }, (_, at) => from + at), twice: isTwice });
    from = to + 1;
  }
  return portions;
}

interface Playing extends Pick<Task, "machine" | "plan" | "conformance"> {
  readonly threads: number;
  readonly signal: AbortSignal | undefined;
  readonly take: (result: RunResult) => void;
  readonly isEnough: () => boolean;
}

async function playAll(portions: readonly Portion[], playing: Playing): Promise<void> {
  const { machine, plan, conformance, threads, signal, take, isEnough } = playing;
  const pool =
    threads === 0
      ? undefined
      : startPool<Task, RunResult[]>(
          new URL("./worker", import.meta.url),
          Math.min(threads, portions.length),
          YOUNG_GENERATION_MB,
        );
  const waiting = [...portions];
  const next = async (): Promise<void> => {
    for (let portion = waiting.shift(); portion !== undefined && !isEnough(); portion = waiting.shift()) {
      signal?.throwIfAborted();
      const task = { ...portion, machine, plan, conformance };
      const played = await (pool === undefined ? work(task) : pool.run(task, signal));
      for (const result of played) take(result);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.max(1, threads) }, next));
  } catch (error) {
    signal?.throwIfAborted();
    throw restored(error);
  } finally {
    await pool?.destroy();
  }
}

/** A thread's error comes as a plain one, without its code. */
function restored(error: unknown): unknown {
  if (error instanceof RaftError || !(error instanceof Error) || error.name !== "RaftError") return error;
  return new RaftError("ERR_MACHINE_MODULE", error.message, { cause: error });
}

function checkOptions(options: SimulateOptions) {
  const {
    seeds = [1, 100],
    forMs = 60_000,
    peers,
    threads = availableParallelism(),
    maxFailures = 1,
    machine,
  } = options;
  const [first, last] = seeds;
  integer("seeds", first, 0, MAX_SEED);
  integer("seeds", last, 0, MAX_SEED);
  if (last < first) throw invalid("seeds", "a range with something in it, the first no greater than the last", seeds);
  if (options.reduction !== undefined && first !== last) throw invalid("reduction", "a single seed with it", seeds);
  if (typeof forMs !== "number" || !(forMs >= 1 && forMs <= MAX_MS)) {
    throw invalid("forMs", `a number of milliseconds from 1 to ${MAX_MS}`, forMs);
  }
  const untilMs = options.reduction?.untilMs ?? forMs;
  if (typeof untilMs !== "number" || !(untilMs >= 1 && untilMs <= forMs)) {
    throw invalid("reduction.untilMs", `a number of milliseconds from 1 to forMs, which is ${forMs}`, untilMs);
  }
  if (peers !== undefined) integer("peers", peers, 1, 7);
  integer("threads", threads, 0, 1_024);
  integer("maxFailures", maxFailures, 1, MAX_SEED);
  const task = { machine: specOf(machine), plan: { forMs, peers }, conformance: options.conformance ?? false };
  return { seeds, task, threads, maxFailures };
}

function specOf(machine: SimulateOptions["machine"]): MachineSpec {
  if (machine === undefined) return { module: undefined };
  if (typeof machine === "string" || machine instanceof URL) return { module: hrefOf(machine) };
  return { module: hrefOf(machine.module), options: machine.options };
}

function hrefOf(module: string | URL): string {
  try {
    return new URL(module).href;
  } catch {
    throw invalid("machine", "the URL of a module, such as new URL('./machine.ts', import.meta.url)", module);
  }
}

function integer(name: string, value: unknown, min: number, max: number): void {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return;
  throw invalid(name, `a whole number from ${min} to ${max}`, value);
}

function invalid(name: string, expected: string, value: unknown): RaftError {
  return new RaftError("ERR_INVALID_OPTION", `${name}: expected ${expected}, got ${inspect(value)}`);
}
