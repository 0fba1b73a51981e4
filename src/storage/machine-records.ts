import { invariant } from "../raft/errors.ts";
import { corrupt, sealMachineRecord, unsealMachineRecord } from "./codec.ts";
import { type MachinePointer, metaWrite, type Side } from "./layout.ts";
import type { FrozenTable, KeyedRecord, KeyRange, ReadableRecords, RecordWrite } from "./records.ts";
import type { AppliedState, MachineChange } from "./store.ts";

/*
 * The state of a durable machine among the records. Keys begin with one of two letters: that of the state in force, or
 * the other one, of what is being written to take its place or was left of such an attempt.
 */

/** How much of a new state is written at a time, if nobody says another. */
const REPLACE_BYTES = 1 << 20;
/** How many records that are not in use are removed at a time. */
const SWEEP_AT_A_TIME = 1_024;

export const SIDES = ["a", "b"] as const satisfies readonly Side[];

/** The side in use; without a pointer the one that is filled first. */
export function sideOf(pointer: MachinePointer | null): Side {
  return pointer?.side ?? SIDES[0];
}

/** The side that is not in use. */
export function otherSide(side: Side): Side {
  return side === "a" ? "b" : "a";
}

/** All keys of a side. */
export function allOf(side: Side, limit: number): KeyRange {
  return { from: side, to: side === "a" ? "b" : "c", limit };
}

export function recordAt(records: Pick<ReadableRecords, "get">, side: Side, key: string): Uint8Array | undefined {
  const record = records.get("machine", side + key);
  return record === undefined ? undefined : unseal(side + key, record);
}

/** @param table the records, or a frozen view of them. */
export function pageOf(table: Pick<FrozenTable, "page">, side: Side, { from, to, limit }: KeyRange): KeyedRecord[] {
  const found = table.page({ from: side + from, to: side + to, limit });
  return found.map(({ key, value }) => ({ key: key.slice(side.length), value: unseal(key, value) }));
}

/** @returns the pointer that comes into force with the writes. */
export function planChange(
  writes: RecordWrite[],
  before: MachinePointer | null,
  { records, applied }: MachineChange,
): MachinePointer {
  invariant(
    applied.index >= (before?.applied.index ?? 0),
    () => `the state of entry ${applied.index} in place of that of ${before?.applied.index}`,
  );
  const side = sideOf(before);
  for (const { key, value } of records) writes.push(recordWrite(side + key, value));
  const pointer = { side, applied };
  writes.push(metaWrite("machine", pointer));
  return pointer;
}

/**
 * The writes, a commit each, that put `content` in the place of what `before` says; the last one with the pointer.
 * @param atOnce bytes of content, about, that are written with one of them.
 */
export function* planReplacement(
  records: ReadableRecords,
  before: MachinePointer | null,
  content: Iterable<KeyedRecord>,
  applied: AppliedState,
  atOnce = REPLACE_BYTES,
): Generator<{ readonly writes: readonly RecordWrite[]; readonly pointer: MachinePointer | null }> {
  const side = otherSide(sideOf(before));
  // What an attempt before this one has left there.
  for (let writes = planSweep(records, side); writes.length > 0; writes = planSweep(records, side)) {
    yield { writes, pointer: before };
  }
  let writes: RecordWrite[] = [];
  let bytes = 0;
  for (const { key, value } of content) {
    writes.push(recordWrite(side + key, value));
    bytes += key.length + value.byteLength;
    if (bytes < atOnce) continue;
    yield { writes, pointer: before };
    writes = [];
    bytes = 0;
  }
  const pointer = { side, applied };
  yield { writes: [...writes, metaWrite("machine", pointer)], pointer };
}

/** Removes some records of a side that is not in use; none when there are none. */
export function planSweep(records: ReadableRecords, side: Side, limit = SWEEP_AT_A_TIME): RecordWrite[] {
  return records.machineKeys(allOf(side, limit)).map((key) => ({ table: "machine", key, value: undefined }));
}

function recordWrite(key: string, value: Uint8Array | undefined): RecordWrite {
  return { table: "machine", key, value: value === undefined ? undefined : sealMachineRecord(key, value) };
}

function unseal(key: string, record: Uint8Array): Uint8Array {
  const value = unsealMachineRecord(key, record);
  if (value === undefined) throw corrupt(`the record ${JSON.stringify(key.slice(1))} of the state fails its checksum`);
  return value;
}
