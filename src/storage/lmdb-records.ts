import type { RootDatabase } from "lmdb";
import { RaftError } from "../raft/errors.ts";
import { corrupt } from "./codec.ts";
import type { Gate } from "./gate.ts";
import { dataFile, sync } from "./lmdb-file.ts";
import { encodePlace, MAX_TABLES, openTables, pageOf, placesIn, type Tables } from "./lmdb-tables.ts";
import { loadLmdb } from "./load-lmdb.ts";
import { keyBytes, keyText } from "./machine-keys.ts";
import type { Place, PlaceWrite } from "./places.ts";
import type { FrozenTable, NumberedTable, Records, RecordWrite } from "./records.ts";
import { noRoom } from "./room.ts";
import type { Durability } from "./store.ts";
import { WriterTurns } from "./turns.ts";

/** What an error of LMDB is about when the file is to blame: page not found, corrupted, version mismatch, invalid. */
const BROKEN_FILE = new Set<unknown>([-30797, -30796, -30794, -30793]);

/** What is thrown in place of an error of LMDB that says that the file is broken. */
export function brokenFile(error: unknown): RaftError | undefined {
  if (!(error instanceof Error && "code" in error && BROKEN_FILE.has(error.code))) return undefined;
  return corrupt(`the database is broken: ${error.message}`, error);
}

/** Which environment, and how to deal with it; see `LmdbStoreOptions`. */
export interface EnvironmentOptions {
  readonly path: string;
  readonly durability: Durability;
  readonly gate: Gate;
}

/** The tables of an environment as they are. The values that stand in value files are empty in them. */
export interface TableRecords extends Records {
  /** @param places what changes in the table of places in the same transaction. */
  commit(writes: readonly RecordWrite[], places?: readonly PlaceWrite[]): void;
  /** All of that table. */
  places(): [key: number, place: Place][];
  /** Whether a transaction is open, here or in another process, that may see the tables as they were before. */
  isRead(): boolean;
}

/** What is in the tables, to read and to write; they are made if need be. A store may have more in its journal. */
export async function openEnvironment({ path, durability, gate }: EnvironmentOptions): Promise<TableRecords> {
  const { open, ABORT } = loadLmdb();
  /** Runs a native call inside the gate, and tells a broken file from a failing disk. */
  const native = <T>(call: () => T): T => {
    try {
      return gate.run(call);
    } catch (error) {
      throw brokenFile(error) ?? error;
    }
  };
  const root = native(() =>
    open<Uint8Array, string | number>({
      path,
      // Without this a folder with a dot in its name is taken for a file.
      noSubdir: false,
      encoding: "binary",
      // What is visible is durable, and lmdb needs no exit listener.
      overlappingSync: false,
      noSync: durability === "process",
      maxDbs: MAX_TABLES,
    }),
  );
  try {
    const turns = new WriterTurns(path);
    try {
      const tables = native(() => turns.run(() => openTables(root)));
      return lmdbRecords(root, tables, native, ABORT, path, durability, turns);
    } catch (error) {
      turns.close();
      throw error;
    }
  } catch (error) {
    await native(() => root.close());
    throw error;
  }
}

function lmdbRecords(
  root: RootDatabase<Uint8Array, string | number>,
  tables: Tables,
  native: <T>(call: () => T) => T,
  ABORT: unknown,
  path: string,
  durability: Durability,
  turns: WriterTurns,
): TableRecords {
  /** Left alone, lmdb resets its read transaction from a timer: a native call outside the gate. */
  const reading = <T>(call: () => T): T =>
    native(() => {
      try {
        return call();
      } finally {
        root.resetReadTxn();
      }
    });
  const views = new Set<FrozenTable>();
  const apply = ({ table, key, value, append }: RecordWrite): unknown => {
    if (table === "machine") {
      if (value !== undefined) return tables.machine.putSync(keyBytes(String(key)), value);
      // There may be no such record: what was made and removed between two saves was never written.
      tables.machine.removeSync(keyBytes(String(key)));
      return true;
    }
    if (value === undefined) return tables[table].removeSync(key);
    return append === true ? tables[table].putSync(key, value, APPEND) : tables[table].putSync(key, value);
  };
  return {
    get: (table, key) =>
      reading(() => (table === "machine" ? tables.machine.get(keyBytes(String(key))) : tables[table].get(key))),
    floor: (table, key) => reading(() => keys(tables, table, { start: key, reverse: true, limit: 1 })[0]),
    keysFrom: (table, key, limit) =>
      reading(() => keys(tables, table, { start: key, ...(limit === undefined ? {} : { limit }) })),
    page: (range) => reading(() => pageOf(tables.machine, range)),
    machineKeys: ({ from, to, limit }) =>
      reading(() => [...tables.machine.getKeys({ start: keyBytes(from), end: keyBytes(to), limit })].map(keyText)),
    freeze(): FrozenTable {
      const transaction = reading(() => root.useReadTransaction());
      const frozen: FrozenTable = {
        page: (range) => reading(() => pageOf(tables.machine, range, transaction)),
        release() {
          if (views.delete(frozen)) reading(() => transaction.done());
        },
      };
      views.add(frozen);
      return frozen;
    },
    places: () => reading(() => placesIn(tables.places)),
    isRead: () =>
      native(() => {
        // Forgets those who have died.
        root.readerCheck();
        return OPEN_READER.test(root.readerList());
      }),
    commit(writes, places = []) {
      const transaction = () =>
        root.transactionSync(() => {
          for (const write of writes) if (apply(write) !== true) return ABORT;
          for (const { key, place } of places) {
            if (place === undefined) tables.places.removeSync(key);
            else tables.places.putSync(key, encodePlace(key, place));
          }
          return undefined;
        });
      let result: unknown;
      try {
        result = native(() => turns.run(transaction));
      } catch (error) {
        // LMDB calls it an I/O error when a disk has room for one part of a write only.
        throw error instanceof RaftError ? error : (noRoom(path) ?? error);
      }
      if (result === ABORT) throw corrupt("the records on disk are not those that were opened");
    },
    async close() {
      for (const frozen of views) frozen.release();
      // With nothing but synchronous writes all of it happens in this call.
      try {
        await native(() => root.close());
      } finally {
        turns.close();
      }
      if (durability === "process") sync(dataFile(path));
    },
  };
}

const APPEND = { append: true };

/** A line of LMDB's list of readers: process, thread, and the transaction; a dash when there is none. */
const OPEN_READER = /^ *\d+ +[\da-f]+ +\d+$/m;

function keys(
  tables: Tables,
  table: NumberedTable,
  range: { start: number; reverse?: boolean; limit?: number },
): number[] {
  return [...tables[table].getKeys(range)].map(Number);
}
