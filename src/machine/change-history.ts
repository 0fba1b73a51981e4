import { inspect } from "node:util";
import { packBriefly } from "./codec.ts";
import { recordAt } from "./key-value-record.ts";
import { Chunk, recordBytes } from "./record-arena.ts";

/** What one command did to one key. */
export interface KeyValueChange {
  /** Of the command's entry in the log. A transaction makes several changes of one index, one a key. */
  readonly index: number;
  readonly key: string;
  /** Undefined: the key was deleted. */
  readonly value: unknown;
  /** Of the key, see {@link KeyValueEntry}; 0: it was deleted. */
  readonly version: number;
}

/** Changes since an index; see {@link ChangeHistory.since}. */
export interface KeyValueChanges {
  readonly changes: readonly KeyValueChange[];
  /** The first index that is known of. When it is behind the one that was asked for, changes are missing. */
  readonly firstIndex: number;
  /** When there are more: all up to this index are among `changes`. Undefined when that is all there is. */
  readonly upTo: number | undefined;
}

/** How much is kept by default: some seconds of a busy map. */
const MAX_CHANGES = 10_000;
const MAX_BYTES = 8 << 20;
/** About what a change takes beside its key and value. */
const CHANGE_BYTES = 128;

/** What a command has made of a key. Never written to again. */
interface Written {
  readonly key: string;
  readonly value: unknown;
  readonly version: number;
}

/**
 * The latest changes of a map. It is no part of the replicated state: a peer that began with a snapshot has none before.
 *
 * What is kept outlives many young collections, so that each object more would be copied again and again: it is what the map
 * has itself, and numbers.
 */
export class ChangeHistory {
  /** All changes behind this index are here. */
  #complete: number;
  /**
   * A ring, whose length is a power of two. Of each change, in the place of its number: what was written, or the chunk with
   * its record; where that begins; its index; and about how many bytes it takes.
   */
  #written: (Written | Chunk | undefined)[] = [undefined];
  #starts = new Uint32Array(1);
  #indices = new Float64Array(1);
  #sizes = new Float64Array(1);
  /** The numbers of the oldest change that is kept, and of the one to come. */
  #first = 0;
  #next = 0;
  #bytes = 0;
  readonly #maxChanges: number;

  constructor(completeAfter: number, maxChanges = MAX_CHANGES) {
    if (!Number.isInteger(maxChanges) || maxChanges < 0) {
      throw new Error(`maxChanges: expected a whole number, 0 or more, got ${inspect(maxChanges)}`);
    }
    this.#complete = completeAfter;
    this.#maxChanges = maxChanges;
  }

  /** @param written the value is undefined, and the version 0, of a key that was deleted. */
  add(index: number, written: Written): void {
    this.#add(index, written, 0, 2 * written.key.length + memoryOf(written.value));
  }

  /** @param start where the record of what was written begins in `chunk`. */
  addRecord(index: number, chunk: Chunk, start: number): void {
    chunk.retain();
    this.#add(index, chunk, start, recordBytes(chunk.bytes, start));
  }

  #add(index: number, written: Written | Chunk, start: number, bytes: number): void {
    if (this.#next - this.#first === this.#written.length) this.#grow();
    const place = this.#next++ & (this.#written.length - 1);
    this.#written[place] = written;
    this.#starts[place] = start;
    this.#indices[place] = index;
    this.#sizes[place] = CHANGE_BYTES + bytes;
    this.#bytes += CHANGE_BYTES + bytes;
    while (this.#isTooMuch(this.#next - this.#first)) this.#drop();
  }

  #drop(): void {
    const place = this.#first++ & (this.#written.length - 1);
    this.#bytes -= this.#sizes[place] ?? 0;
    this.#complete = this.#indices[place] ?? this.#complete;
    const dropped = this.#written[place];
    if (dropped instanceof Chunk) dropped.release();
    this.#written[place] = undefined;
  }

  /** The latest change is kept however large it is, or nobody who watches could ever get past it. */
  #isTooMuch(count: number): boolean {
    return count > this.#maxChanges || (count > 1 && this.#bytes > MAX_BYTES);
  }

  /** To twice its length; it is full. */
  #grow(): void {
    const { length } = this.#written;
    // Those before the oldest one are behind the others.
    const at = this.#first & (length - 1);
    const doubled = <Numbers extends Uint32Array | Float64Array>(from: Numbers, to: Numbers): Numbers => {
      to.set(from.subarray(at));
      to.set(from.subarray(0, at), length - at);
      return to;
    };
    const empty = new Array<undefined>(length).fill(undefined);
    this.#written = [...this.#written.slice(at), ...this.#written.slice(0, at), ...empty];
    this.#starts = doubled(this.#starts, new Uint32Array(2 * length));
    this.#indices = doubled(this.#indices, new Float64Array(2 * length));
    this.#sizes = doubled(this.#sizes, new Float64Array(2 * length));
    this.#first = 0;
    this.#next = length;
  }

  /** The changes behind the index `after` that `fits` takes; about `limit`, but all of the last index. */
  since(after: number, fits: (key: string) => boolean, limit: number): KeyValueChanges {
    const firstIndex = this.#complete + 1;
    const changes: KeyValueChange[] = [];
    if (after < this.#complete) return { changes, firstIndex, upTo: undefined };
    for (let number = this.#firstBehind(after); number < this.#next; number++) {
      const written = this.#writtenAs(number);
      const index = this.#indexOf(number);
      if (written === undefined || !fits(written.key)) continue;
      const last = changes.at(-1)?.index ?? index;
      if (changes.length >= limit && index !== last) return { changes, firstIndex, upTo: last };
      const { key, value, version } = written;
      changes.push({ index, key, value, version });
    }
    return { changes, firstIndex, upTo: undefined };
  }

  #writtenAs(number: number): Written | undefined {
    const place = number & (this.#written.length - 1);
    const written = this.#written[place];
    return written instanceof Chunk ? recordAt(written.bytes, this.#starts[place] ?? 0) : written;
  }

  #indexOf(number: number): number {
    return this.#indices[number & (this.#written.length - 1)] ?? 0;
  }

  #firstBehind(after: number): number {
    let low = this.#first;
    let high = this.#next;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#indexOf(middle) <= after) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** At most about how many bytes a value takes in memory: a string may take two for each UTF-16 unit. */
function memoryOf(value: unknown): number {
  return typeof value === "string" ? 2 * value.length : sizeOf(value);
}

/** About how many bytes a value takes when it is encoded. */
export function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (value instanceof Uint8Array) return value.byteLength;
  return typeof value === "object" && value !== null ? packBriefly(value).byteLength : 8;
}
