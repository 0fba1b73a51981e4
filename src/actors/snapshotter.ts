import type { StateMachine } from "../machine/state-machine.ts";
import type { SnapshotInfo } from "../raft/effects.ts";
import { RaftError } from "../raft/errors.ts";

/** The size of a chunk, in bytes: small beside what a disk writes in the time of a heartbeat, large beside a record's cost. */
const CHUNK_BYTES = 256 << 10;

/** How long one turn may pull chunks out of the state machine, in milliseconds. Commits wait no longer than this. */
const BUDGET_MS = 2;

/** What of a {@link SnapshotInfo} is known before the chunks are. */
type Head = Omit<SnapshotInfo, "chunks" | "bytes">;

/** Where the chunks of a peer's own snapshot go; see Raft. */
export interface ChunkTaker {
  /** @returns false when the snapshot is of no use any more. */
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
  /** Pulled and not staged yet. */
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #chunks = 0;
  #bytes = 0;

  /**
   * Freezes the state as it is now.
   * @throws RaftError `ERR_MACHINE_THREW` when the machine refuses, or returns no bytes.
   */
  constructor(machine: Pick<StateMachine, "snapshot">, head: Head) {
    this.#head = head;
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

  /**
   * Goes on for a little while. At most one chunk is staged a turn: one save carries it.
   * @returns whether that was the end of it, complete or overtaken by a snapshot of the leader.
   * @throws RaftError `ERR_MACHINE_THREW` when the machine's iterator throws; the snapshot before stays in force.
   */
  step(taker: ChunkTaker, now: () => number): boolean {
    const deadline = now() + BUDGET_MS;
    let done = false;
    while (!done && this.#partBytes < CHUNK_BYTES && now() < deadline) done = this.#pull();
    if (!done && this.#partBytes < CHUNK_BYTES) return false;
    const isLast = done && this.#partBytes <= CHUNK_BYTES;
    if (this.#partBytes > 0 || isLast) {
      if (!taker.stageChunk(this.#chunks, this.#take())) return true;
      this.#chunks++;
    }
    if (!isLast) return false;
    taker.completeSnapshot({ ...this.#head, chunks: this.#chunks, bytes: this.#bytes }, now());
    return true;
  }

  /** @returns whether the machine has no more. */
  #pull(): boolean {
    try {
      const next = this.#pieces.next();
      if (next.done) return true;
      if (!(next.value instanceof Uint8Array)) throw new TypeError(`snapshot() gave ${typeof next.value}, not bytes`);
      this.#parts.push(next.value);
      this.#partBytes += next.value.byteLength;
      return false;
    } catch (cause) {
      throw failed(this.#head.index, cause);
    }
  }

  /** The next chunk, of what was pulled. */
  #take(): Uint8Array {
    const size = Math.min(this.#partBytes, CHUNK_BYTES);
    const chunk = new Uint8Array(size);
    let filled = 0;
    while (filled < size) {
      const part = this.#parts[0];
      if (part === undefined) break;
      const used = part.subarray(0, size - filled);
      chunk.set(used, filled);
      filled += used.byteLength;
      if (used.byteLength === part.byteLength) this.#parts.shift();
      else this.#parts[0] = part.subarray(used.byteLength);
    }
    this.#partBytes -= size;
    this.#bytes += size;
    return chunk;
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
