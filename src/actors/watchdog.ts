import type { CurrentCall, MachineCalls } from "./machine-calls.ts";

/**
 * How often a call is looked at before it is called stuck. Not clocks but looks are counted: when the whole process
 * slept, or the thread that looks was held up, the peer gets its time all the same.
 */
const LOOKS = 4;

/** The least that loading a module may take, with all that it imports, on a busy machine. */
const LOAD_MS = 10_000;

/**
 * Watches whether a peer comes back from the calls of its state machine.
 * @param stuckMs how long a call may take, to which up to a quarter may be added; 0: as long as it likes. Loading may
 * take 10 seconds at least.
 * @param onStuck is called once, with the call that took longer.
 * @returns what ends it.
 */
export function watchCalls(calls: MachineCalls, stuckMs: number, onStuck: (call: CurrentCall) => void): () => void {
  if (stuckMs === 0) return () => {};
  let seen = calls.count;
  let looks = 0;
  const timer = setInterval(() => {
    const { current, count } = calls;
    if (current.call === "none" || count !== seen) {
      seen = count;
      looks = 0;
      return;
    }
    looks++;
    if (looks < LOOKS || (current.call === "load" && (looks * stuckMs) / LOOKS < LOAD_MS)) return;
    clearInterval(timer);
    onStuck(current);
  }, stuckMs / LOOKS);
  return () => clearInterval(timer);
}
