import { getUint32, setUint32 } from "../raft/bytes.ts";

/** A record stands behind its length. */
const LENGTH_BYTES = 4;
/** The first chunk is small, since many states are; each is twice as large as the one before, up to the last of these. */
const CHUNK_BYTES = [512, 128 << 10] as const;
/** Beside twice what the records take, this much memory is held. */
const SLACK_BYTES = 1 << 20;

interface Chunk {
  readonly bytes: Uint8Array;
  /** Where its first record stands. */
  readonly first: number;
  /** Up to here it is filled. */
  filled: number;
  /** How many bytes of it are those of records that are of use. */
  used: number;
}

/**
 * Records in chunks of bytes that are only ever appended to, so that whoever was given a chunk may read from it whatever
 * becomes of the records. A chunk without a record of use is forgotten; whoever uses the arena moves those of the
 * `sparsest` one elsewhere, so that about twice their size is held at most.
 *
 * The chunks are shared buffers, though nobody shares them: V8 takes other buffers for growth of the old generation, and went
 * through all of a busy peer's heap four times a second for what was nearly all still of use.
 */
export class RecordArena {
  readonly #chunks: (Chunk | undefined)[] = [];
  /** Numbers of forgotten chunks, to be given again. */
  readonly #free: number[] = [];
  #held = 0;
  #used = 0;
  #nextBytes: number = CHUNK_BYTES[0];
  /** The number of the chunk that is appended to, and that is not forgotten while it is. */
  #current = -1;

  /** How much memory all chunks take. */
  get heldBytes(): number {
    return this.#held;
  }

  bytes(chunk: number): Uint8Array | undefined {
    return chunk < 0 ? undefined : this.#chunks[chunk]?.bytes;
  }

  /** The bytes of all chunks, by their numbers. */
  all(): (Uint8Array | undefined)[] {
    return this.#chunks.map((chunk) => chunk?.bytes);
  }

  /** Takes in a chunk as it is, of which the first record stands at `first`; none is of use yet. @returns its number. */
  adopt(bytes: Uint8Array, first: number): number {
    return this.#add({ bytes, first, filled: bytes.byteLength, used: 0 });
  }

  /** Makes room for a record, which is of use. @returns the number of its chunk; it is the last one in that. */
  append(recordBytes: number): number {
    const number = this.#numberFor(LENGTH_BYTES + recordBytes);
    const chunk = this.#chunks[number] as Chunk;
    setUint32(chunk.bytes, chunk.filled, recordBytes);
    chunk.filled += LENGTH_BYTES + recordBytes;
    this.use(number, recordBytes);
    return number;
  }

  /** Where the last record of a chunk ends. */
  end(chunk: number): number {
    return this.#chunks[chunk]?.filled ?? 0;
  }

  /** A record of so many bytes is of use. */
  use(number: number, recordBytes: number): void {
    this.#count(number, LENGTH_BYTES + recordBytes);
  }

  /** A record of so many bytes is of no use any more. */
  release(number: number, recordBytes: number): void {
    this.#count(number, -LENGTH_BYTES - recordBytes);
    if (number !== this.#current) this.#forgetUnused(number);
  }

  /** The chunk with the least of use in it, when too much memory is held; else undefined. */
  sparsest(): number | undefined {
    if (this.#held <= 2 * this.#used + SLACK_BYTES) return undefined;
    let least = 1;
    let sparsest: number | undefined;
    for (let number = 0; number < this.#chunks.length; number++) {
      const chunk = this.#chunks[number];
      if (chunk === undefined || number === this.#current) continue;
      const share = chunk.used / chunk.bytes.byteLength;
      if (share >= least) continue;
      least = share;
      sparsest = number;
    }
    return sparsest;
  }

  /** Where the records of a chunk begin, one after the other, be they of use or not. */
  *records(number: number): Generator<number> {
    const chunk = this.#chunks[number];
    if (chunk === undefined) return;
    const { bytes, first, filled } = chunk;
    for (let start = first; start <= filled; ) {
      const end = start + recordBytes(bytes, start);
      // What a chunk of a snapshot ends with may go on in the next one.
      if (end > filled) return;
      yield start;
      start = end + LENGTH_BYTES;
    }
  }

  #numberFor(needed: number): number {
    const current = this.#chunks[this.#current];
    if (current !== undefined && current.filled + needed <= current.bytes.byteLength) return this.#current;
    // A large one has a chunk of its own, and what is left of the current one is for those that come later.
    const isLarge = needed > this.#nextBytes / 2;
    const bytes = new Uint8Array(new SharedArrayBuffer(isLarge ? needed : this.#nextBytes));
    const number = this.#add({ bytes, first: LENGTH_BYTES, filled: 0, used: 0 });
    if (!isLarge) {
      const before = this.#current;
      this.#current = number;
      this.#forgetUnused(before);
    }
    this.#nextBytes = Math.min(2 * this.#nextBytes, CHUNK_BYTES[1]);
    return number;
  }

  #add(chunk: Chunk): number {
    const number = this.#free.pop() ?? this.#chunks.length;
    this.#chunks[number] = chunk;
    this.#held += chunk.bytes.byteLength;
    return number;
  }

  #count(number: number, bytes: number): void {
    const chunk = this.#chunks[number];
    if (chunk === undefined) return;
    chunk.used += bytes;
    this.#used += bytes;
  }

  #forgetUnused(number: number): void {
    const chunk = this.#chunks[number];
    if (chunk === undefined || chunk.used > 0) return;
    this.#chunks[number] = undefined;
    this.#free.push(number);
    this.#held -= chunk.bytes.byteLength;
  }
}

/** How many bytes the record takes that begins at `start`. */
export function recordBytes(bytes: Uint8Array, start: number): number {
  return getUint32(bytes, start - LENGTH_BYTES);
}
