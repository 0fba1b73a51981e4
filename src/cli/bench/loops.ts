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
  readonly latencies: Latencies;
}

interface LoopOptions {
  /** That count, after the warm-up. */
  readonly seconds: number;
  /** What is done in the time that counts; then that lasts until it is done, and `seconds` does not matter. */
  readonly during?: (() => Promise<unknown>) | undefined;
  /** Default: a quarter of `seconds`. */
  readonly warmUpSeconds?: number;
  readonly signal: AbortSignal;
  /** Called when the time that counts begins and when it ends. */
  readonly onBegin?: () => Promise<void> | void;
  readonly onEnd?: () => Promise<void> | void;
}

/** Behind a call that has failed, so that an election is not met by a storm. */
const PAUSE_MS = 10;

/** So many clients, each with one call outstanding: how much a system can do. Its latencies count from the call. */
export async function closedLoop(
  call: Call,
  options: LoopOptions & { readonly outstanding: number },
): Promise<LoopRun> {
  let isOver = false;
  let latencies = new Latencies();
  let done = 0;
  let failures = 0;
  const client = async (id: number): Promise<void> => {
    for (let round = 0; !isOver; round++) {
      const from = performance.now();
      try {
        await call(id, round);
        latencies.record(performance.now() - from);
        done++;
      } catch {
        failures++;
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
      },
      isEmpty: () => done + failures === 0,
      end: () => ({ done, failures, latencies }),
    });
  } finally {
    isOver = true;
    await Promise.all(clients);
  }
}

/** What an open loop tells of itself, beside what it has seen. */
export interface OpenLoopRun extends LoopRun {
  /** How late the loop itself was: from when a call was due to when it was made. It is part of the latencies. */
  readonly lateness: Latencies;
  /** How many calls were not answered yet when the time was over. They are waited for. */
  readonly unanswered: number;
}

/**
 * Calls at a steady rate, whether or not the ones before were answered: what users feel. A latency counts from when its call
 * was due, so that what waits behind a stall is counted too (no coordinated omission).
 */
export async function openLoop(call: Call, options: LoopOptions & { readonly rate: number }): Promise<OpenLoopRun> {
  const newPhase = () => ({ latencies: new Latencies(), lateness: new Latencies(), failures: 0 });
  // What is due in a phase belongs to it, however late it is made or answered.
  let phase = newPhase();
  let counted = phase;
  let done = 0;
  let made = 0;
  const waiting = new Set<Promise<void>>();
  const begunAt = performance.now();
  const dueAt = (at: number) => begunAt + (at * 1_000) / options.rate;
  const issue = () => {
    const now = performance.now();
    for (let due = dueAt(made); due <= now; due = dueAt(++made)) {
      const own = phase;
      own.lateness.record(performance.now() - due);
      const answered = call(0, made).then(
        () => {
          own.latencies.record(performance.now() - due);
          done++;
        },
        () => {
          own.failures++;
        },
      );
      waiting.add(answered);
      answered.finally(() => waiting.delete(answered));
    }
  };
  const timer = setInterval(issue, 1);
  try {
    const run = await measure(options, {
      begin() {
        issue();
        phase = newPhase();
        done = 0;
      },
      isEmpty: () => false,
      end() {
        issue();
        counted = phase;
        // What is due from now on does not count, though the loop goes on for a moment.
        phase = newPhase();
        return { done, failures: 0, latencies: counted.latencies };
      },
    });
    clearInterval(timer);
    const unanswered = waiting.size;
    await Promise.all(waiting);
    return { ...run, failures: counted.failures, lateness: counted.lateness, unanswered };
  } finally {
    clearInterval(timer);
    await Promise.all(waiting);
  }
}

async function measure(
  { seconds, warmUpSeconds = seconds / 4, during, signal, onBegin, onEnd }: LoopOptions,
  counts: {
    readonly begin: () => void;
    /** While this holds the time that counts goes on: of no call at all nothing can be said. */
    readonly isEmpty: () => boolean;
    readonly end: () => Omit<LoopRun, "span">;
  },
): Promise<LoopRun> {
  await sleep(warmUpSeconds * 1_000, undefined, { signal });
  await onBegin?.();
  counts.begin();
  const stop = startSpan();
  await (during === undefined ? sleep(seconds * 1_000, undefined, { signal }) : during());
  while (counts.isEmpty()) await sleep(1, undefined, { signal });
  const run = { span: stop(), ...counts.end() };
  await onEnd?.();
  return run;
}

/** How long the loop is measured when it has nothing to load. */
const ALONE_SECONDS = 0.2;

/**
 * What the load generator itself takes, in microseconds of CPU a call: the same loop around calls that are answered in the next
 * turn of the event loop by nobody.
 */
export async function generatorMicros(outstanding: number, signal: AbortSignal): Promise<number> {
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
  const { span, done } = await closedLoop(call, { outstanding, seconds: ALONE_SECONDS, signal });
  return ((span.appCpuSeconds ?? span.cpuSeconds) * 1e6) / Math.max(1, done);
}
