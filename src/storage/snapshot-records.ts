import type { SnapshotChunk, SnapshotInfo } from "../raft/effects.ts";
import { invariant } from "../raft/errors.ts";
import { corrupt, sealChunk, unsealChunk } from "./codec.ts";
import { metaWrite, type SnapshotPointer } from "./layout.ts";
import type { ReadableRecords, RecordWrite } from "./records.ts";

/**
 * The chunks among the records: those of the snapshot in force, and behind them those that are set aside. A key is not
 * used again while its record is there, so that a chunk never replaces another.
 */
export interface SnapshotBounds {
  readonly pointer: SnapshotPointer | null;
  /** The keys from here to `nextKey` are set aside. */
  readonly stagedFrom: number;
  readonly stagedBytes: number;
  readonly nextKey: number;
}

/** For messages. */
export function describeSnapshot(info: SnapshotInfo | undefined): string {
  return info === undefined ? "no snapshot" : `a snapshot of entry ${info.index} of term ${info.term}`;
}

/** What is found when a store is opened: nothing set aside is of any use then. */
export function openSnapshots(records: ReadableRecords, pointer: SnapshotPointer | null): SnapshotBounds {
  const lastKey = records.floor("snapshot", Number.MAX_SAFE_INTEGER) ?? -1;
  const nextKey = Math.max(lastKey + 1, endOf(pointer));
  return { pointer, stagedFrom: nextKey, stagedBytes: 0, nextKey };
}

/** The key behind the last chunk in force. */
export function endOf(pointer: SnapshotPointer | null): number {
  return pointer === null ? 0 : pointer.firstKey + pointer.info.chunks;
}

/** Sets a chunk aside. @param scratch see `sealChunk`. */
export function planChunk(
  writes: RecordWrite[],
  bounds: SnapshotBounds,
  { number, data }: SnapshotChunk,
  scratch: Uint8Array,
): SnapshotBounds {
  const { nextKey } = bounds;
  const { stagedFrom, stagedBytes } = number === 0 ? { stagedFrom: nextKey, stagedBytes: 0 } : bounds;
  invariant(
    number === nextKey - stagedFrom,
    () => `chunk ${number} of a snapshot of which ${nextKey - stagedFrom} are set aside`,
  );
  writes.push({ table: "snapshot", key: nextKey, value: sealChunk(nextKey, data, scratch), append: true });
  return { pointer: bounds.pointer, stagedFrom, stagedBytes: stagedBytes + data.byteLength, nextKey: nextKey + 1 };
}

/** What is set aside comes into force. */
export function planSnapshot(writes: RecordWrite[], bounds: SnapshotBounds, info: SnapshotInfo): SnapshotBounds {
  const { pointer: before, stagedFrom, stagedBytes, nextKey } = bounds;
  const chunks = nextKey - stagedFrom;
  invariant(
    chunks > 0 && chunks === info.chunks && stagedBytes === info.bytes,
    () =>
      `a snapshot of ${info.chunks} chunks and ${info.bytes} bytes, where ${chunks} and ${stagedBytes} are set aside`,
  );
  invariant(
    info.index > (before?.info.index ?? 0),
    () => `a snapshot of ${info.index} in place of that of ${before?.info.index}`,
  );
  const pointer = { info, firstKey: stagedFrom };
  writes.push(metaWrite("snapshot", pointer));
  return { pointer, stagedFrom: nextKey, stagedBytes: 0, nextKey };
}

/** @param chunk counted from 0. */
export function chunkAt(records: ReadableRecords, { info, firstKey }: SnapshotPointer, chunk: number): Uint8Array {
  invariant(
    chunk >= 0 && chunk < info.chunks,
    () => `cannot read chunk ${chunk} of ${info.chunks} of the snapshot of ${info.index}`,
  );
  const key = firstKey + chunk;
  const record = records.get("snapshot", key);
  const data = record === undefined ? undefined : unsealChunk(key, record);
  if (data === undefined) {
    const what = record === undefined ? "is missing" : "fails its checksum";
    throw corrupt(`chunk ${chunk} of the snapshot of ${info.index} ${what}`);
  }
  return data;
}
