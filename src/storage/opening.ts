import { type Batch, batchPosition, bootstrapBatch, type Configuration } from "../raft/entry.ts";
import { RaftError } from "../raft/errors.ts";
import type { TermRun } from "../raft/log.ts";
import { corrupt, unsealBatch } from "./codec.ts";
import { batchWrite, metaWrite, readMeta, readTermRun, termWrite } from "./layout.ts";
import type { Records } from "./records.ts";
import type { StoredState, StoreIdentity, StoreOptions } from "./store.ts";

/** Of the layout of all records; a store of a later one is refused. */
const FORMAT = 1;

/**
 * Makes the store or finds it, checks that it is the one that was meant and that its ends are sound, and counts the
 * incarnation. Of the log only the two ends are read.
 * @throws RaftError `ERR_STORAGE_LOST`, `ERR_STORAGE_CORRUPT`, or `ERR_INVALID_OPTION` for other voters.
 */
export function openRecords(records: Records, options: StoreOptions): StoredState {
  if (records.get("meta", "format") === undefined) return create(records, options);
  checkFormat(readMeta(records, "format"));
  checkIdentity(readMeta(records, "identity"), options.identity);
  const configuration = readMeta(records, "configuration");
  checkConfiguration(configuration, options.configuration);
  const { currentTerm, votedFor } = readMeta(records, "hardState");
  const incarnation = readMeta(records, "incarnation") + 1;
  const log = readLogEnds(records);
  records.commit([metaWrite("incarnation", incarnation)]);
  return { incarnation, used: true, hardState: { currentTerm, votedFor }, configuration, ...log };
}

/** What is thrown when a peer that has had a store finds none. */
export function storeLost(identity: StoreIdentity): RaftError {
  return new RaftError("ERR_STORAGE_LOST", `the store of ${describe(identity)} is gone; the peer must not vote again`);
}

function create(records: Records, { identity, configuration, born }: StoreOptions): StoredState {
  if (born) throw storeLost(identity);
  if (records.keysFrom("log", 0, 1).length > 0) throw corrupt("there is a log, but nothing says whose it is");
  const batch = bootstrapBatch(configuration);
  const run = { firstIndex: batch.firstIndex, term: batch.term };
  const hardState = { currentTerm: 0, votedFor: undefined };
  records.commit([
    metaWrite("format", FORMAT),
    metaWrite("identity", identity),
    metaWrite("configuration", configuration),
    metaWrite("hardState", hardState),
    metaWrite("incarnation", 1),
    batchWrite(batch),
    termWrite(run),
  ]);
  return {
    incarnation: 1,
    used: false,
    hardState,
    configuration,
    firstIndex: batch.firstIndex,
    lastIndex: batch.lastIndex,
    lastTime: batch.time,
    terms: [run],
    firstPosition: batchPosition(batch),
    endPosition: batchPosition(batch) + batch.bytes.byteLength,
  };
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

type LogEnds = Pick<StoredState, "firstIndex" | "lastIndex" | "lastTime" | "terms" | "firstPosition" | "endPosition">;

function readLogEnds(records: Records): LogEnds {
  const first = readBatch(records, records.keysFrom("log", 0, 1)[0]);
  const last = readBatch(records, records.floor("log", Number.MAX_SAFE_INTEGER));
  const terms = records.keysFrom("terms", 0).map((key) => readTermRun(records, key));
  checkTerms(terms, first, last);
  return {
    firstIndex: first.firstIndex,
    lastIndex: last.lastIndex,
    lastTime: last.time,
    terms,
    firstPosition: batchPosition(first),
    endPosition: batchPosition(last) + last.bytes.byteLength,
  };
}

function readBatch(records: Records, key: number | undefined): Batch {
  const record = key === undefined ? undefined : records.get("log", key);
  if (key === undefined || record === undefined) throw corrupt("the log is empty");
  return unsealBatch(key, record);
}

function checkTerms(terms: readonly TermRun[], first: Batch, last: Batch): void {
  const [oldest, newest] = [terms[0], terms.at(-1)];
  const ends =
    oldest?.firstIndex === first.firstIndex &&
    oldest.term === first.term &&
    newest?.term === last.term &&
    newest.firstIndex <= last.firstIndex;
  const ascending = terms.every(({ term }, at) => at === 0 || term > (terms[at - 1]?.term ?? 0));
  if (!ends || !ascending) {
    const range = `${first.firstIndex}..${last.lastIndex}, in terms ${first.term}..${last.term}`;
    throw corrupt(`the log is ${range}, but its terms are ${JSON.stringify(terms)}`);
  }
}
