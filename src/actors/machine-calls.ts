/**
 * Which call of its state machine each peer is in, in memory that its supervisor reads: a thread that never comes back
 * from one cannot say so, and one that died in one neither.
 */
const CALLS = ["none", "load", "apply", "query", "snapshot", "restore"] as const;

/**
 * What a peer is in the middle of: `load` imports the machine's module and makes the instance, the others are its
 * methods. A pull at the chunks of `snapshot` is one of these too, and each chunk that `restore` pulls begins it anew.
 */
export type MachineCall = (typeof CALLS)[number];

/** The call that a peer is in, and the entry it is about: the one applied, or the last one that the state holds. */
export interface CurrentCall {
  readonly call: MachineCall;
  readonly index: number;
}

/** A block is a cache line, since each peer writes to its own all the time: the call, the entry, and a count of calls. */
const BLOCK_FLOATS = 8;

/** The memory for so many peers, none of which is in any call. */
export function createMachineCalls(peers: number): SharedArrayBuffer {
  return new SharedArrayBuffer(peers * BLOCK_FLOATS * 8);
}

/**
 * The calls of one peer. It is for the peer's thread to enter and to leave; its supervisor reads, and clears what a
 * dead one has left. Plain writes do, since who reads too early reads again.
 */
export class MachineCalls {
  readonly #floats: Float64Array;

  /** @param position of the peer among those that the memory was made for. */
  constructor(buffer: SharedArrayBuffer, position: number) {
    this.#floats = new Float64Array(buffer, position * BLOCK_FLOATS * 8, BLOCK_FLOATS);
  }

  enter(call: MachineCall, index: number): void {
    this.#floats[1] = index;
    this.#floats[2] = this.count + 1;
    this.#floats[0] = numberOf(call);
  }

  leave(): void {
    this.#floats[0] = 0;
  }

  get current(): CurrentCall {
    return { call: CALLS[this.#floats[0] ?? 0] ?? "none", index: this.#floats[1] ?? 0 };
  }

  /** How many calls were entered: as long as it stays the same, so does the call. */
  get count(): number {
    return this.#floats[2] ?? 0;
  }
}

/** In {@link CALLS}; each command enters one, and where the name is known this costs nothing. */
function numberOf(call: MachineCall): number {
  switch (call) {
    case "none":
      return 0;
    case "load":
      return 1;
    case "apply":
      return 2;
    case "query":
      return 3;
    case "snapshot":
      return 4;
    case "restore":
      return 5;
  }
}

/** For messages: what a peer does in a call. */
export function describeCall({ call, index }: CurrentCall): string {
  switch (call) {
    case "none":
      return "in no call of its state machine";
    case "load":
      return "loading its state machine";
    case "apply":
      return `applying the entry at index ${index}`;
    case "query":
      return `answering a query, with the entries up to ${index} applied`;
    case "snapshot":
      return `taking a snapshot of the state after entry ${index}`;
    case "restore":
      return `restoring the snapshot of entry ${index}`;
  }
}
