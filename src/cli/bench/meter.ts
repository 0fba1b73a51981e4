import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";

/** What a stretch of time took. */
export interface Span {
  readonly seconds: number;
  /** Of all threads of this process, in seconds of one core. */
  readonly cpuSeconds: number;
  /** Of that, what the process's first thread used: the app's. Undefined where the system does not say. */
  readonly appCpuSeconds: number | undefined;
  /** At the end, of the whole process. */
  readonly rssMb: number;
}

/** Starts a clock; the function stops it. */
export function startSpan(): () => Span {
  const from = performance.now();
  const cpu = process.cpuUsage();
  const app = appCpuNanos();
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    const seconds = (performance.now() - from) / 1e3;
    const appAfter = appCpuNanos();
    return {
      seconds,
      cpuSeconds: (user + system) / 1e6,
      appCpuSeconds: app === undefined || appAfter === undefined ? undefined : (appAfter - app) / 1e9,
      rssMb: process.memoryUsage.rss() / 2 ** 20,
    };
  };
}

/** Linux keeps it for each thread; the first has the number of the process. */
function appCpuNanos(): number | undefined {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ")[0]);
  } catch {
    return undefined;
  }
}
