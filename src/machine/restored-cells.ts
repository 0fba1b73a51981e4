import { inspect } from "node:util";
import { decodeFirst, decodeWithin } from "./codec.ts";
import type { Cell } from "./key-value-rules.ts";
import type { KeyValueEntry } from "./key-value-types.ts";
import type { RecordPlace } from "./records.ts";

/** In msgpack, what begins an array of three: all records but those of the first version of the format. */
const RECORD = 0x93;
/** What begins a text of no more than `MOST_SHORT` bytes, beside their number. */
const SHORT_TEXT = 0xa0;
const MOST_SHORT = 31;
const NOT_ASCII = 0x80;
/** A place in the table of hashes that was never taken; all others are numbers of records, counted from 1. */
const FREE = 0;
/** In the place of a record's chunk: the bytes are of no use any more. */
const NONE = -1;
/** So that nobody who chooses keys can choose them to collide. */
const SEED = Math.floor(Math.random() * 2 ** 32);

/**
 * The entries of a snapshot, and what became of them since it was restored; in their order, as that of a map that was never
 * restored is. Most of a large state is not looked at for long: it stays as it came, bytes outside of the collector's heap, and
 * what finds an entry is an open hash table over the records, numbers outside of that heap too. Strings and objects are made
 * for who asks, and not kept. The memory of a chunk is free again when all of its entries were written or removed.
 */
export class RestoredCells {
  /** Undefined when nothing of it is of use. */
  readonly #chunks: (Uint8Array | undefined)[] = [];
  /** How many records of each chunk are of use. */
  readonly #used: number[] = [];
  /** Of each record: its chunk, where it lies in that, and the hash of its key. */
  readonly #chunkOf: Int32Array;
  readonly #starts: Uint32Array;
  readonly #ends: Uint32Array;
  readonly #hashes: Int32Array;
  /** Probed one by one from where the hash says. At most half of it is taken. */
  readonly #table: Int32Array;
  /** What was written in the place of a record, and where that is, by its key. */
  readonly #written: (Cell | undefined)[];
  readonly #places = new Map<string, number>();
  #records = 0;
  #size = 0;

  /** @param capacity how many may be added. */
  constructor(capacity: number) {
    this.#chunkOf = new Int32Array(capacity);
    this.#starts = new Uint32Array(capacity);
    this.#ends = new Uint32Array(capacity);
    this.#hashes = new Int32Array(capacity);
    this.#table = new Int32Array(2 ** Math.ceil(Math.log2(2 * capacity + 2)));
    this.#written = new Array<Cell | undefined>(capacity).fill(undefined);
  }

  /** How many entries are left. */
  get size(): number {
    return this.#size;
  }

  /**
   * Takes in a record of key, value and version, and keeps its bytes; those of one chunk come one after the other.
   * @throws Error when it is none, its key was there before, or there is no room for it.
   */
  add({ bytes, start, end }: RecordPlace): void {
    if (this.#records === this.#starts.length)
      throw new Error(`more records than the ${this.#records} there should be`);
    const hash = hashOfKey(bytes, start, end);
    const at = this.#find(hash, (record) => this.#has(record, keyOf(bytes, start, end)));
    if (this.#table[at] !== FREE) throw new Error(`two records with the key ${inspect(keyOf(bytes, start, end))}`);
    if (this.#chunks.at(-1) !== bytes) {
      this.#chunks.push(bytes);
      this.#used.push(0);
    }
    const chunk = this.#chunks.length - 1;
    const record = this.#records++;
    this.#chunkOf[record] = chunk;
    this.#starts[record] = start;
    this.#ends[record] = end;
    this.#hashes[record] = hash;
    this.#table[at] = record + 1;
    this.#used[chunk] = (this.#used[chunk] ?? 0) + 1;
    this.#size++;
  }

  get(key: string): Cell | undefined {
    const record = this.#recordOf(key);
    if (record === undefined) return undefined;
    return this.#written[record] ?? this.#restored(record, this.#chunks[this.#chunkOf[record] ?? NONE]);
  }

  /** Writes in the place of an entry. @returns false when there is none. */
  set(key: string, cell: Cell): boolean {
    const record = this.#recordOf(key);
    if (record === undefined) return false;
    if (this.#written[record] === undefined) {
      this.#release(record);
      this.#places.set(key, record);
    }
    this.#written[record] = cell;
    return true;
  }

  /** @returns false when there is none. */
  delete(key: string): boolean {
    const record = this.#recordOf(key);
    if (record === undefined) return false;
    if (this.#places.delete(key)) this.#written[record] = undefined;
    else this.#release(record);
    this.#size--;
    return true;
  }

  /** Those that there are now, whatever becomes of them before they are pulled. */
  all(): Iterable<Cell> {
    const chunks = [...this.#chunks];
    const chunkOf = this.#chunkOf.slice(0, this.#records);
    const written = this.#written.slice(0, this.#records);
    const restored = (record: number, chunk: number) => this.#restored(record, chunks[chunk]);
    return (function* () {
      for (const [record, chunk] of chunkOf.entries()) {
        const cell = written[record] ?? restored(record, chunk);
        if (cell !== undefined) yield cell;
      }
    })();
  }

  #restored(record: number, chunk: Uint8Array | undefined): Cell | undefined {
    return chunk && new RestoredCell(chunk, this.#starts[record] ?? 0, this.#ends[record] ?? 0);
  }

  /** The bytes of the record are of no use any more. */
  #release(record: number): void {
    const chunk = this.#chunkOf[record] ?? NONE;
    this.#chunkOf[record] = NONE;
    const used = (this.#used[chunk] ?? 0) - 1;
    this.#used[chunk] = used;
    if (used === 0) this.#chunks[chunk] = undefined;
  }

  #recordOf(key: string): number | undefined {
    if (this.#size === 0) return undefined;
    const place = this.#places.get(key);
    if (place !== undefined) return place;
    const number = this.#table[this.#find(hashOf(key), (record) => this.#has(record, key))] ?? FREE;
    return number === FREE ? undefined : number - 1;
  }

  /** Where the record of this hash that is the right one stands in the table, or where it would. */
  #find(hash: number, isRight: (record: number) => boolean): number {
    const last = this.#table.length - 1;
    let at = hash & last;
    for (;;) {
      const number = this.#table[at] ?? FREE;
      if (number === FREE) return at;
      if (this.#hashes[number - 1] === hash && isRight(number - 1)) return at;
      at = (at + 1) & last;
    }
  }

  /** Whether the record's bytes are of use, and have this key. */
  #has(record: number, key: string): boolean {
    const bytes = this.#chunks[this.#chunkOf[record] ?? NONE];
    return bytes !== undefined && isKey(bytes, this.#starts[record] ?? 0, this.#ends[record] ?? 0, key);
  }
}

/** Makes what it is asked for, each time. */
class RestoredCell implements Cell {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  get key(): string {
    return keyOf(this.#bytes, this.#start, this.#end);
  }

  get value(): unknown {
    return this.entry().value;
  }

  get version(): number {
    return this.entry().version;
  }

  entry(): KeyValueEntry {
    const record = decodeWithin(this.#bytes, this.#start, this.#end);
    // The first version of the format has no versions.
    const [key, value, version = 1] = record as [string, unknown, number?];
    return { key, value, version };
  }

  record(): Uint8Array | undefined {
    return this.#bytes[this.#start] === RECORD ? this.#bytes.subarray(this.#start, this.#end) : undefined;
  }
}

function keyOf(bytes: Uint8Array, start: number, end: number): string {
  const key = decodeFirst(bytes, start, end);
  if (typeof key !== "string") throw new Error(`a record with the key ${inspect(key)}`);
  return key;
}

/** Whether it is the record's; a string is made of that if it is long, or not of ASCII. */
function isKey(bytes: Uint8Array, start: number, end: number, key: string): boolean {
  if (bytes[start + 1] !== SHORT_TEXT + key.length || key.length > MOST_SHORT) return keyOf(bytes, start, end) === key;
  for (let at = 0; at < key.length; at++) {
    const byte = bytes[start + 2 + at] ?? NOT_ASCII;
    if (byte >= NOT_ASCII) return keyOf(bytes, start, end) === key;
    if (byte !== key.charCodeAt(at)) return false;
  }
  return true;
}

/** {@link hashOf} its key, of which no string is made if it is short and of ASCII, as most are. */
function hashOfKey(bytes: Uint8Array, start: number, end: number): number {
  const length = (bytes[start + 1] ?? 0) - SHORT_TEXT;
  const isShort = bytes[start] === RECORD && length >= 0 && length <= MOST_SHORT && start + 2 + length <= end;
  if (!isShort) return hashOf(keyOf(bytes, start, end));
  let hash = SEED;
  for (let at = start + 2; at < start + 2 + length; at++) {
    const byte = bytes[at] ?? NOT_ASCII;
    if (byte >= NOT_ASCII) return hashOf(keyOf(bytes, start, end));
    hash = mix(hash, byte);
  }
  return spread(hash);
}

function hashOf(key: string): number {
  let hash = SEED;
  for (let at = 0; at < key.length; at++) hash = mix(hash, key.charCodeAt(at));
  return spread(hash);
}

/** FNV-1a, of UTF-16 units. */
function mix(hash: number, unit: number): number {
  return Math.imul(hash ^ unit, 0x01_00_01_93);
}

/** The table looks at the low bits, on which the high ones of a unit have no bearing yet. */
function spread(hash: number): number {
  return hash ^ (hash >>> 15);
}
