import type { RootDatabase } from "lmdb";
import { RaftError } from "../raft/errors.ts";
import { corrupt, storageError } from "./codec.ts";
import type { Gate } from "./gate.ts";
import { dataFile, hasDataFile, prepareFolder, sync, syncFolders } from "./lmdb-file.ts";
import { MAX_TABLES, openTables, pageOf, type Tables } from "./lmdb-tables.ts";
import { keyBytes, keyText } from "./machine-keys.ts";
import { openRecords, storeLost } from "./opening.ts";
import { RecordStore } from "./record-store.ts";
import type { FrozenTable, NumberedTable, Records, RecordWrite } from "./records.ts";
import { noRoom } from "./room.ts";
import type { Durability, StoreOptions } from "./store.ts";

/** Where the store is, and what it promises. */
export interface LmdbStoreOptions extends StoreOptions {
  /** The folder of this store alone; made when it is not there. */
  readonly path: string;
  /**
   * With `process` the system decides when to write: faster, but a power loss can break the whole store, unless it was
   * closed before.
   */
  readonly durability: Durability;
  /**
   * Held around all native calls. A `HeldGate` must not be released before `open` has settled, since loading
   * lmdb is part of it. `noGate` will do in a thread that nobody terminates.
   */
  readonly gate: Gate;
}

/**
 * The store of a peer on disk: an LMDB environment of its own, written only synchronously. With `durability: "disk"` a
 * save has reached the disk when it returns.
 */
export class LmdbStore extends RecordStore {
  /**
   * Loads lmdb in this thread, and makes or opens the store. On failure nothing is left open.
   * @throws RaftError `ERR_STORAGE_LOST` when the store is gone, another's, or of a newer format; `ERR_INVALID_OPTION`
   * when it was made for other voters; `ERR_STORAGE_CORRUPT`; `ERR_STORAGE_FULL`, also when there is only a little room
   * left; `ERR_STORAGE_FAILED` with the cause for all else.
   */
  static async open(options: LmdbStoreOptions): Promise<LmdbStore> {
    if (options.born && !hasDataFile(options.path)) throw storeLost(options.identity);
    let records: Records | undefined;
    try {
      prepareFolder(options.path);
      records = await openEnvironment(options);
      const opened = openRecords(records, options);
      if (!options.born) syncFolders(options.path);
      return new LmdbStore(records, opened);
    } catch (error) {
      // The first error says more than that of a close behind it.
      await records?.close().catch(() => {});
      throw storageError(`the store at ${options.path} cannot be opened`, error);
    }
  }
}

/** What an error of LMDB is about when the file is to blame: page not found, corrupted, version mismatch, invalid. */
const BROKEN_FILE = new Set<unknown>([-30797, -30796, -30794, -30793]);

/** What is thrown in place of an error of LMDB that says that the file is broken. */
export function brokenFile(error: unknown): RaftError | undefined {
  if (!(error instanceof Error && "code" in error && BROKEN_FILE.has(error.code))) return undefined;
  return corrupt(`the database is broken: ${error.message}`, error);
}

/** The records of a store, to read and to write; the tables are made if need be. */
export async function openEnvironment({
  path,
  durability,
  gate,
}: Pick<LmdbStoreOptions, "path" | "durability" | "gate">): Promise<Records> {
  const { open, ABORT } = await import("lmdb");
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
    const tables = native(() => openTables(root));
    return lmdbRecords(root, tables, native, ABORT, path, durability);
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
): Records {
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
    commit(writes) {
      const transaction = () =>
        root.transactionSync(() => {
          for (const write of writes) if (apply(write) !== true) return ABORT;
          return undefined;
        });
      let result: unknown;
      try {
        result = native(transaction);
      } catch (error) {
        // LMDB calls it an I/O error when a disk has room for one part of a write only.
        throw error instanceof RaftError ? error : (noRoom(path) ?? error);
      }
      if (result === ABORT) throw corrupt("the records on disk are not those that were opened");
    },
    async close() {
      for (const frozen of views) frozen.release();
      // With nothing but synchronous writes all of it happens in this call.
      await native(() => root.close());
      if (durability === "process") sync(dataFile(path));
    },
  };
}

const APPEND = { append: true };

function keys(
  tables: Tables,
  table: NumberedTable,
  range: { start: number; reverse?: boolean; limit?: number },
): number[] {
  return [...tables[table].getKeys(range)].map(Number);
}
