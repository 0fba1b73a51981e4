import type { Save, SnapshotChunk } from "../raft/effects.ts";
import type { Batch } from "../raft/entry.ts";
import { invariant, RaftError } from "../raft/errors.ts";
import { CHECKSUM_BYTES, storageError } from "./codec.ts";
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
import { pageOf, planChange, planReplacement, recordAt, sideOf } from "./machine-records.ts";
import type { OpenedRecords } from "./opening.ts";
import type { FrozenTable, KeyRange, Records, RecordWrite } from "./records.ts";
import { chunkAt, describeSnapshot, planChunk, planSnapshot } from "./snapshot-records.ts";
import type { MachineChange, MachineTable, Store, StoredState } from "./store.ts";
import { ALL_TABLES, type Bounds, leftOver, planSweep, type SweptTable } from "./sweeping.ts";

/** For a run of chunks as a leader sends it, and their checksums. */
const MOST_SCRATCH_BYTES = (1 << 20) + (1 << 10);
const NOTHING = new Uint8Array();

/**
 * The store that all stores here are, over records of some kind. A save is planned first (read, cut, checksummed) and
 * then committed, so that nothing but copying is left to do inside a transaction.
 */
export class RecordStore implements Store {
  readonly state: StoredState;
  readonly machine: MachineTable;
  readonly #records: Records;
  readonly #replaceBytes: number | undefined;
  #bounds: Bounds;
  /** Where there may be records that are not in use. */
  #unswept: ReadonlySet<SweptTable> = ALL_TABLES;
  /**
   * Where the chunks of a save are sealed, as many as there is room for: a commit copies what it is given. Half a gigabyte
   * of chunks in memory of their own would keep the garbage collector busy with all else that there is, and memory that
   * was never touched is dear.
   */
  #scratch = NOTHING;
  /** Why the store is of no more use. */
  #failure: unknown;
  #closed: Promise<void> | undefined;

  /**
   * @param opened what `openRecords` returned for these records.
   * @param replaceBytes how much of a durable machine's new state is written at a time. Default 1 MiB.
   */
  constructor(records: Records, { state, bounds }: OpenedRecords, replaceBytes?: number) {
    this.#records = records;
    this.#replaceBytes = replaceBytes;
    this.state = state;
    this.#bounds = bounds;
    this.machine = {
      get: (key) => this.#read(() => recordAt(this.#records, sideOf(this.#bounds.machine), key)),
      page: (range) => this.#read(() => pageOf(this.#records, sideOf(this.#bounds.machine), range)),
      freeze: () => this.#freeze(),
      replace: (content, applied) => this.#replace(content, applied),
    };
  }

  save(save: Save, change?: MachineChange): void {
    this.#write(() => {
      const { writes, bounds } = this.#plan(save, change);
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

  #freeze(): FrozenTable {
    const side = sideOf(this.#bounds.machine);
    const frozen = this.#read(() => this.#records.freeze());
    return {
      page: (range: KeyRange) => this.#read(() => pageOf(frozen, side, range)),
      release: () => frozen.release(),
    };
  }

  #replace(...[content, applied]: Parameters<MachineTable["replace"]>): void {
    const plans = planReplacement(this.#records, this.#bounds.machine, content, applied, this.#replaceBytes);
    // What the content throws is no failure of the store: what was written of it so far is swept as other left-overs are.
    this.#unswept = new Set([...this.#unswept, "machine"]);
    for (const { writes, pointer } of plans) {
      this.#write(() => this.#records.commit(writes));
      this.#bounds = { ...this.#bounds, machine: pointer };
    }
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

  #plan(save: Save, change: MachineChange | undefined): { writes: RecordWrite[]; bounds: Bounds } {
    const writes: RecordWrite[] = [];
    let { log, snapshots, machine } = this.#bounds;
    if (save.hardState !== undefined) writes.push(metaWrite("hardState", save.hardState));
    let scratch = this.#scratchFor(save.chunks);
    for (const chunk of save.chunks) {
      snapshots = planChunk(writes, snapshots, chunk, scratch);
      scratch = scratch.subarray(sealedBytes(chunk));
    }
    if (save.snapshot !== undefined) snapshots = planSnapshot(writes, snapshots, save.snapshot);
    if (save.resetTo !== undefined) log = planReset(writes, log, save.resetTo);
    log = this.#planLog(writes, log, save);
    const snapshot = snapshots.pointer?.info;
    invariant(meets(log, snapshot), () => `${describeLog(log)} does not fit ${describeSnapshot(snapshot)}`);
    if (change !== undefined) machine = planChange(writes, machine, change);
    return { writes, bounds: { log, snapshots, machine } };
  }

  /** As large as these chunks take when they are sealed, but no larger than is worth keeping. */
  #scratchFor(chunks: readonly SnapshotChunk[]): Uint8Array {
    const needed = Math.min(
      MOST_SCRATCH_BYTES,
      chunks.reduce((sum, chunk) => sum + sealedBytes(chunk), 0),
    );
    if (needed > this.#scratch.byteLength) this.#scratch = new Uint8Array(needed);
    return this.#scratch;
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

function sealedBytes({ data }: SnapshotChunk): number {
  return CHECKSUM_BYTES + data.byteLength;
}
