/** `flotilla/raft`: the algorithm alone, for people who bring their own threads, disks and networks. */
export type { Effects, HardState, Outgoing, ReleasedRead, Save, SnapshotChunk, SnapshotInfo } from "./effects.ts";
export {
  type Batch,
  bootstrapBatch,
  type Configuration,
  EntryKind,
  forEachEntry,
  packEntries,
  parseBatch,
  parseBatches,
  parseConfiguration,
} from "./entry.ts";
export { InvariantError, type Outcome, RaftError, type RaftErrorCode, type RaftErrorInfo } from "./errors.ts";
export type { LogReader, StoredLog, TermRun } from "./log.ts";
export type * from "./message.ts";
export { DEFAULT_LIMITS, type RaftOptions } from "./options.ts";
export { type Appended, Raft, type Stored, type StoreReader } from "./raft.ts";
export { hashSeed, type Random, seededRandom } from "./random.ts";
export type { ChunkReader, Role } from "./state.ts";
