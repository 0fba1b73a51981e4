/**
 * Freezing a peer: its thread sleeps in the middle of its loop, its queues fill, its timers expire; on waking it finds
 * it all. One word a peer in shared memory, since a frozen thread hears nothing.
 */
const RUN = 0;
const ASKED = 1;
const FROZEN = 2;

/**
 * The peer's side, at the top of each turn of its loop: sleeps while a pause is in force.
 * @returns whether it did, and mail may have come in meanwhile.
 */
export function freezeIfAsked(words: Int32Array, peer: number): boolean {
  if (Atomics.load(words, peer) === RUN) return false;
  if (Atomics.compareExchange(words, peer, ASKED, FROZEN) === RUN) return false;
  Atomics.notify(words, peer);
  Atomics.wait(words, peer, FROZEN);
  return true;
}

/** Asks for a pause; the loop has to turn to see it. */
export function askToFreeze(words: Int32Array, peer: number): void {
  Atomics.compareExchange(words, peer, RUN, ASKED);
}

export function isFrozen(words: Int32Array, peer: number): boolean {
  return Atomics.load(words, peer) === FROZEN;
}

/** Ends a pause, or takes one back that was not in force yet. */
export function thaw(words: Int32Array, peer: number): void {
  Atomics.store(words, peer, RUN);
  Atomics.notify(words, peer);
}
