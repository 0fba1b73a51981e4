/**
 * How a peer's thread waits for mail. It sleeps on one word in shared memory, and whoever posts to one of its ports rings
 * it awake: that takes a quarter of the time that the event loop needs to wake up and find a port's message.
 *
 * Post first, then ring. The peer looks at the word first, then into its ports, then sleeps if the word is still the
 * same: so no mail is slept over.
 */
export function ring(bells: Int32Array, peer: number): void {
  Atomics.add(bells, peer, 1);
  Atomics.notify(bells, peer);
}

/** What {@link sleep} is to be given, read before the ports are drained. */
export function rings(bells: Int32Array, peer: number): number {
  return Atomics.load(bells, peer);
}

/** Sleeps until the bell rings, or has rung since it stood at `heard`, for `ms` milliseconds at most. */
export function sleep(bells: Int32Array, peer: number, heard: number, ms: number): void {
  if (ms > 0) Atomics.wait(bells, peer, heard, ms);
}
