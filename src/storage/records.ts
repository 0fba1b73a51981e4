/**
 * Where a store keeps what, one table each:
 *
 * - `meta`: one record a name, see layout.ts;
 * - `log`: one record a batch, under its first index; its value is the batch;
 * - `terms`: one record a run of equal terms, under its first index;
 * - `snapshot`: one record a chunk, under numbers that run on from one snapshot to the next.
 *
 * Indices are shifted, see `LogPointer`. All but `meta` may also hold records that are of no use any more and wait to be
 * swept; what is in use is said in `meta`.
 */
export type Table = "meta" | NumberedTable;

/** The tables whose keys are numbers. */
export type NumberedTable = "log" | "terms" | "snapshot";

/** One step of a commit. */
export interface RecordWrite {
  readonly table: Table;
  readonly key: string | number;
  /** The record's new bytes, ready to be copied; undefined removes it. */
  readonly value: Uint8Array | undefined;
  /** The key is beyond all others of its table. */
  readonly append?: boolean;
}

/** Ordered records that change atomically: all that a store needs of a disk. Methods throw what the disk throws. */
export interface Records {
  /** A copy of the record's bytes, the caller's to keep. */
  get(table: Table, key: string | number): Uint8Array | undefined;
  /** The greatest key that is not greater than `key`. */
  floor(table: NumberedTable, key: number): number | undefined;
  /** The keys that are not less than `key`, ascending; the first `limit` of them, by default all. */
  keysFrom(table: NumberedTable, key: number, limit?: number): number[];
  /** Carries out all writes in their order, or none. On return they are durable. */
  commit(writes: readonly RecordWrite[]): void;
  close(): Promise<void>;
}
