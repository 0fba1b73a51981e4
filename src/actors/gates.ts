import { performance } from "node:perf_hooks";
import { GateState, takeGateSync } from "../storage/gate.ts";

/**
 * The gates of all starts of all peers of a supervisor (see storage/gate.ts), in memory that its threads share. Word 0
 * says "closing", word 1 counts the gates that were given out; each start of a peer gets the next one, and none is used
 * twice, so that a gate taken for one thread can never hold up another.
 */
const CLOSING = 0;
const COUNT = 1;
const FIRST = 2;

/** Enough for a peer that dies every second for three days; a megabyte that is touched only as far as it is used. */
const WORDS = 1 << 18;

/** How long the exit of a thread may wait for its peers to leave native code, in all. */
const EXIT_DEADLINE_MS = 1_000;

export function createGates(): SharedArrayBuffer {
  return new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT);
}

/** The next gate, held; undefined when the supervisor is closing or has started its peers too often. */
export function nextGate(gates: Int32Array): number | undefined {
  if (Atomics.load(gates, CLOSING) !== 0) return undefined;
  const gate = FIRST + Atomics.add(gates, COUNT, 1);
  if (gate >= gates.length) return undefined;
  Atomics.store(gates, gate, GateState.held);
  // Who closes sets the word and then reads the count: one of the two has seen the other.
  return Atomics.load(gates, CLOSING) === 0 ? gate : undefined;
}

/** No gate is given out from now on, and so no peer started. */
export function closeGates(gates: Int32Array): void {
  Atomics.store(gates, CLOSING, 1);
}

/** The thread of this gate has ended: nobody has to wait for it. */
export function retireGate(gates: Int32Array, gate: number): void {
  Atomics.store(gates, gate, GateState.killed);
  Atomics.notify(gates, gate);
}

const guarded = new Set<Int32Array>();

/**
 * Takes every gate when this thread exits, so that no peer is in native code when its thread is torn down; that would
 * hang or abort the process. One listener a thread, however many supervisors there are.
 * @returns what ends the guard.
 */
export function guardExit(gates: Int32Array): () => void {
  if (guarded.size === 0) process.on("exit", takeAllGates);
  guarded.add(gates);
  return () => {
    guarded.delete(gates);
    if (guarded.size === 0) process.off("exit", takeAllGates);
  };
}

function takeAllGates(): void {
  const deadline = performance.now() + EXIT_DEADLINE_MS;
  for (const gates of guarded) {
    closeGates(gates);
    const end = Math.min(FIRST + Atomics.load(gates, COUNT), gates.length);
    for (let gate = FIRST; gate < end; gate++) takeGateSync(gates, gate, deadline);
  }
}
