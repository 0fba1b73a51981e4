import { crc32 } from "node:zlib";
import { getFloat64, getUint32, setFloat64, setUint32 } from "../raft/bytes.ts";
import { corrupt } from "./codec.ts";
import type { JournalPointer } from "./layout.ts";
import { keyBytes, keyText } from "./machine-keys.ts";
import type { RecordWrite, Table } from "./records.ts";

/*
 * The journal is a row of blocks. Each commit is one record in it, from the beginning of a block on, so that no write
 * touches a byte of a commit before it. When the records have been taken over into the tables, the row begins again at its
 * first block; what is left of the last round tells itself by its numbers. A record, little-endian:
 *
 *   0  CRC-32 over all that follows; 4  bytes in all; 8  the journal's id; 16  its number, a float64; 24  writes; 28  those
 *
 * A write: a byte for the table and what is done, the key (a float64, or a length of two bytes and as many) and, unless the
 * key is removed, a length of four bytes and the value.
 */

/** What a disk writes at once, and a page of the system's cache. */
export const BLOCK_BYTES = 4_096;
/** Of all that is said above; a journal of another one is left to the version that wrote it. */
export const JOURNAL_FORMAT = 1;
/** Bytes of a journal's id. */
export const ID_BYTES = 8;

const TABLES = ["meta", "log", "terms", "snapshot", "machine"] as const satisfies readonly Table[];
const TABLE_BITS = 7;
const APPEND_BIT = 8;
const REMOVAL_BIT = 16;

const LENGTH_AT = 4;
const ID_AT = 8;
const NUMBER_AT = 16;
const COUNT_AT = 24;
const WRITES_AT = 28;

/** A record in the journal. */
export interface JournalRecord {
  readonly number: number;
  /** Their values are views of the journal. */
  readonly writes: readonly RecordWrite[];
  /** The block behind it. */
  readonly end: number;
}

/**
 * Writes a record into the journal's bytes.
 * @param at where a block begins.
 * @returns undefined when there is not enough room behind `at`, where the bytes may have changed then.
 */
export function encodeJournalRecord(
  journal: Uint8Array,
  at: number,
  id: Uint8Array,
  number: number,
  writes: readonly RecordWrite[],
): JournalRecord | undefined {
  const room = journal.byteLength;
  if (at + WRITES_AT > room) return undefined;
  const written: RecordWrite[] = [];
  let next = at + WRITES_AT;
  for (const write of writes) {
    const { table, key, value, append } = write;
    const name = typeof key === "string" ? keyBytes(key) : undefined;
    const valueBytes = value === undefined ? 0 : 4 + value.byteLength;
    if (next + 1 + (name === undefined ? 8 : 2 + name.byteLength) + valueBytes > room) return undefined;
    journal[next++] =
      TABLES.indexOf(table) | (append === true ? APPEND_BIT : 0) | (value === undefined ? REMOVAL_BIT : 0);
    if (name === undefined) {
      setFloat64(journal, next, Number(key));
      next += 8;
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
    next += 4;
    journal.set(value, next);
    written.push({ ...write, value: journal.subarray(next, next + value.byteLength) });
    next += value.byteLength;
  }
  setUint32(journal, at + LENGTH_AT, next - at);
  journal.set(id, at + ID_AT);
  setFloat64(journal, at + NUMBER_AT, number);
  setUint32(journal, at + COUNT_AT, writes.length);
  setUint32(journal, at, crc32(journal.subarray(at + LENGTH_AT, next)));
  return { number, writes: written, end: blockBehind(next) };
}

/** The record at the beginning of a block; undefined when there is no sound one of that journal. */
export function decodeJournalRecord(journal: Uint8Array, at: number, id: Uint8Array): JournalRecord | undefined {
  if (at + WRITES_AT > journal.byteLength) return undefined;
  for (let byte = 0; byte < ID_BYTES; byte++) if (journal[at + ID_AT + byte] !== id[byte]) return undefined;
  const end = at + getUint32(journal, at + LENGTH_AT);
  if (end < at + WRITES_AT || end > journal.byteLength) return undefined;
  if (crc32(journal.subarray(at + LENGTH_AT, end)) !== getUint32(journal, at)) return undefined;
  const writes: RecordWrite[] = [];
  let next = at + WRITES_AT;
  for (let left = getUint32(journal, at + COUNT_AT); left > 0; left--) {
    const kind = journal[next++] ?? 0;
    const table = TABLES[kind & TABLE_BITS];
    if (table === undefined)
      throw corrupt(`the journal's record ${getFloat64(journal, at + NUMBER_AT)} is of no table`);
    let key: string | number;
    if (table === "meta" || table === "machine") {
      const length = (journal[next] ?? 0) | ((journal[next + 1] ?? 0) << 8);
      key = keyText(journal.subarray(next + 2, next + 2 + length));
      next += 2 + length;
    } else {
      key = getFloat64(journal, next);
      next += 8;
    }
    const append = (kind & APPEND_BIT) !== 0;
    if ((kind & REMOVAL_BIT) !== 0) {
      writes.push({ table, key, value: undefined, append });
      continue;
    }
    const length = getUint32(journal, next);
    writes.push({ table, key, value: journal.subarray(next + 4, next + 4 + length), append });
    next += 4 + length;
  }
  return { number: getFloat64(journal, at + NUMBER_AT), writes, end: blockBehind(end) };
}

/**
 * What the journal holds behind that which was taken over, in its order. A record that was cut off ends it: the commit had
 * not come to its end, and nobody was told that it had.
 * @throws RaftError `ERR_STORAGE_CORRUPT` when there are later records behind one that is missing or broken.
 */
export function readJournal(
  journal: Uint8Array,
  { id: hex, taken }: Pick<JournalPointer, "id" | "taken">,
): RecordWrite[] {
  const id = Buffer.from(hex, "hex");
  const writes: RecordWrite[] = [];
  let last = taken;
  let at = 0;
  for (;;) {
    const record = decodeJournalRecord(journal, at, id);
    if (record?.number !== last + 1) break;
    writes.push(...record.writes);
    last = record.number;
    at = record.end;
  }
  for (; at < journal.byteLength; at += BLOCK_BYTES) {
    const stray = decodeJournalRecord(journal, at, id);
    if (stray === undefined || stray.number <= last) continue;
    throw corrupt(`the journal has a record ${stray.number}, but record ${last + 1} before it is missing or broken`);
  }
  return writes;
}

/** How many records were written to a journal since its store was opened; after several openings somewhat more. */
export function recordsIn(journal: Uint8Array): number {
  const lastNumbers = new Map<string, number>();
  for (let at = 0; at < journal.byteLength; at += BLOCK_BYTES) {
    const id = journal.subarray(at + ID_AT, at + ID_AT + ID_BYTES);
    const number = decodeJournalRecord(journal, at, id)?.number;
    if (number === undefined) continue;
    const hex = Buffer.from(id).toString("hex");
    lastNumbers.set(hex, Math.max(number, lastNumbers.get(hex) ?? 0));
  }
  return [...lastNumbers.values()].reduce((sum, number) => sum + number, 0);
}

function blockBehind(at: number): number {
  return Math.ceil(at / BLOCK_BYTES) * BLOCK_BYTES;
}
