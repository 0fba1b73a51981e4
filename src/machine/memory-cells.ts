import { inspect } from "node:util";
import { SortedKeys } from "../raft/sorted-keys.ts";
import type { EncodedPut } from "./encoded-put.ts";
import { hashOf, hashOfText } from "./key-hash.ts";
import {
  checkRecord,
  hashOfRecord,
  hasKey,
  hasKeyText,
  keyAt,
  keyOf,
  RECORD,
  recordAt,
  versionAt,
  versionOf,
} from "./key-value-record.ts";
import type { Cell, Cells, WritableCells } from "./key-value-rules.ts";
import { isAscii, textHead, textLength, uintBytes, writeUint } from "./msgpack.ts";
import { type Chunk, RecordArena, recordBytes } from "./record-arena.ts";
import type { RecordPlace } from "./records.ts";

/** In the place of the number of an entry's chunk: it is a cell and no record, or it was removed. */
const CELL = -1;
const REMOVED = -2;
/** Instead of the number of an entry: there is none. */
const NONE = -1;
/** A place in the table that was never taken; all others are numbers of entries, counted from 1. */
const FREE = 0;
const LEAST_CAPACITY = 16;
/** So many are sorted in a step: half a millisecond of it. */
const KEYS_A_STEP = 256;
/** The first version that is no whole number of four bytes. */
const VERSIONS = 2 ** 32;

/** A record that was written. */
export interface WrittenRecord {
  readonly chunk: Chunk;
  readonly start: number;
  readonly version: number;
}

/**
 * The entries of a map in memory, in the order in which their keys came, on every peer.
 *
 * What was restored, or put as bytes, stays bytes outside of the collector's heap until somebody computes with it; and what
 * finds an entry is an open hash table of numbers, outside of that heap too. Else decoding would be most of what a put costs,
 * and the collector had millions of strings and objects to look at. A cell that is given out is good until the next change.
 */
export class MemoryCells implements Cells, WritableCells {
  readonly #arena = new RecordArena();
  /** Of each entry, by its number: the chunk of its record, where that begins, and the hash of its key. */
  #chunkOf = new Int32Array(LEAST_CAPACITY);
  #starts = new Uint32Array(LEAST_CAPACITY);
  #hashes = new Int32Array(LEAST_CAPACITY);
  /** The entries that are no records. No cell is ever written to. */
  #cells: (Cell | undefined)[] = [];
  /** Probed one by one from where the hash says. At most half of it is taken. */
  #table = new Int32Array(2 * LEAST_CAPACITY);
  /** How many numbers were given, those of entries that were removed included. */
  #numbers = 0;
  #size = 0;
  /** The number of the chunk that was restored last. */
  #restored = NONE;
  /** Made when it is first asked for, and kept up to date from then on, also while it does not have all keys. */
  #sorted: SortedKeys | undefined;
  #hasSorted = false;

  /** @param capacity how many entries are about to be restored. */
  constructor(capacity = 0) {
    if (capacity > LEAST_CAPACITY) this.#rebuild(capacity);
  }

  get size(): number {
    return this.#size;
  }

  /** How much memory the records take, with what is not of use any more. */
  get heldBytes(): number {
    return this.#arena.heldBytes;
  }

  get(key: string): Cell | undefined {
    const entry = this.#find(key, hashOf(key));
    if (entry === NONE) return undefined;
    const bytes = this.#arena.bytes(this.#chunkOf[entry] ?? CELL);
    return bytes === undefined ? this.#cells[entry] : recordAt(bytes, this.#starts[entry] ?? 0);
  }

  set(key: string, cell: Cell | undefined): void {
    const hash = hashOf(key);
    const found = this.#find(key, hash);
    if (cell === undefined) {
      if (found === NONE) return;
      this.#cells[found] = undefined;
      this.#size--;
      this.#sorted?.delete(key);
      this.#place(found, REMOVED, 0);
    } else {
      const entry = found === NONE ? this.#add(hash) : found;
      if (found === NONE) this.#sorted?.add(key);
      this.#cells[entry] = cell;
      this.#place(entry, CELL, 0);
    }
    this.#tidy();
  }

  /**
   * Puts a value that lies encoded in the bytes of a command; they are copied.
   * @returns undefined, and nothing is done, when the key is not of ASCII or its version cannot be counted on.
   */
  put(bytes: Uint8Array, { key, value, end }: EncodedPut): WrittenRecord | undefined {
    const text = key + textHead(bytes, key);
    const keyEnd = text + textLength(bytes, key, text - key);
    const hash = hashOfText(bytes, text, keyEnd);
    if (hash === undefined) return undefined;
    const found = this.#findText(bytes, text, keyEnd, hash);
    const version = 1 + (found === NONE ? 0 : this.#versionOf(found));
    if (version >= VERSIONS) return undefined;

    // What may fail for lack of memory comes first.
    if (found === NONE) this.#makeRoom();
    const size = 1 + (keyEnd - key) + uintBytes(version) + (end - value);
    const number = this.#arena.append(size);
    const chunk = this.#arena.chunk(number) as Chunk;
    const start = chunk.filled - size;
    const target = chunk.bytes;
    target[start] = RECORD;
    for (let at = key; at < keyEnd; at++) target[start + 1 + at - key] = bytes[at] as number;
    target.set(bytes.subarray(value, end), writeUint(target, start + 1 + keyEnd - key, version));

    const entry = found === NONE ? this.#add(hash) : found;
    if (found === NONE) this.#sorted?.add(keyOf(target, start));
    this.#cells[entry] = undefined;
    this.#place(entry, number, start);
    this.#tidy();
    return { chunk, start, version };
  }

  /**
   * Takes in a record of a snapshot, and keeps its bytes; those of one chunk come one after the other.
   * @throws Error when it is none, or its key was there before.
   */
  restore({ bytes, start, end }: RecordPlace): void {
    checkRecord(bytes, start, end);
    const hash = hashOfRecord(bytes, start);
    if (this.#findRecord(bytes, start, hash) !== NONE)
      throw new Error(`two records with the key ${inspect(keyOf(bytes, start))}`);
    if (this.#arena.bytes(this.#restored) !== bytes) this.#restored = this.#arena.adopt(bytes, start);
    this.#arena.use(this.#restored, end - start);
    this.#place(this.#add(hash), this.#restored, start);
  }

  /** Those that there are now, whatever becomes of them before they are pulled. */
  all(): Iterable<Cell> {
    const chunks = this.#arena.all();
    for (const chunk of chunks) chunk?.retain();
    const chunkOf = this.#chunkOf.slice(0, this.#numbers);
    const starts = this.#starts.slice(0, this.#numbers);
    const cells = this.#cells.slice();
    return (function* () {
      try {
        for (let entry = 0; entry < chunkOf.length; entry++) {
          const cell = cells[entry];
          if (cell !== undefined) yield cell;
          const bytes = chunks[chunkOf[entry] ?? CELL]?.bytes;
          if (bytes !== undefined) yield recordAt(bytes, starts[entry] ?? 0);
        }
      } finally {
        for (const chunk of chunks) chunk?.release();
      }
    })();
  }

  /**
   * Makes what `from` needs, some hundred keys a step: done at once, it takes more than a second for a million keys.
   * @returns undefined when it is there.
   */
  sort(): Iterator<void> | undefined {
    return this.#hasSorted ? undefined : this.#sortGradually();
  }

  *#sortGradually(): Generator<void> {
    if (this.#hasSorted) return;
    this.#sorted ??= new SortedKeys();
    const sorted = this.#sorted;
    let added = 0;
    for (const { key } of this.all()) {
      // Those that came meanwhile are in it, and those that went are not to be.
      if (this.#find(key, hashOf(key)) !== NONE) sorted.add(key);
      if (++added % KEYS_A_STEP === 0) yield;
      if (this.#hasSorted) return;
    }
    this.#hasSorted = true;
  }

  *from(from: string): Generator<Cell> {
    if (this.#sorted === undefined || !this.#hasSorted) {
      this.#sorted = new SortedKeys(Array.from(this.all(), ({ key }) => key));
      this.#hasSorted = true;
    }
    for (const key of this.#sorted.from(from)) {
      const cell = this.get(key);
      if (cell !== undefined) yield cell;
    }
  }

  /** @returns the number of a new entry, which is to be placed. */
  #add(hash: number): number {
    this.#makeRoom();
    const entry = this.#numbers++;
    this.#hashes[entry] = hash;
    this.#chunkOf[entry] = CELL;
    this.#cells.push(undefined);
    this.#enter(entry, hash);
    this.#size++;
    return entry;
  }

  /** For one entry more. */
  #makeRoom(): void {
    if (this.#numbers === this.#chunkOf.length) this.#rebuild(2 * this.#size);
  }

  #enter(entry: number, hash: number): void {
    const last = this.#table.length - 1;
    let at = hash & last;
    while (this.#table[at] !== FREE) at = (at + 1) & last;
    this.#table[at] = entry + 1;
  }

  /** Says where an entry stands now; where it stood before is of no use any more. */
  #place(entry: number, chunk: number, start: number): void {
    const former = this.#chunkOf[entry] ?? CELL;
    const formerStart = this.#starts[entry] ?? 0;
    this.#chunkOf[entry] = chunk;
    this.#starts[entry] = start;
    const bytes = this.#arena.bytes(former);
    if (bytes !== undefined) this.#arena.disuse(former, recordBytes(bytes, formerStart));
  }

  /** Gives memory back when too much is held. */
  #tidy(): void {
    const sparsest = this.#arena.sparsest();
    if (sparsest === undefined) return;
    try {
      this.#vacate(sparsest);
    } catch {
      // There is no memory to move records to. Each is where it was, or has moved; the next command tries again.
    }
  }

  /** Moves what is of use in a chunk elsewhere. */
  #vacate(chunk: number): void {
    const bytes = this.#arena.bytes(chunk);
    if (bytes === undefined) return;
    for (const start of this.#arena.records(chunk)) {
      const entry = this.#entryIn(chunk, start, hashOfRecord(bytes, start));
      if (entry === NONE) continue;
      const size = recordBytes(bytes, start);
      const target = this.#arena.append(size);
      const place = this.#arena.end(target) - size;
      this.#arena.bytes(target)?.set(bytes.subarray(start, start + size), place);
      this.#chunkOf[entry] = target;
      this.#starts[entry] = place;
      this.#arena.disuse(chunk, size);
    }
  }

  #versionOf(entry: number): number {
    const cell = this.#cells[entry];
    if (cell !== undefined) return cell.version;
    const bytes = this.#arena.bytes(this.#chunkOf[entry] ?? CELL);
    return bytes === undefined ? 0 : (versionOf(bytes, this.#starts[entry] ?? 0) ?? VERSIONS);
  }

  /** The entry with this key, of this hash. */
  #find(key: string, hash: number): number {
    const last = this.#table.length - 1;
    for (let at = hash & last; ; at = (at + 1) & last) {
      const entry = (this.#table[at] ?? FREE) - 1;
      if (entry === NONE || (this.#hashes[entry] === hash && this.#has(entry, key))) return entry;
    }
  }

  #has(entry: number, key: string): boolean {
    const bytes = this.#arena.bytes(this.#chunkOf[entry] ?? CELL);
    return bytes === undefined ? this.#cells[entry]?.key === key : hasKey(bytes, this.#starts[entry] ?? 0, key);
  }

  /** {@link #find}, for a key of ASCII that lies from `start` to `end` of `bytes`. */
  #findText(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const last = this.#table.length - 1;
    for (let at = hash & last; ; at = (at + 1) & last) {
      const entry = (this.#table[at] ?? FREE) - 1;
      if (entry === NONE || (this.#hashes[entry] === hash && this.#hasText(entry, bytes, start, end))) return entry;
    }
  }

  #hasText(entry: number, bytes: Uint8Array, start: number, end: number): boolean {
    const record = this.#arena.bytes(this.#chunkOf[entry] ?? CELL);
    if (record !== undefined) return hasKeyText(record, this.#starts[entry] ?? 0, bytes, start, end);
    const key = this.#cells[entry]?.key;
    if (key?.length !== end - start) return false;
    for (let at = start; at < end; at++) if (key.charCodeAt(at - start) !== bytes[at]) return false;
    return true;
  }

  /** {@link #find}, for the key of another record. */
  #findRecord(bytes: Uint8Array, start: number, hash: number): number {
    const key = keyAt(bytes, start);
    const end = versionAt(bytes, start);
    return isAscii(bytes, key, end) ? this.#findText(bytes, key, end, hash) : this.#find(keyOf(bytes, start), hash);
  }

  /** The entry whose record is the one that begins there. */
  #entryIn(chunk: number, start: number, hash: number): number {
    const last = this.#table.length - 1;
    for (let at = hash & last; ; at = (at + 1) & last) {
      const entry = (this.#table[at] ?? FREE) - 1;
      if (entry === NONE || (this.#chunkOf[entry] === chunk && this.#starts[entry] === start)) return entry;
    }
  }

  /** Makes room for so many entries at least, and gives the numbers of those that were removed to others. */
  #rebuild(least: number): void {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(LEAST_CAPACITY, least)));
    const chunkOf = new Int32Array(capacity);
    const starts = new Uint32Array(capacity);
    const hashes = new Int32Array(capacity);
    const cells: (Cell | undefined)[] = [];
    this.#table = new Int32Array(2 * capacity);
    for (let from = 0; from < this.#numbers; from++) {
      const chunk = this.#chunkOf[from] ?? REMOVED;
      if (chunk === REMOVED) continue;
      const hash = this.#hashes[from] ?? 0;
      const entry = cells.push(this.#cells[from]) - 1;
      chunkOf[entry] = chunk;
      starts[entry] = this.#starts[from] ?? 0;
      hashes[entry] = hash;
      this.#enter(entry, hash);
    }
    this.#chunkOf = chunkOf;
    this.#starts = starts;
    this.#hashes = hashes;
    this.#cells = cells;
    this.#numbers = cells.length;
  }
}
