import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";

/** What a stretch of time took. */
export interface Span {
  readonly seconds: number;
  /** Of all threads of this process, in seconds of one core. */
  readonly cpuSeconds: number;
  /**
   * Of that, what the thread used that measures, which is the one with the clients: the app's, for a cluster. Undefined where
   * the system does not say.
   */
  readonly clientCpuSeconds: number | undefined;
  /** At the end, of the whole process. */
  readonly rssMb: number;
}

/** Starts a clock; the function stops it, and must be called in the same thread. */
export function startSpan(): () => Span {
  const from = performance.now();
  const cpu = process.cpuUsage();
  const client = threadCpuNanos();
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    const seconds = (performance.now() - from) / 1e3;
    const clientAfter = threadCpuNanos();
    return {
      seconds,
      cpuSeconds: (user + system) / 1e6,
      clientCpuSeconds: client === undefined || clientAfter === undefined ? undefined : (clientAfter - client) / 1e9,
      rssMb: process.memoryUsage.rss() / 2 ** 20,
    };
  };
}

/** Linux keeps it for each thread, and knows which one reads it. */
function threadCpuNanos(): number | undefined {
  try {
    return Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[0]);
  } catch {
    return undefined;
  }
}

/**
 * The clients' part in what was measured. The thread that they are in took so much of one core (near 100 it is they who set
 * the pace, and not the cluster), and of all CPU that was used; of the latter, what the loop alone would have taken.
 * @param generatorMicros see `closedLoopMicros` and `openLoopMicros`.
 */
export function clientShare(
  { seconds, cpuSeconds, clientCpuSeconds }: Span,
  done: number,
  generatorMicros: number,
): Record<"app's thread busy %" | "app's thread %" | "generator %", number | undefined> {
  return {
    "app's thread busy %": clientCpuSeconds && (100 * clientCpuSeconds) / seconds,
    "app's thread %": clientCpuSeconds && (100 * clientCpuSeconds) / cpuSeconds,
    "generator %": (100 * generatorMicros * done) / 1e6 / cpuSeconds,
  };
}
