import type { Database } from "lmdb";
import { InvariantError } from "../raft/errors.ts";
import { brokenFile } from "./lmdb.ts";
import { MAX_TABLES, pageOf } from "./lmdb-tables.ts";
import { keyBytes, keyText } from "./machine-keys.ts";
import type { NumberedTable, Records, Table } from "./records.ts";

/** The records of a store as they were when it was opened. Nothing can be written. */
export interface RecordReader extends Records {
  /** How many records a table has. */
  count(table: Table): number;
}

/**
 * Opens a store that others may have open and write to, in this process or another. It takes no part in their locks,
 * beyond a reader's slot. LMDB trusts what it reads, so a broken store can end the process here or at any read.
 * @param path the store's folder; with a data file in it, and a lock file if nothing is to be made.
 * @throws RaftError `ERR_STORAGE_CORRUPT` when LMDB finds the file broken; whatever else it throws.
 */
export async function openForReading(path: string): Promise<RecordReader> {
  const { open } = await import("lmdb");
  const root = orBroken(() =>
    open<Uint8Array, string | number>({
      path,
      noSubdir: false,
      encoding: "binary",
      readOnly: true,
      maxDbs: MAX_TABLES,
    }),
  );
  try {
    const tables = {
      meta: openTable({ name: "meta" }),
      log: openTable({ name: "log" }),
      terms: openTable({ name: "terms" }),
      snapshot: openTable({ name: "snapshot" }),
      machine: openTable<Uint8Array>({ name: "machine", keyEncoding: "binary" }),
    };
    const transaction = root.useReadTransaction();
    const inTransaction = { transaction };
    const keys = (table: NumberedTable, range: { start: number; reverse?: boolean; limit?: number }) =>
      [...(tables[table]?.getKeys({ ...range, transaction }) ?? [])].map(Number);
    return {
      get: (table, key) => {
        if (table === "machine") return tables.machine?.get(keyBytes(String(key)), inTransaction);
        return tables[table]?.get(key, inTransaction);
      },
      floor: (table, key) => keys(table, { start: key, reverse: true, limit: 1 })[0],
      keysFrom: (table, key, limit) => keys(table, { start: key, ...(limit === undefined ? {} : { limit }) }),
      page: (range) => (tables.machine === undefined ? [] : pageOf(tables.machine, range, transaction)),
      machineKeys: ({ from, to, limit }) => {
        const range = { start: keyBytes(from), end: keyBytes(to), limit, transaction };
        return [...(tables.machine?.getKeys(range) ?? [])].map(keyText);
      },
      freeze() {
        throw new InvariantError("what is read stands still");
      },
      count: (table) => (tables[table]?.getStats() as { entryCount?: number } | undefined)?.entryCount ?? 0,
      commit() {
        throw new InvariantError("the store was opened for reading");
      },
      async close() {
        transaction.done();
        await root.close();
      },
    };
  } catch (error) {
    await root.close();
    throw brokenFile(error) ?? error;
  }

  /** A table that was never made is as good as empty. */
  function openTable<Key extends string | number | Uint8Array = string | number>(options: {
    readonly name: Table;
    readonly keyEncoding?: "binary";
  }): Database<Uint8Array, Key> | undefined {
    try {
      return root.openDB<Uint8Array, Key>({ ...options, encoding: "binary" });
    } catch (error) {
      if (error instanceof Error && NOT_FOUND.test(error.message)) return undefined;
      throw error;
    }
  }
}

function orBroken<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw brokenFile(error) ?? error;
  }
}

const NOT_FOUND = /not ?found/i;
