import type { HardState, SnapshotInfo } from "../raft/effects.ts";
import type { Batch, Configuration } from "../raft/entry.ts";
import type { TermRun } from "../raft/log.ts";
import { corrupt, decodeRecord, encodeRecord, sealBatch } from "./codec.ts";
import type { ReadableRecords, RecordWrite } from "./records.ts";
import type { AppliedState, StoreIdentity } from "./store.ts";

/** What the records of `meta` hold, by their keys. */
export interface Meta {
  readonly format: number;
  readonly identity: StoreIdentity;
  /** The configuration the log began with, since its first entry may be compacted away one day. */
  readonly configuration: Configuration;
  readonly hardState: HardState;
  readonly incarnation: number;
  readonly log: LogPointer;
  readonly snapshot: SnapshotPointer | null;
  readonly machine: MachinePointer | null;
  /** Null while nobody has the store open, if the one before has closed it. */
  readonly journal: JournalPointer | null;
}

/** Which journal stands in front of the tables, see journal-format.ts, and how much of it they have. */
export interface JournalPointer {
  /** Of the journal's own layout. */
  readonly format: number;
  /** Made at each opening, in hexadecimal digits. */
  readonly id: string;
  /** The number of the last record that was taken over, or of what went past the journal behind it; they count from 1. */
  readonly taken: number;
  readonly values: ValueRow;
}

/** The numbers of the value files that are written to, one behind the other, and where the next record goes in the first. */
export interface ValueRow {
  readonly files: readonly number[];
  readonly at: number;
}

/** Where the live log begins. Records before it are left over from what was compacted or reset. */
export interface LogPointer {
  readonly firstIndex: number;
  /**
   * What is added to an index to make its key in `log` and `terms`. A log that is reset may begin again at indices that
   * it had before; by a greater shift it begins behind all the records it leaves over.
   */
  readonly shift: number;
  /** Of the entry before the first: where it ends, and its time stamp. They count when the log is empty. */
  readonly position: number;
  readonly time: number;
}

/** The snapshot in force. Its chunks have the keys from `firstKey` on. */
export interface SnapshotPointer {
  readonly info: SnapshotInfo;
  readonly firstKey: number;
}

/** The state of a durable machine that is in force; null: there is none. */
export interface MachinePointer {
  /** What all its keys begin with. Another state that is to take its place is written beside it, under the other one. */
  readonly side: Side;
  readonly applied: AppliedState;
}

export type Side = "a" | "b";

/** A write of one record of `meta`. */
export function metaWrite<Key extends keyof Meta>(key: Key, value: Meta[Key]): RecordWrite {
  return { table: "meta", key, value: encodeRecord("meta", key, value) };
}

/** @throws RaftError `ERR_STORAGE_CORRUPT` when the record is missing or broken. */
export function readMeta<Key extends keyof Meta>(records: ReadableRecords, key: Key): Meta[Key] {
  const record = records.get("meta", key);
  if (record === undefined) throw corrupt(`the record "${key}" is missing`);
  return decodeRecord("meta", key, record) as Meta[Key];
}

/** A write that says where a run of terms begins; behind all other runs. */
export function termWrite({ firstIndex, term }: TermRun, shift: number): RecordWrite {
  const key = firstIndex + shift;
  return { table: "terms", key, value: encodeRecord("terms", key, { term }), append: true };
}

/** @throws RaftError `ERR_STORAGE_CORRUPT` when the record is missing or broken. */
export function readTermRun(records: ReadableRecords, key: number, shift: number): TermRun {
  const firstIndex = key - shift;
  const record = records.get("terms", key);
  if (record === undefined) throw corrupt(`the term that begins at entry ${firstIndex} is missing`);
  const { term } = decodeRecord("terms", key, record) as Pick<TermRun, "term">;
  return { firstIndex, term };
}

/** A write that appends a batch to the log. */
export function batchWrite(batch: Batch, shift: number): RecordWrite {
  return { table: "log", key: batch.firstIndex + shift, value: sealBatch(batch), append: true };
}
