import type { Database, RootDatabase, Transaction } from "lmdb";
import { InvariantError, RaftError } from "../raft/errors.ts";
import { brokenFile } from "./lmdb-records.ts";
import { MAX_TABLES, pageOf, placesIn, type Tables } from "./lmdb-tables.ts";
import { loadLmdb } from "./load-lmdb.ts";
import { keyBytes, keyText } from "./machine-keys.ts";
import { Overlaid } from "./overlaid.ts";
import { type Place, Places } from "./places.ts";
import type { NumberedTable, ReadableRecords, Table } from "./records.ts";
import { journalPointer, readBeside } from "./recovery.ts";
import { whileNobodyCommits } from "./turns.ts";
import { readPlace } from "./value-files.ts";

/** The records of a store as they were when it was opened. */
export interface RecordReader extends ReadableRecords {
  /** How many records a table has, about. */
  count(table: Table): number;
  /** Why what is in the journal is not among the records, if it should be. */
  readonly journalProblem: string | undefined;
  close(): Promise<void>;
}

/**
 * Opens a store. LMDB trusts what it reads, so a broken one can end the process here or at any read.
 * @param path the store's folder; with a data file in it, and a lock file if nothing is to be made.
 * @param isShared whether others may have it open and write to it, in this process or another. They wait meanwhile.
 * @throws RaftError `ERR_STORAGE_CORRUPT` when LMDB finds the file broken; `ERR_STORAGE_FAILED` when a commit of others does
 * not end; whatever else LMDB and the file system throw.
 */
export async function openForReading(path: string, isShared = true): Promise<RecordReader> {
  const { open } = loadLmdb();
  const openRoot = () =>
    orBroken(() =>
      open<Uint8Array, string | number>({
        path,
        noSubdir: false,
        encoding: "binary",
        readOnly: true,
        maxDbs: MAX_TABLES,
      }),
    );
  const root = isShared ? whileNobodyCommits(path, openRoot) : openRoot();
  try {
    const tables = openTables(root);
    const { records, places, journalProblem, transaction } = atOneMoment(root, tables, path);
    return {
      get: (table, key) => {
        const place = places.find(table, key);
        return place === undefined ? records.get(table, key) : readPlace(path, place);
      },
      floor: (table, key) => records.floor(table, key),
      keysFrom: (table, key, limit) => records.keysFrom(table, key, limit),
      page: (range) => records.page(range),
      machineKeys: (range) => records.machineKeys(range),
      freeze: () => records.freeze(),
      count: (table) => (tables[table]?.getStats() as { entryCount?: number } | undefined)?.entryCount ?? 0,
      journalProblem,
      async close() {
        transaction.done();
        await root.close();
      },
    };
  } catch (error) {
    await root.close();
    throw brokenFile(error) ?? error;
  }
}

/** How often the journal is read of a store that takes it over, and begins it anew, meanwhile. */
const ATTEMPTS = 10;

/** The tables as they are now, and on top of them what the journal holds behind that. */
function atOneMoment(root: Root, tables: Partial<Tables>, path: string) {
  for (let attempt = 1; ; attempt++) {
    const transaction = root.useReadTransaction();
    const base = readingIn(tables, transaction);
    const stored = () => (tables.places === undefined ? [] : placesIn(tables.places, transaction));
    let journalProblem: string | undefined;
    try {
      const { writes, places } = readBeside(path, journalPointer(base), stored(), true);
      const records = new Overlaid(base);
      records.add(writes);
      return { records, places, journalProblem, transaction };
    } catch (error) {
      const problem = brokenFile(error) ?? error;
      // What the system refuses says nothing about the store.
      if (!(problem instanceof RaftError)) throw problem;
      journalProblem = problem.message;
    }
    if (attempt === ATTEMPTS) return { records: base, places: placesOrNone(stored), journalProblem, transaction };
    transaction.done();
    root.resetReadTxn();
  }
}

/** As far as the table of places can be read. */
function placesOrNone(stored: () => Iterable<readonly [number, Place]>): Places {
  try {
    return new Places(stored());
  } catch {
    return new Places([]);
  }
}

function readingIn(tables: Partial<Tables>, transaction: Transaction): ReadableRecords {
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
  };
}

type Root = RootDatabase<Uint8Array, string | number>;

/** A table that was never made is as good as empty. */
function openTables(root: Root): Partial<Tables> {
  const openTable = <Key extends string | number | Uint8Array = string | number>(options: {
    readonly name: keyof Tables;
    readonly keyEncoding?: "binary";
  }): Database<Uint8Array, Key> | undefined => {
    try {
      return root.openDB<Uint8Array, Key>({ ...options, encoding: "binary" });
    } catch (error) {
      if (error instanceof Error && NOT_FOUND.test(error.message)) return undefined;
      throw error;
    }
  };
  const tables = {
    meta: openTable({ name: "meta" }),
    log: openTable({ name: "log" }),
    terms: openTable({ name: "terms" }),
    snapshot: openTable({ name: "snapshot" }),
    machine: openTable<Uint8Array>({ name: "machine", keyEncoding: "binary" }),
    places: openTable<number>({ name: "places" }),
  };
  return Object.fromEntries(Object.entries(tables).filter(([, table]) => table !== undefined));
}

function orBroken<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw brokenFile(error) ?? error;
  }
}

const NOT_FOUND = /not ?found/i;
