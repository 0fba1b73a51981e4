import { crc32 } from "node:zlib";
import { getFloat64, getUint32, setFloat64, setUint32 } from "../raft/bytes.ts";
import { CHECKSUM_BYTES, corrupt, isSealed } from "./codec.ts";
import type { JournalPointer } from "./layout.ts";
import { keyBytes, keyText } from "./machine-keys.ts";
import type { LongTable, RecordWrite, Table } from "./records.ts";

/*
 * The journal is a row of blocks. Each commit is one record in it, from the beginning of a block on, so that no write
 * touches a byte of a commit before it. When the records have been taken over into the tables, the row begins again at its
 * first block; what is left of the last round tells itself by its numbers. A record, little-endian:
 *
 *   0  CRC-32 over all that follows; 4  bytes in all; 8  the journal's id; 16  its number, a float64; 24  writes; 28  those
 *
 * A write: a byte for the table and what is done, the key (a float64, or a length of two bytes and as many) and, unless the
 * key is removed, a length of four bytes and the value.
 *
 * A record with long values stands in a value file instead, in the same row of numbers. In place of each long value it has
 * the value's first four bytes, its own checksum; the values follow from the next block on, one behind the other, and stay
 * there when the record has been taken over.
 */

/** What a disk writes at once, and a page of the system's cache. */
export const BLOCK_BYTES = 4_096;
/** Of all that is said above; a journal of another one is left to the version that wrote it. */
export const JOURNAL_FORMAT = 3;
/** Bytes of a journal's id. */
export const ID_BYTES = 8;

const TABLES = ["meta", "log", "terms", "snapshot", "machine"] as const satisfies readonly Table[];
const TABLE_BITS = 7;
const APPEND_BIT = 8;
const REMOVAL_BIT = 16;
const LONG_BIT = 32;

const LENGTH_AT = 4;
const ID_AT = 8;
const NUMBER_AT = 16;
const COUNT_AT = 24;
const WRITES_AT = 28;

const KIND_BYTES = 1;
const NUMBER_BYTES = 8;
const LENGTH_BYTES = 4;
const NOTHING = new Uint8Array();

/** Values that are shorter stand in their records. A place of its own costs a value about a hundred bytes in the tables. */
const LONG_BYTES = 16 << 10;

/** A long value, behind its record. */
export interface LongValue {
  readonly table: LongTable;
  readonly key: number;
  /** Where it begins in the bytes in which its record is. */
  readonly at: number;
  readonly byteLength: number;
}

/** A record in the journal, or in a value file. */
export interface JournalRecord {
  readonly number: number;
  /** Their values are views of the journal; empty in place of long ones. */
  readonly writes: readonly RecordWrite[];
  readonly long: readonly LongValue[];
  /** The block behind it and its long values. */
  readonly end: number;
}

/** And in which value file it is; 0: in the journal. */
export interface RecordInFile extends JournalRecord {
  readonly file: number;
}

/** Whether a value is one of those that stand behind their record in a value file. */
export function isLong({ table, value }: RecordWrite): boolean {
  return (table === "log" || table === "snapshot") && value !== undefined && value.byteLength >= LONG_BYTES;
}

/** How many bytes a record takes without its long values. */
export function recordBytes(writes: readonly RecordWrite[]): number {
  let bytes = WRITES_AT;
  for (const write of writes) {
    const { key, value } = write;
    bytes += writeBytes(typeof key === "string" ? keyBytes(key) : undefined, value, isLong(write));
  }
  return bytes;
}

/**
 * Writes a record into the journal's bytes.
 * @param at where a block begins.
 * @param keepsLong whether long values are part of it as all others are; else the caller writes them behind it.
 * @returns undefined when there is not enough room behind `at`, where the bytes may have changed then.
 */
export function encodeJournalRecord(
  journal: Uint8Array,
  at: number,
  id: Uint8Array,
  number: number,
  writes: readonly RecordWrite[],
  keepsLong = true,
): JournalRecord | undefined {
  const room = journal.byteLength;
  if (at + WRITES_AT > room) return undefined;
  const written: RecordWrite[] = [];
  const behind: Omit<LongValue, "at">[] = [];
  let next = at + WRITES_AT;
  for (const write of writes) {
    const { table, key, value, append } = write;
    const isBehind = !keepsLong && isLong(write);
    const name = typeof key === "string" ? keyBytes(key) : undefined;
    if (next + writeBytes(name, value, isBehind) > room) return undefined;
    journal[next++] =
      TABLES.indexOf(table) |
      (append === true ? APPEND_BIT : 0) |
      (value === undefined ? REMOVAL_BIT : 0) |
      (isBehind ? LONG_BIT : 0);
    if (name === undefined) {
      setFloat64(journal, next, Number(key));
      next += NUMBER_BYTES;
    } else {
      journal[next++] = name.byteLength;
      journal[next++] = name.byteLength >>> 8;
      journal.set(name, next);
      next += name.byteLength;
    }
    if (value === undefined) {
      written.push(write);
      continue;
    }
    setUint32(journal, next, value.byteLength);
    next += LENGTH_BYTES;
    const inside = isBehind ? value.subarray(0, CHECKSUM_BYTES) : value;
    journal.set(inside, next);
    if (isBehind) {
      behind.push({ table: table as LongTable, key: Number(key), byteLength: value.byteLength });
      written.push({ table, key, value: NOTHING, append: append === true });
    } else written.push({ ...write, value: journal.subarray(next, next + value.byteLength) });
    next += inside.byteLength;
  }
  setUint32(journal, at + LENGTH_AT, next - at);
  journal.set(id, at + ID_AT);
  setFloat64(journal, at + NUMBER_AT, number);
  setUint32(journal, at + COUNT_AT, writes.length);
  setUint32(journal, at, crc32(journal.subarray(at + LENGTH_AT, next)));
  return { number, writes: written, ...placesBehind(next, behind) };
}

/** The record at the beginning of a block; undefined when there is no sound and whole one of that journal. */
export function decodeJournalRecord(journal: Uint8Array, at: number, id: Uint8Array): JournalRecord | undefined {
  const number = numberAt(journal, at, id);
  if (number === 0) return undefined;
  const end = at + getUint32(journal, at + LENGTH_AT);
  if (end < at + WRITES_AT || end > journal.byteLength) return undefined;
  if (crc32(journal.subarray(at + LENGTH_AT, end)) !== getUint32(journal, at)) return undefined;
  const writes: RecordWrite[] = [];
  const behind: (Omit<LongValue, "at"> & { readonly checksum: number })[] = [];
  let next = at + WRITES_AT;
  for (let left = getUint32(journal, at + COUNT_AT); left > 0; left--) {
    const kind = journal[next++] ?? 0;
    const table = TABLES[kind & TABLE_BITS];
    if (table === undefined) throw corrupt(`the journal's record ${number} is of no table`);
    let key: string | number;
    if (table === "meta" || table === "machine") {
      const length = (journal[next] ?? 0) | ((journal[next + 1] ?? 0) << 8);
      key = keyText(journal.subarray(next + 2, next + 2 + length));
      next += 2 + length;
    } else {
      key = getFloat64(journal, next);
      next += NUMBER_BYTES;
    }
    const append = (kind & APPEND_BIT) !== 0;
    if ((kind & REMOVAL_BIT) !== 0) {
      writes.push({ table, key, value: undefined, append });
      continue;
    }
    const byteLength = getUint32(journal, next);
    next += LENGTH_BYTES;
    if ((kind & LONG_BIT) !== 0) {
      const checksum = getUint32(journal, next);
      behind.push({ table: table as LongTable, key: Number(key), byteLength, checksum });
      writes.push({ table, key, value: NOTHING, append });
      next += CHECKSUM_BYTES;
      continue;
    }
    writes.push({ table, key, value: journal.subarray(next, next + byteLength), append });
    next += byteLength;
  }
  const places = placesBehind(end, behind);
  const areWhole = places.long.every(({ table, key, at: from, byteLength }, nth) => {
    const value = journal.subarray(from, from + byteLength);
    return value.byteLength === byteLength && isSealed(table, key, value, behind[nth]?.checksum ?? 0);
  });
  return areWhole ? { number, writes, ...places } : undefined;
}

/** What the record at the beginning of a block says is its number; 0 when there is none of that journal. */
function numberAt(journal: Uint8Array, at: number, id: Uint8Array): number {
  if (at + WRITES_AT > journal.byteLength) return 0;
  for (let byte = 0; byte < ID_BYTES; byte++) if (journal[at + ID_AT + byte] !== id[byte]) return 0;
  return getFloat64(journal, at + NUMBER_AT);
}

/** Where the long values of a record stand that ends at `recordEnd`. */
function placesBehind(
  recordEnd: number,
  behind: readonly Omit<LongValue, "at">[],
): Pick<JournalRecord, "long" | "end"> {
  let at = blockBehind(recordEnd);
  const long = behind.map(({ table, key, byteLength }): LongValue => {
    const place = { table, key, at, byteLength };
    at += byteLength;
    return place;
  });
  return { long, end: blockBehind(at) };
}

/** @param name the key, if it is no number. */
function writeBytes(name: Uint8Array | undefined, value: Uint8Array | undefined, isBehind: boolean): number {
  const keyLength = name === undefined ? NUMBER_BYTES : 2 + name.byteLength;
  if (value === undefined) return KIND_BYTES + keyLength;
  return KIND_BYTES + keyLength + LENGTH_BYTES + (isBehind ? CHECKSUM_BYTES : value.byteLength);
}

/**
 * What the journal and the value files hold behind that which was taken over, in its order. A record that was cut off ends
 * it: the commit had not come to its end, and nobody was told that it had.
 * @param values the value files that `pointer` names, as far as they are there.
 * @param upTo of later records some may be here, and others before them not yet. Default: of none.
 * @throws RaftError `ERR_STORAGE_CORRUPT` when there are later records behind one that is missing or broken.
 */
export function readJournal(
  journal: Uint8Array,
  values: readonly Uint8Array[],
  { id: hex, taken, values: row }: Pick<JournalPointer, "id" | "taken" | "values">,
  upTo = Number.POSITIVE_INFINITY,
): RecordInFile[] {
  const id = Buffer.from(hex, "hex");
  const parts = [
    { bytes: journal, at: 0, file: 0 },
    ...values.map((bytes, nth) => ({ bytes, at: nth === 0 ? row.at : 0, file: row.files[nth] ?? 0 })),
  ];
  const records: RecordInFile[] = [];
  let last = taken;
  /** Takes the next record from where it is. */
  const advance = () =>
    parts.some((part) => {
      if (numberAt(part.bytes, part.at, id) !== last + 1) return false;
      const record = decodeJournalRecord(part.bytes, part.at, id);
      if (record === undefined) return false;
      records.push({ ...record, file: part.file });
      part.at = record.end;
      last = record.number;
      return true;
    });
  while (advance());
  for (const part of parts) {
    for (; part.at < part.bytes.byteLength; part.at += BLOCK_BYTES) {
      const number = numberAt(part.bytes, part.at, id);
      // Most is what a file that is written over held before.
      if (number <= last || number > upTo) continue;
      const stray = decodeJournalRecord(part.bytes, part.at, id);
      if (stray === undefined) continue;
      throw corrupt(`the journal has a record ${stray.number}, but record ${last + 1} before it is missing or broken`);
    }
  }
  return records;
}

/**
 * How many records a store has written since it was opened, and commits past its journal behind which there is one.
 * @param values value files, the one that was written to last among them.
 * @param id the journal's; by default that of its first record.
 */
export function recordsIn(
  journal: Uint8Array,
  values: readonly Uint8Array[],
  id: Uint8Array = journal.subarray(ID_AT, ID_AT + ID_BYTES),
): number {
  let last = 0;
  for (const bytes of [journal, ...values]) {
    for (let at = 0; at < bytes.byteLength; at += BLOCK_BYTES) last = Math.max(last, numberAt(bytes, at, id));
  }
  return last;
}

/** Where the next block begins, if not here. */
export function blockBehind(at: number): number {
  return Math.ceil(at / BLOCK_BYTES) * BLOCK_BYTES;
}
