import type { Database, RootDatabase, Transaction } from "lmdb";
import { decodeRecord, encodeRecord } from "./codec.ts";
import { keyBytes, keyText } from "./machine-keys.ts";
import type { Place } from "./places.ts";
import { type KeyedRecord, type KeyRange, PAGE_BYTES, type Table } from "./records.ts";

/** The tables of an environment. That of the machine has keys in bytes of our own making. */
export interface Tables extends Readonly<Record<Exclude<Table, "machine">, Database<Uint8Array, string | number>>> {
  readonly machine: Database<Uint8Array, Uint8Array>;
  /** Where the long values of `log` and `snapshot` stand, which have empty ones instead; see places.ts. */
  readonly places: Database<Uint8Array, number>;
}

/** Those of a store, and the one in which LMDB keeps their names. */
export const MAX_TABLES = 7;

/** Opens or makes the tables. */
export function openTables(root: RootDatabase<Uint8Array, string | number>): Tables {
  // Keys in lmdb's ordered encoding: as 32-bit integers, the other choice, indices would wrap.
  const table = (name: Table) => root.openDB<Uint8Array, string | number>({ name, encoding: "binary" });
  const machine = root.openDB<Uint8Array, Uint8Array>({ name: "machine", encoding: "binary", keyEncoding: "binary" });
  const places = root.openDB<Uint8Array, number>({ name: "places", encoding: "binary" });
  return {
    meta: table("meta"),
    log: table("log"),
    terms: table("terms"),
    snapshot: table("snapshot"),
    machine,
    places,
  };
}

/** The bytes of a record of `places`. */
export function encodePlace(key: number, { file, at, byteLength }: Place): Uint8Array {
  return encodeRecord("places", key, [file, at, byteLength]);
}

/** All that is in the table. @throws RaftError `ERR_STORAGE_CORRUPT` when a record is broken. */
export function placesIn(table: Tables["places"], transaction?: Transaction): [key: number, place: Place][] {
  return Array.from(table.getRange({ ...(transaction && { transaction }) }), ({ key, value }) => {
    const [file, at, byteLength] = decodeRecord("places", key, value) as [number, number, number];
    return [key, { file, at, byteLength }];
  });
}

/** The records of a range of `machine`; of a frozen state when it is given one. */
export function pageOf(
  table: Tables["machine"],
  { from, to, limit }: KeyRange,
  transaction?: Transaction,
): KeyedRecord[] {
  const range = { start: keyBytes(from), end: keyBytes(to), limit, ...(transaction && { transaction }) };
  const records: KeyedRecord[] = [];
  let bytes = 0;
  for (const { key, value } of table.getRange(range)) {
    records.push({ key: keyText(key), value });
    bytes += value.byteLength;
    if (bytes >= PAGE_BYTES) break;
  }
  return records;
}
