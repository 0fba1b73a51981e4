import type { HardState } from "../raft/effects.ts";
import type { Batch, Configuration } from "../raft/entry.ts";
import type { TermRun } from "../raft/log.ts";
import { corrupt, decodeRecord, encodeRecord, sealBatch } from "./codec.ts";
import type { Records, RecordWrite } from "./records.ts";
import type { StoreIdentity } from "./store.ts";

/** What the records of `meta` hold, by their keys. */
interface Meta {
  readonly format: number;
  readonly identity: StoreIdentity;
  /** The configuration the log begins with, since its first entry may be compacted away one day. */
  readonly configuration: Configuration;
  readonly hardState: HardState;
  readonly incarnation: number;
}

/** A write of one record of `meta`. */
export function metaWrite<Key extends keyof Meta>(key: Key, value: Meta[Key]): RecordWrite {
  return { table: "meta", key, value: encodeRecord("meta", key, value) };
}

/** @throws RaftError `ERR_STORAGE_CORRUPT` when the record is missing or broken. */
export function readMeta<Key extends keyof Meta>(records: Records, key: Key): Meta[Key] {
  const record = records.get("meta", key);
  if (record === undefined) throw corrupt(`the record "${key}" is missing`);
  return decodeRecord("meta", key, record) as Meta[Key];
}

/** A write that says where a run of terms begins; behind all other runs. */
export function termWrite({ firstIndex, term }: TermRun): RecordWrite {
  return { table: "terms", key: firstIndex, value: encodeRecord("terms", firstIndex, { term }), append: true };
}

/** @throws RaftError `ERR_STORAGE_CORRUPT` when the record is missing or broken. */
export function readTermRun(records: Records, firstIndex: number): TermRun {
  const record = records.get("terms", firstIndex);
  if (record === undefined) throw corrupt(`the term that begins at entry ${firstIndex} is missing`);
  const { term } = decodeRecord("terms", firstIndex, record) as Pick<TermRun, "term">;
  return { firstIndex, term };
}

/** A write that appends a batch to the log. */
export function batchWrite(batch: Batch): RecordWrite {
  return { table: "log", key: batch.firstIndex, value: sealBatch(batch), append: true };
}
