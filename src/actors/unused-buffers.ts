import type { Batch } from "../raft/entry.ts";

/** Takes a buffer that nobody reads from any more. */
export type ReleaseBuffer = (buffer: ArrayBuffer) => void;

/**
 * What entries and snapshots came in, from clients, the leader and the store, until it can be given back. To V8 buffers are growth
 * of the heap until it has gone through all of it to find that nobody has them: on a busy peer several times a second.
 */
export class UnusedBuffers {
  readonly #release: ReleaseBuffer;
  #evicted: Batch[] = [];
  #passed: Uint8Array[] = [];

  constructor(release: ReleaseBuffer) {
    this.#release = release;
  }

  /** The log has let go of a batch. Messages may have it until they are sent, and who applies it until that is done. */
  evicted(batch: Batch): void {
    this.#evicted.push(batch);
  }

  /** Nothing of what is in the buffer of these bytes is of use beyond this turn. */
  passed(bytes: Uint8Array): void {
    this.#passed.push(bytes);
  }

  /**
   * No message is waiting. The batch that ends a packet goes last of those in it; one that is not applied yet is left to the
   * collector, and so is a packet that ends with something else.
   */
  release(lastApplied: number): void {
    if (this.#evicted.length > 0) {
      for (const { lastIndex, bytes } of this.#evicted) {
        const isLast = bytes.byteOffset + bytes.byteLength === bytes.buffer.byteLength;
        if (lastIndex <= lastApplied && isLast) this.#give(bytes);
      }
      this.#evicted = [];
    }
    if (this.#passed.length > 0) {
      for (const bytes of this.#passed) this.#give(bytes);
      this.#passed = [];
    }
  }

  #give({ buffer }: Uint8Array): void {
    if (buffer instanceof ArrayBuffer) this.#release(buffer);
  }
}
