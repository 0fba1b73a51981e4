import { storageError } from "./codec.ts";
import type { Gate } from "./gate.ts";
import { openJournaled } from "./journaled.ts";
import { hasDataFile, prepareFolder, syncFolders } from "./lmdb-file.ts";
import { openRecords, storeLost } from "./opening.ts";
import { RecordStore } from "./record-store.ts";
import type { Records } from "./records.ts";
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
 * The store of a peer on disk: an LMDB environment of its own, written only synchronously. With `durability: "disk"` it has a
 * journal in front of it, and a save has reached the disk when it returns.
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
      records = await openJournaled(options);
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
