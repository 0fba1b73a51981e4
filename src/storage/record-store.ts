import type { Save } from "../raft/effects.ts";
import type { Batch } from "../raft/entry.ts";
import { invariant, RaftError } from "../raft/errors.ts";
import { storageError } from "./codec.ts";
import { metaWrite } from "./layout.ts";
import {
  describeLog,
  type LogBounds,
  meets,
  planAppend,
  planCompaction,
  planReset,
  planTruncation,
  readBatches,
} from "./log-records.ts";
import type { OpenedRecords } from "./opening.ts";
import type { NumberedTable, Records, RecordWrite } from "./records.ts";
import { chunkAt, describeSnapshot, planChunk, planSnapshot } from "./snapshot-records.ts";
import type { Store, StoredState } from "./store.ts";
import { ALL_TABLES, type Bounds, leftOver, planSweep } from "./sweeping.ts";

/** For a chunk of the size that peers make, and its checksum. */
const SCRATCH_BYTES = (256 << 10) + 64;
const NOTHING = new Uint8Array();

/**
 * The store that all stores here are, over records of some kind. A save is planned first (read, cut, checksummed) and
 * then committed, so that nothing but copying is left to do inside a transaction.
 */
export class RecordStore implements Store {
  readonly state: StoredState;
  readonly #records: Records;
  #bounds: Bounds;
  /** Where there may be records that are not in use. */
  #unswept: ReadonlySet<NumberedTable> = ALL_TABLES;
  /**
   * Where the first chunk of a save is sealed, mostly the only one: a commit copies what it is given. Half a gigabyte of
   * chunks in memory of their own would keep the garbage collector busy with all else that there is.
   */
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  /** Why the store is of no more use. */
  #failure: unknown;
  #closed: Promise<void> | undefined;

  /** @param opened what `openRecords` returned for these records. */
  constructor(records: Records, { state, bounds }: OpenedRecords) {
    this.#records = records;
    this.state = state;
    this.#bounds = bounds;
  }

  save(save: Save): void {
    this.#write(() => {
      const { writes, bounds } = this.#plan(save);
      if (writes.length === 0) return;
      const swept = planSweep(this.#records, this.#unswept, this.#bounds, writes);
      this.#records.commit([...writes, ...swept.writes]);
      this.#unswept = swept.tables;
      for (const table of leftOver(this.#bounds, bounds)) swept.tables.add(table);
      this.#bounds = bounds;
    });
  }

  sweep(): boolean {
    return this.#write(() => {
      const { writes, tables } = planSweep(this.#records, this.#unswept, this.#bounds);
      if (writes.length > 0) this.#records.commit(writes);
      this.#unswept = tables;
      return tables.size > 0;
    });
  }

  read(from: number, maxBytes: number): Batch[] {
    return this.#read(() => readBatches(this.#records, this.#bounds.log, from, maxBytes));
  }

  readChunk(index: number, chunk: number): Uint8Array | undefined {
    return this.#read(() => {
      const { pointer } = this.#bounds.snapshots;
      return pointer?.info.index === index ? chunkAt(this.#records, pointer, chunk) : undefined;
    });
  }

  *readSnapshot(): Iterable<Uint8Array> {
    const { info } = this.#bounds.snapshots.pointer ?? {};
    if (info === undefined) return;
    for (let number = 0; number < info.chunks; number++) {
      const chunk = this.readChunk(info.index, number);
      invariant(chunk !== undefined, () => `the snapshot of ${info.index} was replaced while it was read`);
      yield chunk;
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#records.close();
    return this.#closed;
  }

  #checkUsable(): void {
    if (this.#closed !== undefined) throw new RaftError("ERR_STOPPED", "the store is closed");
  }

  #read<T>(read: () => T): T {
    this.#checkUsable();
    try {
      return read();
    } catch (error) {
      throw storageError("the store cannot be read", error);
    }
  }

  #write<T>(write: () => T): T {
    this.#checkUsable();
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return write();
    } catch (error) {
      this.#failure = storageError("the store cannot be written", error, "unknown");
      throw this.#failure;
    }
  }

  #plan(save: Save): { writes: RecordWrite[]; bounds: Bounds } {
    const writes: RecordWrite[] = [];
    let { log, snapshots } = this.#bounds;
    if (save.hardState !== undefined) writes.push(metaWrite("hardState", save.hardState));
    for (const [at, chunk] of save.chunks.entries()) {
      snapshots = planChunk(writes, snapshots, chunk, at === 0 ? this.#scratch : NOTHING);
    }
    if (save.snapshot !== undefined) snapshots = planSnapshot(writes, snapshots, save.snapshot);
    if (save.resetTo !== undefined) log = planReset(writes, log, save.resetTo);
    log = this.#planLog(writes, log, save);
    const snapshot = snapshots.pointer?.info;
    invariant(meets(log, snapshot), () => `${describeLog(log)} does not fit ${describeSnapshot(snapshot)}`);
    return { writes, bounds: { log, snapshots } };
  }

  #planLog(writes: RecordWrite[], before: LogBounds, { truncateFrom, batches, compactTo }: Save): LogBounds {
    let log = before;
    const planned = [...batches];
    if (truncateFrom !== undefined && truncateFrom <= log.lastIndex) {
      const truncation = planTruncation(this.#records, writes, log, truncateFrom);
      log = truncation.log;
      if (truncation.kept !== undefined) planned.push(truncation.kept);
    }
    for (const batch of batches) log = planAppend(writes, log, batch);
    if (compactTo === undefined || compactTo < log.firstIndex) return log;
    return planCompaction(this.#records, writes, log, compactTo, planned);
  }
}
