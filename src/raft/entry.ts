import { getFloat64, getUint32, setFloat64, setUint32 } from "./bytes.ts";
import { invariant } from "./errors.ts";
import { unfilledBytes } from "./unfilled-bytes.ts";

/**
 * Log entries travel, rest in memory and lie on disk in the same bytes: a *batch* is a run of consecutive entries of
 * one term, appended by one leader in one step. Entries are not made into objects until they are applied.
 *
 *     header  0 u32 checksum      of the rest; written and checked by a store, 0 elsewhere
 *             4 u32 byteLength    of the whole batch
 *             8 u8  format        1
 *            12 u32 count         of entries, at least 1
 *            16 f64 firstIndex
 *            24 f64 term
 *            32 f64 time          the leader's wall clock in ms when it appended them, never less than the entry before
 *            40 f64 position      bytes of log before this batch, as this peer keeps them
 *     entry   0 u32 length        of the data
 *             4 u8  kind          see EntryKind
 *             8     data
 *
 * All numbers are little-endian.
 */
export interface Batch {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly term: number;
  readonly time: number;
  /** The encoded form, header and all. Owned by the log: whoever is given a batch must not write to it. */
  readonly bytes: Uint8Array;
}

/** What an entry's data is, and so who interprets it. */
export const EntryKind = {
  /** No data: a leader's first entry in its term (dissertation 6.4). */
  noop: 0,
  /** A command for the state machine, opaque here. */
  command: 1,
  /** A {@link Configuration}: the first entry of every log. */
  configuration: 2,
  /** A command in a client session: data begins with the session and the sequence number, both f64. */
  sessionCommand: 3,
} as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

/** The voters of a cluster. Quorums are computed from it. */
export interface Configuration {
  readonly voters: readonly string[];
}

export const BATCH_HEADER_BYTES = 48;
export const ENTRY_HEADER_BYTES = 8;
const FORMAT = 1;

/** Bytes that lie among others. */
export interface ByteRange {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** How many bytes they are. */
export function rangeBytes({ start, end }: ByteRange): number {
  return end - start;
}

/** All of the bytes. */
export function wholeOf(bytes: Uint8Array): ByteRange {
  return { bytes, start: 0, end: bytes.length };
}

/**
 * Packs entries into a batch that no leader has stamped yet: room for the header is left, and `stampBatch` fills it.
 * @param data one byte string an entry.
 */
export function packEntries(kind: EntryKind, data: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return packRanges(kind, data.map(wholeOf));
}

/** {@link packEntries}, where neighbours are copied at once that lie as far from each other as in a batch. */
export function packRanges(kind: EntryKind, data: readonly ByteRange[]): Uint8Array<ArrayBuffer> {
  let byteLength = BATCH_HEADER_BYTES;
  for (const { start, end } of data) byteLength += ENTRY_HEADER_BYTES + end - start;
  const bytes = unfilledBytes(byteLength);
  bytes.fill(0, 0, BATCH_HEADER_BYTES);
  setUint32(bytes, 4, byteLength);
  bytes[8] = FORMAT;
  setUint32(bytes, 12, data.length);
  let offset = BATCH_HEADER_BYTES;
  /** Of those that are copied next: the first one, and where the last one ends. */
  let first: ByteRange | undefined;
  let end = 0;
  let target = 0;
  for (const range of data) {
    if (range.bytes !== first?.bytes || range.start !== end + ENTRY_HEADER_BYTES) {
      if (first !== undefined) bytes.set(first.bytes.subarray(first.start, end), target);
      first = range;
      target = offset + ENTRY_HEADER_BYTES;
    }
    end = range.end;
    offset += ENTRY_HEADER_BYTES + end - range.start;
  }
  if (first !== undefined) bytes.set(first.bytes.subarray(first.start, end), target);
  // What was copied between two of them is nothing.
  offset = BATCH_HEADER_BYTES;
  for (const { start, end } of data) {
    setUint32(bytes, offset, end - start);
    setUint32(bytes, offset + 4, kind);
    offset += ENTRY_HEADER_BYTES + end - start;
  }
  return bytes;
}

/** Writes where a packed batch stands in the log into its header, in place, and returns it as a {@link Batch}. */
export function stampBatch(bytes: Uint8Array, at: { firstIndex: number; term: number; time: number }): Batch {
  setFloat64(bytes, 16, at.firstIndex);
  setFloat64(bytes, 24, at.term);
  setFloat64(bytes, 32, at.time);
  return parseBatch(bytes);
}

/** Says in the header how many bytes of log stand before the batch; the log does so when it takes a batch in. */
export function stampPosition(batch: Batch, position: number): void {
  setFloat64(batch.bytes, 40, position);
}

/** The position that `stampPosition` wrote. */
export function batchPosition(batch: Batch): number {
  return getFloat64(batch.bytes, 40);
}

/**
 * Reads a batch that begins at `offset`, and ends before `end`; its bytes are a view, not a copy.
 * @throws InvariantError when the header makes no sense.
 */
export function parseBatch(source: Uint8Array, offset = 0, end = source.byteLength): Batch {
  const room = end - offset;
  invariant(room >= BATCH_HEADER_BYTES, () => `a batch of entries needs ${BATCH_HEADER_BYTES} bytes, got ${room}`);
  const byteLength = getUint32(source, offset + 4);
  const format = source[offset + 8];
  const count = getUint32(source, offset + 12);
  invariant(format === FORMAT, () => `entries of format ${format}, expected ${FORMAT}`);
  invariant(
    count >= 1 && byteLength >= BATCH_HEADER_BYTES + count * ENTRY_HEADER_BYTES && byteLength <= room,
    () => `a batch of ${count} entries in ${byteLength} bytes, of which ${room} are there`,
  );
  const firstIndex = getFloat64(source, offset + 16);
  return {
    firstIndex,
    lastIndex: firstIndex + count - 1,
    term: getFloat64(source, offset + 24),
    time: getFloat64(source, offset + 32),
    bytes: offset === 0 && byteLength === source.byteLength ? source : source.subarray(offset, offset + byteLength),
  };
}

/** Parses batches that lie one behind the other from `offset` to `end`. */
export function parseBatches(source: Uint8Array, offset = 0, end = source.byteLength): Batch[] {
  const batches: Batch[] = [];
  while (offset < end) {
    const batch = parseBatch(source, offset, end);
    batches.push(batch);
    offset += batch.bytes.byteLength;
  }
  return batches;
}

/**
 * Goes through the entries of a batch one by one. It stands at one entry, or before the first; none is made into an object. As a
 * range it is the data of the one that it stands at.
 */
export class EntryReader implements ByteRange {
  readonly batch: Batch;
  #index: number;
  #start = BATCH_HEADER_BYTES;
  #end = BATCH_HEADER_BYTES;

  /** @param from the entry that the first `next` comes to; the first of the batch at the earliest. */
  constructor(batch: Batch, from: number) {
    this.batch = batch;
    this.#index = batch.firstIndex - 1;
    while (this.#index < from - 1 && this.next());
  }

  /** Of the entry that it stands at; so are the others. */
  get index(): number {
    return this.#index;
  }

  get kind(): EntryKind {
    return this.batch.bytes[this.#start - ENTRY_HEADER_BYTES + 4] as EntryKind;
  }

  /** Of the batch. */
  get bytes(): Uint8Array {
    return this.batch.bytes;
  }

  /** Where the data begins in them. */
  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  /** A view that must not be kept. */
  get data(): Uint8Array {
    return this.batch.bytes.subarray(this.#start, this.#end);
  }

  /** Goes to the next entry. @returns false when there is none. */
  next(): boolean {
    const { bytes, lastIndex } = this.batch;
    if (this.#index >= lastIndex) return false;
    this.#index++;
    this.#start = this.#end + ENTRY_HEADER_BYTES;
    this.#end = this.#start + getUint32(bytes, this.#start - ENTRY_HEADER_BYTES);
    invariant(this.#end <= bytes.length, () => `entry ${this.#index} ends beyond its batch`);
    return true;
  }
}

/** Calls `visit` for each entry of the batch from index `from` on; `data` is a view that must not be kept. */
export function forEachEntry(
  batch: Batch,
  from: number,
  visit: (index: number, kind: EntryKind, data: Uint8Array) => void,
): void {
  const entries = new EntryReader(batch, from);
  while (entries.next()) visit(entries.index, entries.kind, entries.data);
}

/**
 * The entries `from..to` of a batch, as a batch; fewer at the end when they would take more than `maxBytes`, but
 * always at least one. The batch itself when that is all of it, else a copy.
 */
export function sliceBatch(batch: Batch, from: number, to: number, maxBytes = Number.POSITIVE_INFINITY): Batch {
  if (from <= batch.firstIndex && to >= batch.lastIndex && batch.bytes.byteLength <= maxBytes) return batch;
  invariant(
    from <= batch.lastIndex && to >= batch.firstIndex && from <= to,
    () => `entries ${from}..${to} of a batch that holds ${batch.firstIndex}..${batch.lastIndex}`,
  );
  let offset = BATCH_HEADER_BYTES;
  let index = batch.firstIndex;
  const step = () => ENTRY_HEADER_BYTES + getUint32(batch.bytes, offset);
  for (; index < from; index++) offset += step();
  const first = index;
  const start = offset;
  do {
    offset += step();
    index++;
  } while (index <= Math.min(to, batch.lastIndex) && BATCH_HEADER_BYTES + (offset - start) + step() <= maxBytes);
  const bytes = new Uint8Array(BATCH_HEADER_BYTES + (offset - start));
  bytes.set(batch.bytes.subarray(0, BATCH_HEADER_BYTES));
  bytes.set(batch.bytes.subarray(start, offset), BATCH_HEADER_BYTES);
  setUint32(bytes, 0, 0);
  setUint32(bytes, 4, bytes.byteLength);
  setUint32(bytes, 12, index - first);
  setFloat64(bytes, 16, first);
  return parseBatch(bytes);
}

/**
 * The first entry of every log: the configuration, at index 1 in term 0. It is the same bytes in every store from its
 * birth, so it is committed by definition and no leader has to replicate it.
 */
export function bootstrapBatch(configuration: Configuration): Batch {
  const data = new TextEncoder().encode(JSON.stringify({ voters: configuration.voters }));
  return stampBatch(packEntries(EntryKind.configuration, [data]), { firstIndex: 1, term: 0, time: 0 });
}

/** The configuration in the data of an entry of that kind. */
export function parseConfiguration(data: Uint8Array): Configuration {
  return JSON.parse(new TextDecoder().decode(data)) as Configuration;
}
