import { performance } from "node:perf_hooks";

/** How many times as long as a look at all deadlines takes nobody looks again. */
const REST = 8;

/**
 * When to look at all deadlines again: at the earliest of those to come, unless the look that began at `since` and ends now took so
 * long that it must not be taken again by then. Of a hundred thousand calls, made one after the other, each has a deadline of
 * its own.
 */
export function nextLook(earliest: number, since: number): number {
  const now = performance.now();
  return Math.max(earliest, now + REST * (now - since));
}
