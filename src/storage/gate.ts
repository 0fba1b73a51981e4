import { invariant } from "../raft/errors.ts";

/**
 * The kill gate. A thread that is terminated inside a native call of lmdb can abort the process or hang it for ever,
 * so a peer holds its gate around each of them, and whoever wants the thread dead takes the gate first.
 *
 * A gate is one word of shared memory. Words are not used again: a gate that was taken stays taken.
 */
export const GateState = {
  /** The peer is outside native code. */
  free: 0,
  /** The peer is inside. A gate starts so, since loading lmdb and opening the environment count too. */
  held: 1,
  /** Taken by a killer; the peer parks when it meets it. */
  killed: 2,
  /**
   * The peer is inside, and a killer waits: the peer hands the gate over when it comes out. Without this a peer that
   * goes from one native call straight into the next would hardly ever be found outside.
   */
  wanted: 3,
} as const;

/** What a store needs of a gate: to run each native call inside it. */
export interface Gate {
  /** Runs `native`, which must be synchronous and must not come back here. Does not return once the gate is taken. */
  run<T>(native: () => T): T;
}

/** A gate as a peer's thread gets it: held. */
export interface HeldGate extends Gate {
  /**
   * Ends the first hold. To be called when everything native is loaded and opened, or has failed to; a second call does
   * nothing. Until then `run` runs its argument at once.
   */
  release(): void;
}

/** For a store in a thread that nobody terminates. */
export const noGate: Gate = { run: (native) => native() };

/**
 * The peer's side of the gate `words[index]`, which is held already.
 * @param words over a SharedArrayBuffer.
 */
export function heldGate(words: Int32Array, index: number): HeldGate {
  let starting = true;
  return {
    run(native) {
      if (starting) return native();
      enter(words, index);
      try {
        return native();
      } finally {
        leave(words, index);
      }
    },
    release() {
      if (!starting) return;
      starting = false;
      leave(words, index);
    },
  };
}

/**
 * Takes the gate for good, so that its peer may be terminated. A gate that is taken already counts as taken.
 * @param timeoutMs how long to wait for a peer in native code.
 * @returns false when it took too long; the peer then goes on as if nobody had asked.
 */
export async function takeGate(words: Int32Array, index: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  // Waiting on shared memory does not keep an event loop alive; a timer does, even one that never fires.
  const alive = setInterval(() => {}, 2 ** 30);
  try {
    while (!takeOrAsk(words, index)) {
      const left = deadline - performance.now();
      if (left <= 0) return withdraw(words, index);
      const waiting = waitAsync(words, index, GateState.wanted, left);
      if (waiting.async) await waiting.value;
    }
    return true;
  } finally {
    clearInterval(alive);
  }
}

/**
 * The same for exit listeners, which cannot await: blocks this thread.
 * @param deadlineMs the reading of `performance.now()` at which to give up; one for all gates that are to be taken.
 */
export function takeGateSync(words: Int32Array, index: number, deadlineMs: number): boolean {
  while (!takeOrAsk(words, index)) {
    const left = deadlineMs - performance.now();
    if (left <= 0) return withdraw(words, index);
    Atomics.wait(words, index, GateState.wanted, left);
  }
  return true;
}

/** In Node since 16, in TypeScript's library only from es2024 on. */
interface AsyncWait {
  waitAsync(
    words: Int32Array,
    index: number,
    value: number,
    timeoutMs: number,
  ): { readonly async: false } | { readonly async: true; readonly value: Promise<"ok" | "timed-out"> };
}
const { waitAsync } = Atomics as unknown as AsyncWait;

function enter(words: Int32Array, index: number): void {
  const found = Atomics.compareExchange(words, index, GateState.free, GateState.held);
  if (found === GateState.free) return;
  invariant(found === GateState.killed, () => `a native call inside another one: the gate is in state ${found}`);
  park(words, index);
}

function leave(words: Int32Array, index: number): void {
  if (Atomics.compareExchange(words, index, GateState.held, GateState.free) === GateState.held) return;
  Atomics.store(words, index, GateState.killed);
  Atomics.notify(words, index);
  park(words, index);
}

function park(words: Int32Array, index: number): never {
  for (;;) Atomics.wait(words, index, GateState.killed);
}

/** Whether the gate is taken now; if not, its peer knows that it is wanted. */
function takeOrAsk(words: Int32Array, index: number): boolean {
  for (;;) {
    const found = Atomics.compareExchange(words, index, GateState.free, GateState.killed);
    if (found === GateState.free || found === GateState.killed) return true;
    if (found === GateState.wanted) return false;
    if (Atomics.compareExchange(words, index, GateState.held, GateState.wanted) === GateState.held) return false;
  }
}

/** Takes back the wish; true if it was granted at the last moment. */
function withdraw(words: Int32Array, index: number): boolean {
  const found = Atomics.compareExchange(words, index, GateState.wanted, GateState.held);
  // Another killer may be waiting for the same gate: it has to ask again.
  if (found === GateState.wanted) Atomics.notify(words, index);
  return found === GateState.killed;
}
