import { performance } from "node:perf_hooks";

/** As many readings as it takes for one that nothing came between, and no more: a thread that starts has others to wait for. */
const MOST_READINGS = 20;
const CLOSE_MS = 0.01;

/**
 * How far `shared` is ahead of `own`, two clocks in milliseconds that run alike. A thread may stand still for milliseconds
 * between two readings, so the closest of several counts.
 */
export function offsetBetween(shared: () => number, own: () => number): number {
  let offset = 0;
  let closest = Number.POSITIVE_INFINITY;
  for (let reading = 0; reading < MOST_READINGS && closest > CLOSE_MS; reading++) {
    const before = own();
    const there = shared();
    const apart = own() - before;
    if (apart >= closest) continue;
    closest = apart;
    offset = there - before - apart / 2;
  }
  return offset;
}

/** `performance.now()` counts from the start of each thread. */
const offset = offsetBetween(
  () => {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1e3 + nanoseconds / 1e6;
  },
  () => performance.now(),
);

/** Milliseconds of a clock that never goes back, and that all threads of a process share. */
export function monotonicNow(): number {
  return performance.now() + offset;
}
