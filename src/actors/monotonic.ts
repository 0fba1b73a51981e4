import { performance } from "node:perf_hooks";

const [seconds, nanoseconds] = process.hrtime();
/** `performance.now()` counts from the start of each thread. */
const offset = seconds * 1e3 + nanoseconds / 1e6 - performance.now();

/** Milliseconds of a clock that never goes back, and that all threads of a process share. */
export function monotonicNow(): number {
  return performance.now() + offset;
}
