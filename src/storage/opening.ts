import type { SnapshotInfo } from "../raft/effects.ts";
import { type Batch, batchPosition, bootstrapBatch, type Configuration } from "../raft/entry.ts";
import { RaftError } from "../raft/errors.ts";
import { corrupt } from "./codec.ts";
import { batchWrite, type LogPointer, metaWrite, readMeta, readTermRun, termWrite } from "./layout.ts";
import { batchAt, describeLog, type LogBounds, meets, termAt } from "./log-records.ts";
import type { ReadableRecords, Records } from "./records.ts";
import { describeSnapshot, openSnapshots } from "./snapshot-records.ts";
import type { StoredState, StoreIdentity, StoreOptions } from "./store.ts";
import type { Bounds } from "./sweeping.ts";

/** Of the layout of all records; a store of a later one is refused. */
export const FORMAT = 1;

/** What a store is made from. */
export interface OpenedRecords {
  readonly state: StoredState;
  readonly bounds: Bounds;
}

/**
 * Makes the store or finds it, checks that it is the one that was meant and that its ends are sound, and counts the
 * incarnation. Of the log only the two ends are read, of the snapshot nothing.
 * @throws RaftError `ERR_STORAGE_LOST`, `ERR_STORAGE_CORRUPT`, or `ERR_INVALID_OPTION` for other voters.
 */
export function openRecords(records: Records, options: StoreOptions): OpenedRecords {
  const used = records.get("meta", "format") !== undefined;
  if (!used) create(records, options);
  checkFormat(readMeta(records, "format"));
  checkIdentity(readMeta(records, "identity"), options.identity);
  const configuration = readMeta(records, "configuration");
  checkConfiguration(configuration, options.configuration);
  const { currentTerm, votedFor } = readMeta(records, "hardState");
  const incarnation = readMeta(records, "incarnation") + (used ? 1 : 0);
  const pointer = readMeta(records, "snapshot");
  const snapshot = pointer?.info;
  const { log, lastTime } = openLog(records, snapshot);
  const machine = readMeta(records, "machine");
  if ((machine?.applied.index ?? 0) > log.lastIndex) {
    throw corrupt(`the machine's state of entry ${machine?.applied.index} does not fit ${describeLog(log)}`);
  }
  if (used) records.commit([metaWrite("incarnation", incarnation)]);
  const { firstIndex, lastIndex, terms, firstPosition, endPosition } = log;
  const state: StoredState = {
    incarnation,
    used,
    hardState: { currentTerm, votedFor },
    configuration: snapshot?.configuration ?? configuration,
    snapshot,
    applied: machine?.applied,
    firstIndex,
    lastIndex,
    lastTime,
    terms,
    firstPosition,
    endPosition,
  };
  return { state, bounds: { log, snapshots: openSnapshots(records, pointer), machine } };
}

/** What is thrown when a peer that has had a store finds none. */
export function storeLost(identity: StoreIdentity): RaftError {
  return new RaftError("ERR_STORAGE_LOST", `the store of ${describe(identity)} is gone; the peer must not vote again`);
}

function create(records: Records, { identity, configuration, born }: StoreOptions): void {
  if (born) throw storeLost(identity);
  if (records.keysFrom("log", 0, 1).length > 0) throw corrupt("there is a log, but nothing says whose it is");
  const batch = bootstrapBatch(configuration);
  records.commit([
    metaWrite("format", FORMAT),
    metaWrite("identity", identity),
    metaWrite("configuration", configuration),
    metaWrite("hardState", { currentTerm: 0, votedFor: undefined }),
    metaWrite("incarnation", 1),
    metaWrite("log", { firstIndex: batch.firstIndex, shift: 0, position: 0, time: 0 }),
    metaWrite("snapshot", null),
    metaWrite("machine", null),
    batchWrite(batch, 0),
    termWrite(batch, 0),
  ]);
}

function checkFormat(format: number): void {
  if (format <= FORMAT) return;
  throw new RaftError(
    "ERR_STORAGE_LOST",
    `the store was written by a newer version, in format ${format}; this one knows ${FORMAT}`,
  );
}

function checkIdentity(stored: StoreIdentity, wanted: StoreIdentity): void {
  if (stored.cluster === wanted.cluster && stored.peer === wanted.peer && stored.store === wanted.store) return;
  throw new RaftError(
    "ERR_STORAGE_LOST",
    `expected the store of ${describe(wanted)}, found that of ${describe(stored)}`,
  );
}

function describe({ cluster, peer, store }: StoreIdentity): string {
  return `peer "${peer}" of cluster "${cluster}" (store "${store}")`;
}

/** The order of the voters means nothing. */
function checkConfiguration(stored: Configuration, wanted: Configuration): void {
  const known = new Set(stored.voters);
  if (stored.voters.length === wanted.voters.length && wanted.voters.every((voter) => known.has(voter))) return;
  throw new RaftError(
    "ERR_INVALID_OPTION",
    `the voters are ${JSON.stringify(wanted.voters)}, but the store was made for ${JSON.stringify(stored.voters)}`,
  );
}

export function openLog(
  records: ReadableRecords,
  snapshot: SnapshotInfo | undefined,
): { log: LogBounds; lastTime: number } {
  const pointer = readMeta(records, "log");
  const { firstIndex, shift } = pointer;
  const firstKey = firstIndex + shift;
  const lastKey = records.floor("log", Number.MAX_SAFE_INTEGER) ?? 0;
  const ends = lastKey < firstKey ? undefined : readEnds(records, pointer, lastKey - shift);
  // The entry before the first may be in the middle of its run.
  const firstRun = records.floor("terms", firstKey - 1) ?? firstKey;
  const log = {
    firstIndex,
    lastIndex: ends?.last.lastIndex ?? firstIndex - 1,
    terms: records.keysFrom("terms", firstRun).map((key) => readTermRun(records, key, shift)),
    firstPosition: ends === undefined ? pointer.position : batchPosition(ends.first),
    endPosition: ends === undefined ? pointer.position : batchPosition(ends.last) + ends.last.bytes.byteLength,
    shift,
  };
  checkTerms(log, ends);
  if (!meets(log, snapshot)) throw corrupt(`${describeLog(log)} does not fit ${describeSnapshot(snapshot)}`);
  return { log, lastTime: ends?.last.time ?? pointer.time };
}

/** The first and the last batch. */
interface Ends {
  readonly first: Batch;
  readonly last: Batch;
}

function readEnds(records: ReadableRecords, pointer: LogPointer, lastIndex: number): Ends {
  return { first: batchAt(records, pointer, pointer.firstIndex), last: batchAt(records, pointer, lastIndex) };
}

function checkTerms(log: LogBounds, ends: Ends | undefined): void {
  const { firstIndex, terms } = log;
  const [oldest, newest] = [terms[0], terms.at(-1)];
  const reachesBack = (oldest?.firstIndex ?? Number.POSITIVE_INFINITY) <= Math.max(1, firstIndex - 1);
  const fitsEnds =
    ends === undefined
      ? terms.length === 1
      : termAt(log, firstIndex) === ends.first.term &&
        newest?.term === ends.last.term &&
        newest.firstIndex <= ends.last.firstIndex;
  const ascending = terms.every(({ term }, at) => at === 0 || term > (terms[at - 1]?.term ?? 0));
  if (!reachesBack || !fitsEnds || !ascending) throw corrupt(`there is ${describeLog(log)}, which do not fit it`);
}
