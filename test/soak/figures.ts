import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** What this process holds of the system. */
export interface Resources {
  readonly threads: number;
  readonly files: number;
  readonly rssMb: number;
}

/** As of now, from /proc; so on Linux only. */
export function resources(): Resources {
  return {
    threads: readdirSync("/proc/self/task").length,
    files: readdirSync("/proc/self/fd").filter((descriptor) => !isModule(descriptor)).length,
    rssMb: Math.round(process.memoryUsage.rss() / 2 ** 20),
  };
}

/** Node leaves a module's file open when a thread is ended while it reads it, whoever the module belongs to. */
function isModule(descriptor: string): boolean {
  try {
    return /\.[cm]?[jt]s$/.test(readlinkSync(`/proc/self/fd/${descriptor}`));
  } catch {
    return false;
  }
}

/** Whether there are no more threads and open files now than there were before. */
export function isNoMore(now: Resources, before: Resources | undefined): boolean {
  return before !== undefined && now.threads <= before.threads && now.files <= before.files;
}

/** How often the threads of this process have gone to sleep so far, which is how often they were woken up. */
export function sleeps(): number {
  let sum = 0;
  for (const task of readdirSync("/proc/self/task")) {
    const status = readFileSync(`/proc/self/task/${task}/status`, "utf8");
    sum += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return sum;
}

/** The value that a part of the values, 0 to 1, does not exceed; NaN of none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}

/** Times in ms, on one line. */
export function distribution(values: readonly number[]): string {
  const at = (part: number) => quantile(values, part).toFixed(1);
  return `n ${values.length}, median ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, max ${at(1)} ms`;
}
