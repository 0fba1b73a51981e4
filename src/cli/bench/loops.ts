import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { Latencies } from "./latencies.ts";
import { type Span, startSpan } from "./meter.ts";

/** One call of a client, the `round`th of it. */
export type Call = (client: number, round: number) => Promise<unknown>;

/** What a loop has seen in the time that counts. */
export interface LoopRun {
  readonly span: Span;
  readonly done: number;
  readonly failures: number;
  /** What the first of these said. */
  readonly failure: string | undefined;
  readonly latencies: Latencies;
}

/** How long a loop takes. */
export interface Stretch {
  /** What a cluster runs is compiled while it runs, for some seconds: what is seen in these does not count. */
  readonly warmUpSeconds: number;
  /** That count. */
  readonly seconds: number;
}

interface LoopOptions extends Stretch {
  /**
   * What is done in the time that counts; then that lasts until it is done, and `seconds` does not matter. An open loop tells
   * what was seen before and after each call of `nextPhase`.
   */
  readonly during?: ((nextPhase: () => void) => Promise<unknown>) | undefined;
  readonly signal: AbortSignal;
  /** Called when the time that counts begins and when it ends. */
  readonly onBegin?: () => Promise<void> | void;
  readonly onEnd?: () => Promise<void> | void;
}

/** Behind a call that has failed, so that an election is not met by a storm. */
const PAUSE_MS = 10;

/**
 * So many clients, each with one call outstanding: how much a system can do. Its latencies count from the call, and are of
 * the calls that are answered in the time that counts: clients that wait make no further calls, so a stall is one slow call
 * of each. What users feel of it an open loop tells.
 */
export async function closedLoop(
  call: Call,
  options: LoopOptions & { readonly outstanding: number },
): Promise<LoopRun> {
  let isOver = false;
  let latencies = new Latencies();
  let done = 0;
  let failures = 0;
  let failure: string | undefined;
  const client = async (id: number): Promise<void> => {
    for (let round = 0; !isOver; round++) {
      const from = performance.now();
      try {
        await call(id, round);
        latencies.record(performance.now() - from);
        done++;
      } catch (error) {
        failures++;
        failure ??= String(error);
        await sleep(PAUSE_MS);
      }
    }
  };
  const clients = Array.from({ length: options.outstanding }, (_, id) => client(id));
  try {
    return await measure(options, {
      begin() {
        latencies = new Latencies();
        done = 0;
        failures = 0;
        failure = undefined;
      },
      nextPhase: () => {},
      isEmpty: () => done + failures === 0,
      end: () => ({ done, failures, failure, latencies }),
    });
  } finally {
    isOver = true;
    await Promise.all(clients);
  }
}

/**
 * Behind a stall, an open loop hears answers after each so many of the calls that are due: else what is made up for in one turn is
 * a stall of its own, of which the next is longer.
 */
const MOST_AT_ONCE = 1_000;

/** What an open loop tells of itself, beside what it has seen. */
export interface OpenLoopRun extends LoopRun {
  /** How late the loop itself was: from when a call was due to when it was made. It is part of the latencies. */
  readonly lateness: Latencies;
  /** How many calls were not answered yet when the time was over. They are waited for. */
  readonly unanswered: number;
  /** The same of each phase of the time that counts: of one, unless `during` has made more. */
  readonly phases: readonly Pick<OpenLoopRun, "latencies" | "lateness" | "failures" | "failure">[];
}

/**
 * Calls at a steady rate, whether or not the ones before were answered: what users feel. A latency counts from when its call
 * was due, so that what waits behind a stall is counted too (no coordinated omission).
 */
export async function openLoop(call: Call, options: LoopOptions & { readonly rate: number }): Promise<OpenLoopRun> {
  // What is due in a phase belongs to it, however late it is made or answered.
  let phase = newPhase();
  let phases: Phase[] = [];
  let done = 0;
  let made = 0;
  const waiting = new Set<Promise<void>>();
  const begunAt = performance.now();
  const dueAt = (at: number) => begunAt + (at * 1_000) / options.rate;
  const issue = (most: number) => {
    const now = performance.now();
    const end = made + most;
    for (let due = dueAt(made); due <= now && made < end; due = dueAt(++made)) {
      const own = phase;
      own.lateness.record(performance.now() - due);
      const answered = call(0, made).then(
        () => {
          own.latencies.record(performance.now() - due);
          done++;
        },
        (error: unknown) => {
          own.failures++;
          own.failure ??= String(error);
        },
      );
      waiting.add(answered);
      answered.finally(() => waiting.delete(answered));
    }
  };
  const timer = setInterval(issue, 1, MOST_AT_ONCE);
  const begin = () => {
    issue(Number.POSITIVE_INFINITY);
    phase = newPhase();
  };
  const nextPhase = () => {
    begin();
    phases.push(phase);
  };
  try {
    const { span, done: doneInTime } = await measure(options, {
      begin() {
        phases = [];
        nextPhase();
        done = 0;
      },
      nextPhase,
      isEmpty: () => false,
      end() {
        // What is due from now on does not count, though the loop goes on for a moment.
        begin();
        return { done };
      },
    });
    clearInterval(timer);
    const unanswered = waiting.size;
    await Promise.all(waiting);
    return { span, done: doneInTime, unanswered, phases, ...together(phases) };
  } finally {
    clearInterval(timer);
    await Promise.all(waiting);
  }
}

/** What is seen of the calls of one phase of an open loop. */
interface Phase {
  readonly latencies: Latencies;
  readonly lateness: Latencies;
  failures: number;
  failure: string | undefined;
}

function newPhase(): Phase {
  return { latencies: new Latencies(), lateness: new Latencies(), failures: 0, failure: undefined };
}

function together(phases: readonly Phase[]): Phase {
  const all = newPhase();
  for (const { latencies, lateness, failures, failure } of phases) {
    all.latencies.add(latencies);
    all.lateness.add(lateness);
    all.failures += failures;
    all.failure ??= failure;
  }
  return all;
}

async function measure<Seen extends object>(
  { seconds, warmUpSeconds, during, signal, onBegin, onEnd }: LoopOptions,
  counts: {
    readonly begin: () => void;
    readonly nextPhase: () => void;
    /** While this holds the time that counts goes on: of no call at all nothing can be said. */
    readonly isEmpty: () => boolean;
    readonly end: () => Seen;
  },
): Promise<Seen & { readonly span: Span }> {
  await sleep(warmUpSeconds * 1_000, undefined, { signal });
  await onBegin?.();
  counts.begin();
  const stop = startSpan();
  await (during === undefined ? sleep(seconds * 1_000, undefined, { signal }) : during(counts.nextPhase));
  while (counts.isEmpty()) await sleep(1, undefined, { signal });
  const run = { span: stop(), ...counts.end() };
  await onEnd?.();
  return run;
}

/** How long a loop is measured when it has nothing to load. */
const ALONE: Stretch = { warmUpSeconds: 0.2, seconds: 0.2 };

/**
 * What the load generator itself takes, in microseconds of CPU a call: the closed loop around calls that nobody carries out,
 * and that are answered in the next turn of the event loop.
 */
export function closedLoopMicros(outstanding: number, signal: AbortSignal): Promise<number> {
  return microsAlone((call) => closedLoop(call, { outstanding, ...ALONE, signal }));
}

/** {@link closedLoopMicros} of the open loop. */
export function openLoopMicros(rate: number, signal: AbortSignal): Promise<number> {
  return microsAlone((call) => openLoop(call, { rate, ...ALONE, signal }));
}

async function microsAlone(loop: (call: Call) => Promise<LoopRun>): Promise<number> {
  let waiting: (() => void)[] = [];
  const answer = () => {
    const answered = waiting;
    waiting = [];
    for (const resolve of answered) resolve();
  };
  const call = () =>
    new Promise<void>((resolve) => {
      if (waiting.length === 0) setImmediate(answer);
      waiting.push(resolve);
    });
  const { span, done } = await loop(call);
  return ((span.clientCpuSeconds ?? span.cpuSeconds) * 1e6) / Math.max(1, done);
}

/** What must be told of runs in which calls failed. */
export function failureNotes(runs: readonly { readonly failure?: string | undefined }[]): string[] {
  const failure = runs.find((run) => run.failure !== undefined)?.failure;
  return failure === undefined ? [] : [`Calls have failed, and are in no latency; the first of them with ${failure}`];
}
