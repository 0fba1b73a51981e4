import type { Database, RootDatabase, Transaction } from "lmdb";
import { keyBytes, keyText } from "./machine-keys.ts";
import { type KeyedRecord, type KeyRange, PAGE_BYTES, type Table } from "./records.ts";

/** The tables of an environment. That of the machine has keys in bytes of our own making. */
export interface Tables extends Readonly<Record<Exclude<Table, "machine">, Database<Uint8Array, string | number>>> {
  readonly machine: Database<Uint8Array, Uint8Array>;
}

/** Those of a store, and the one in which LMDB keeps their names. */
export const MAX_TABLES = 6;

/** Opens or makes the tables. */
export function openTables(root: RootDatabase<Uint8Array, string | number>): Tables {
  // Keys in lmdb's ordered encoding: as 32-bit integers, the other choice, indices would wrap.
  const table = (name: Table) => root.openDB<Uint8Array, string | number>({ name, encoding: "binary" });
  const machine = root.openDB<Uint8Array, Uint8Array>({ name: "machine", encoding: "binary", keyEncoding: "binary" });
  return { meta: table("meta"), log: table("log"), terms: table("terms"), snapshot: table("snapshot"), machine };
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
