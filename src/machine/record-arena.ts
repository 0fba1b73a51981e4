import { getUint32, setUint32 } from "../raft/bytes.ts";

/** A record stands behind its length. */
const LENGTH_BYTES = 4;
/** The first chunk is small, since many states are; each is twice as large as the one before, up to the last of these. */
const CHUNK_BYTES = [512, 128 << 10] as const;
/** Beside twice what the records take, this much memory is held. */
const SLACK_BYTES = 1 << 20;
/** How many chunks that nobody reads any more are kept to be filled again; and of all that is held, this part. */
const MOST_SPARE = 64;
const SPARE_PART = 1 / 4;

/** Where records lie, one behind the other. */
export class Chunk {
  readonly bytes: Uint8Array;
  /** Where its first record stands. */
  readonly first: number;
  /** Up to here it is filled. */
  filled = 0;
  /** How many bytes of it are those of records that are of use. */
  used = 0;
  /** It has no record of use, and gets no other. */
  isForgotten = false;
  #readers = 0;
  readonly #onUnread: ((chunk: Chunk) => void) | undefined;

  /** @param onUnread undefined: the bytes came from elsewhere, and are not to be written to. */
  constructor(bytes: Uint8Array, first: number, onUnread?: (chunk: Chunk) => void) {
    this.bytes = bytes;
    this.first = first;
    this.#onUnread = onUnread;
  }

  /** Whether it may be filled again. */
  get isOwn(): boolean {
    return this.#onUnread !== undefined;
  }

  get isRead(): boolean {
    return this.#readers > 0;
  }

  /** Somebody reads from it for a while: what is there stays as it is. */
  retain(): void {
    this.#readers++;
  }

  /** Who never says so keeps it from being filled again, and no more than that. */
  release(): void {
    if (--this.#readers === 0) this.#onUnread?.(this);
  }
}

/**
 * Records in chunks of bytes that are only ever appended to. A chunk without a record of use is forgotten; whoever uses the
 * arena moves those of the `sparsest` one elsewhere, so that about twice their size is held at most.
 *
 * What is forgotten is filled again as soon as nobody reads from it. Left to the collector, the chunks of a busy peer counted as
 * growth of its heap, all of which it went through four times a second.
 */
export class RecordArena {
  readonly #chunks: (Chunk | undefined)[] = [];
  /** Numbers of forgotten chunks, to be given again. */
  readonly #free: number[] = [];
  /** To be filled again; all of the largest size. */
  readonly #spare: Uint8Array[] = [];
  #held = 0;
  #used = 0;
  #nextBytes: number = CHUNK_BYTES[0];
  /** The number of the chunk that is appended to, and that is not forgotten while it is. */
  #current = -1;

  /** How much memory the chunks take, those that were forgotten not counted. */
  get heldBytes(): number {
    return this.#held;
  }

  /** The chunk of this number; undefined if there is none, as for a negative one. */
  chunk(number: number): Chunk | undefined {
    return number < 0 ? undefined : this.#chunks[number];
  }

  /** Those of the chunk of this number. */
  bytes(number: number): Uint8Array | undefined {
    return this.chunk(number)?.bytes;
  }

  /** All chunks, by their numbers. */
  all(): (Chunk | undefined)[] {
    return [...this.#chunks];
  }

  /** Takes in a chunk as it is, of which the first record stands at `first`; none is of use yet. @returns its number. */
  adopt(bytes: Uint8Array, first: number): number {
    const chunk = new Chunk(bytes, first);
    chunk.filled = bytes.length;
    return this.#add(chunk);
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
  end(number: number): number {
    return this.#chunks[number]?.filled ?? 0;
  }

  /** A record of so many bytes is of use. */
  use(number: number, recordBytes: number): void {
    this.#count(number, LENGTH_BYTES + recordBytes);
  }

  /** A record of so many bytes is of no use any more. */
  disuse(number: number, recordBytes: number): void {
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
      const share = chunk.used / chunk.bytes.length;
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
    if (current !== undefined && current.filled + needed <= current.bytes.length) return this.#current;
    // A large one has a chunk of its own, and what is left of the current one is for those that come later.
    const isLarge = needed > this.#nextBytes / 2;
    const number = this.#add(this.#make(isLarge ? needed : this.#nextBytes));
    if (!isLarge) {
      const before = this.#current;
      this.#current = number;
      this.#forgetUnused(before);
    }
    this.#nextBytes = Math.min(2 * this.#nextBytes, CHUNK_BYTES[1]);
    return number;
  }

  #make(size: number): Chunk {
    const spare = size === CHUNK_BYTES[1] ? this.#spare.pop() : undefined;
    return new Chunk(spare ?? new Uint8Array(size), LENGTH_BYTES, (unread) => this.#fillAgain(unread));
  }

  #add(chunk: Chunk): number {
    const number = this.#free.pop() ?? this.#chunks.length;
    this.#chunks[number] = chunk;
    this.#held += chunk.bytes.length;
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
    this.#held -= chunk.bytes.length;
    chunk.isForgotten = true;
    this.#fillAgain(chunk);
  }

  /** If nothing of it is of use, and nobody reads from it. */
  #fillAgain({ isForgotten, isRead, isOwn, bytes }: Chunk): void {
    if (!isForgotten || isRead || !isOwn || bytes.length !== CHUNK_BYTES[1]) return;
    const most = Math.max(MOST_SPARE, (SPARE_PART * this.#held) / CHUNK_BYTES[1]);
    if (this.#spare.length < most) this.#spare.push(bytes);
  }
}

/** How many bytes the record takes that begins at `start`. */
export function recordBytes(bytes: Uint8Array, start: number): number {
  return getUint32(bytes, start - LENGTH_BYTES);
}
