import type { StateMachine } from "../machine/state-machine.ts";
import type { SnapshotInfo } from "../raft/effects.ts";
import { RaftError } from "../raft/errors.ts";

/** The size of a chunk, in bytes, if nobody says another: small beside what a disk writes in the time of a heartbeat, large beside a record's cost. */
const CHUNK_BYTES = 128 << 10;

/** How long one turn may pull chunks out of the state machine, in milliseconds. Commits wait no longer than this. */
const BUDGET_MS = 2;

/**
 * How long it rests after a turn that it took part in, as a multiple of that turn: peers share a machine and mostly a
 * disk, and take their snapshots at the same time. What is left to the commands is worth more than an early end.
 */
const REST = 4;

const NOTHING = new Uint8Array();
/** What is made of a chunk at first: enough for a small state. */
const FIRST_BYTES = 512;

/** What of a {@link SnapshotInfo} is known before the chunks are. */
type Head = Omit<SnapshotInfo, "chunks" | "bytes">;

/** Where the chunks of a peer's own snapshot go; see Raft. */
export interface ChunkTaker {
  /** The bytes are to be saved before the next `step`. @returns false when the snapshot is of no use any more. */
  stageChunk(number: number, data: Uint8Array): boolean;
  completeSnapshot(info: SnapshotInfo, now: number): void;
}

/**
 * Turns the state machine's frozen view into chunks of one size, a little in each turn of the loop, so that neither
 * commits nor elections wait for it.
 */
export class Snapshotter {
  readonly #head: Head;
  readonly #pieces: Iterator<Uint8Array>;
  /**
   * The chunk that is being filled. There is only one for all: one that is staged is saved in the same turn. To make them
   * anew costs more than to fill them, since the garbage collector looks at all of the state for so many bytes.
   */
  #chunk: Uint8Array;
  readonly #chunkBytes: number;
  #filled = 0;
  /** What was pulled and did not fit into the chunk. */
  #rest: Uint8Array = NOTHING;
  #chunks = 0;
  #bytes = 0;
  /** Whether the last `step` was not in a rest. */
  #hasWorked = false;
  #isComplete = false;
  /** Until when it rests. */
  #restsUntil = Number.NEGATIVE_INFINITY;

  /**
   * Freezes the state as it is now.
   * @param chunkBytes the size of a chunk; default 128 KiB.
   * @throws RaftError `ERR_MACHINE_THREW` when the machine refuses, or returns no bytes.
   */
  constructor(machine: Pick<StateMachine, "snapshot">, head: Head, chunkBytes = CHUNK_BYTES) {
    this.#head = head;
    this.#chunkBytes = chunkBytes;
    this.#chunk = new Uint8Array(Math.min(chunkBytes, FIRST_BYTES));
    try {
      const view = machine.snapshot();
      this.#pieces = view instanceof Uint8Array ? [view][Symbol.iterator]() : view[Symbol.iterator]();
    } catch (cause) {
      throw failed(head.index, cause);
    }
  }

  /** The entry after which the state was frozen. */
  get index(): number {
    return this.#head.index;
  }

  /** Whether the snapshot is whole, and the taker has it. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** When it goes on, by the clock that `step` and `rest` are given. */
  get wakeAt(): number {
    return this.#restsUntil;
  }

  /** The turn of the last `step` is over, its save included; if there was anything done, a rest begins. */
  rest(now: number, tookMs: number): void {
    if (this.#hasWorked) this.#restsUntil = now + REST * tookMs;
  }

  /**
   * Goes on for a little while, unless it rests. At most one chunk is staged a turn: one save carries it.
   * @returns whether that was the end of it, complete or overtaken by a snapshot of the leader.
   * @throws RaftError `ERR_MACHINE_THREW` when the machine's iterator throws; the snapshot before stays in force.
   */
  step(taker: ChunkTaker, now: () => number): boolean {
    const start = now();
    this.#hasWorked = start >= this.#restsUntil;
    if (!this.#hasWorked) return false;
    const deadline = start + BUDGET_MS;
    let done = false;
    while (!done && this.#filled < this.#chunkBytes && now() < deadline) done = this.#fill();
    if (!done && this.#filled < this.#chunkBytes) return false;
    if (this.#filled > 0 || done) {
      if (!taker.stageChunk(this.#chunks, this.#chunk.subarray(0, this.#filled))) return true;
      this.#chunks++;
      this.#bytes += this.#filled;
      this.#filled = 0;
    }
    if (!done) return false;
    taker.completeSnapshot({ ...this.#head, chunks: this.#chunks, bytes: this.#bytes }, now());
    this.#isComplete = true;
    return true;
  }

  /** Fills the chunk, with what is left over first. @returns whether there is no more. */
  #fill(): boolean {
    if (this.#rest.byteLength === 0) {
      const piece = this.#pull();
      if (piece === undefined) return true;
      this.#rest = piece;
    }
    this.#makeRoom(this.#filled + this.#rest.byteLength);
    const fits = this.#rest.subarray(0, this.#chunk.byteLength - this.#filled);
    this.#chunk.set(fits, this.#filled);
    this.#filled += fits.byteLength;
    this.#rest = this.#rest.subarray(fits.byteLength);
    return false;
  }

  /** At once or nearly so: a state that does not fit at first is mostly far larger. */
  #makeRoom(byteLength: number): void {
    const before = this.#chunk;
    if (byteLength <= before.byteLength || before.byteLength === this.#chunkBytes) return;
    this.#chunk = new Uint8Array(Math.min(this.#chunkBytes, Math.max(byteLength, 16 * before.byteLength)));
    this.#chunk.set(before);
  }

  /** @returns undefined when the machine has no more. */
  #pull(): Uint8Array | undefined {
    try {
      const next = this.#pieces.next();
      if (next.done) return undefined;
      if (!(next.value instanceof Uint8Array)) throw new TypeError(`snapshot() gave ${typeof next.value}, not bytes`);
      return next.value;
    } catch (cause) {
      throw failed(this.#head.index, cause);
    }
  }
}

function failed(index: number, cause: unknown): RaftError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new RaftError(
    "ERR_MACHINE_THREW",
    `the state after entry ${index} cannot be taken as a snapshot: ${message}`,
    {
      cause,
    },
  );
}
