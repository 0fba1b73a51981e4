/**
 * Where a store keeps what, one table each:
 *
 * - `meta`: one record a name, see layout.ts;
 * - `log`: one record a batch, under its first index; its value is the batch;
 * - `terms`: one record a run of equal terms, under its first index;
 * - `snapshot`: one record a chunk, under numbers that run on from one snapshot to the next;
 * - `machine`: the state of a durable state machine, see machine-records.ts.
 *
 * Indices are shifted, see `LogPointer`. All but `meta` may also hold records that are of no use any more and wait to be
 * swept; what is in use is said in `meta`.
 */
export type Table = "meta" | "machine" | NumberedTable;

/** The tables whose keys are numbers. */
export type NumberedTable = "log" | "terms" | "snapshot";

/** The tables with long values, which may stand in files of their own. */
export type LongTable = Exclude<NumberedTable, "terms">;

/** One step of a commit. */
export interface RecordWrite {
  readonly table: Table;
  readonly key: string | number;
  /** The record's new bytes, ready to be copied; undefined removes it. */
  readonly value: Uint8Array | undefined;
  /** The key is beyond all others of its table. */
  readonly append?: boolean;
}

/** The records of `machine` from the key `from` on to the one before `to`, in the order of their keys' UTF-16 units. */
export interface KeyRange {
  readonly from: string;
  readonly to: string;
  /** The most records that are wanted. */
  readonly limit: number;
}

/** How many bytes of values a page has, about. */
export const PAGE_BYTES = 1 << 20;

/** A record of `machine`. */
export interface KeyedRecord {
  readonly key: string;
  readonly value: Uint8Array;
}

/** The table `machine` as it was at one moment, whatever is committed since. */
export interface FrozenTable {
  /** Fewer than `limit` only when there are no more, or when they take more than about 1 MiB; at least one if there are any. */
  page(range: KeyRange): KeyedRecord[];
  /** Has to be called, since what is frozen takes room on the disk. A second call does nothing. */
  release(): void;
}

/** Ordered records, to read. Methods throw what the disk throws. */
export interface ReadableRecords {
  /** A copy of the record's bytes, the caller's to keep. */
  get(table: Table, key: string | number): Uint8Array | undefined;
  /** The greatest key that is not greater than `key`. */
  floor(table: NumberedTable, key: number): number | undefined;
  /** The keys that are not less than `key`, ascending; the first `limit` of them, by default all. */
  keysFrom(table: NumberedTable, key: number, limit?: number): number[];
  /** As in {@link FrozenTable}, of the table as it is now. */
  page(range: KeyRange): KeyedRecord[];
  /** The keys alone. */
  machineKeys(range: KeyRange): string[];
  freeze(): FrozenTable;
}

/** Ordered records that change atomically: all that a store needs of a disk. */
export interface Records extends ReadableRecords {
  /** Carries out all writes in their order, or none. On return they are durable. */
  commit(writes: readonly RecordWrite[]): void;
  close(): Promise<void>;
}
