import type { Batch } from "../raft/entry.ts";

/** Takes a buffer that nobody reads from any more. */
export type ReleaseBuffer = (buffer: ArrayBuffer) => void;

/**
 * What entries came in, from clients and from the leader, until it can be given back. To V8 buffers are growth of the heap until
 * it has gone through all of it to find that nobody has them: on a busy peer several times a second.
 */
export class UnusedBuffers {
  readonly #release: ReleaseBuffer;
  #evicted: Batch[] = [];

  constructor(release: ReleaseBuffer) {
    this.#release = release;
  }

  /** The log has let go of a batch. Messages may have it until they are sent, and who applies it until that is done. */
  add(batch: Batch): void {
    this.#evicted.push(batch);
  }

  /**
   * No message is waiting. The batch that ends a packet goes last of those in it; one that is not applied yet is left to the
   * collector, and so is a packet that ends with something else.
   */
  release(lastApplied: number): void {
    if (this.#evicted.length === 0) return;
    for (const { lastIndex, bytes } of this.#evicted) {
      const { buffer, byteOffset, byteLength } = bytes;
      const isLast = byteOffset + byteLength === buffer.byteLength;
      if (lastIndex <= lastApplied && isLast && buffer instanceof ArrayBuffer) this.#release(buffer);
    }
    this.#evicted = [];
  }
}
