import type { HardState, Outgoing, ReleasedRead, SnapshotChunk, SnapshotInfo } from "./effects.ts";
import type { Configuration } from "./entry.ts";
import type { Fifo } from "./fifo.ts";
import type { Log } from "./log.ts";
import type { Message, PeerId } from "./message.ts";
import type { RaftOptions } from "./options.ts";
import type { Progress } from "./progress.ts";
import { majority } from "./quorum.ts";

/** A pre-candidate asks whether it would be elected before it raises its term (dissertation 9.6). */
export type Role = "follower" | "pre-candidate" | "candidate" | "leader";

/** A linearizable read that waits: for its index, until the leader has committed in its term, and for its round. */
export interface WaitingRead {
  /** This peer's number for it, or the token of the peer that asks. */
  readonly id: number;
  /** The follower that asks; undefined: this peer does. */
  readonly from: PeerId | undefined;
  readonly round: number;
  readonly index: number | undefined;
}

/** Reads that a follower has asked its leader about together. */
export interface ForwardedReads {
  readonly token: number;
  readonly ids: readonly number[];
  sentAt: number;
}

/** See `Store.readChunk`. */
export type ChunkReader = (index: number, chunk: number) => Uint8Array | undefined;

/** All the state of one peer (Figure 2), shared by the modules that each hold some of the rules. */
export interface State {
  readonly options: RaftOptions;
  configuration: Configuration;
  readonly log: Log;
  /** The latest that is complete. It covers all entries before the log's first. */
  snapshot: SnapshotInfo | undefined;
  /** Reads a chunk of the snapshot that ends with that index; undefined when it was followed by another. */
  readonly readChunk: ChunkReader;

  // Persistent. Changed only by `setTerm` and `vote`, and told to nobody before it is saved.
  hardState: HardState;
  /** Whether `hardState` differs from what is on disk. */
  hardStateChanged: boolean;

  /** The latest time that was handed in; it is not later now. */
  clock: number;

  role: Role;
  leader: PeerId | undefined;
  /** Of the leader's process, so that news of an older one's death is not mistaken for it. */
  leaderIncarnation: number;
  commitIndex: number;
  /** The log's end on disk. Entries beyond it are not counted as held by this peer (dissertation 10.2.1). */
  durableIndex: number;

  /** When the election timer fires, or, while campaigning, the next attempt begins. */
  electionDeadline: number;
  /** When a leader was last heard that is not known to be dead (§5.2; dissertation 4.2.3). */
  lastLeaderContact: number;
  /** No vote is granted before: what this peer promised before it restarted may still bind it. */
  noVoteBefore: number;

  /** Candidates: who granted; in it itself only once its own vote is durable. */
  granted: Set<PeerId>;
  /** Candidates: when those who have not granted are asked again. */
  askAgainAt: number;

  /** Whether the chunks set aside are of this peer's own next snapshot. */
  isBuilding: boolean;
  /** Followers: the snapshot that is coming in, from whom, and the chunk that is missing next. */
  incoming: { readonly from: PeerId; readonly info: SnapshotInfo; nextChunk: number } | undefined;

  /** Leaders. */
  progress: Map<PeerId, Progress>;
  heartbeatAt: number;
  /** When news of a commit goes out if nothing carried it before. */
  commitNewsAt: number;
  round: number;
  /** Reads came in that need a round of their own. */
  roundWanted: boolean;
  /** In the order of their rounds. */
  readonly waitingReads: Fifo<WaitingRead>;
  /** When the latest rounds began; consecutive, and none that is too old to matter for a lease. */
  roundTimes: { readonly round: number; readonly at: number }[];

  /** Followers: reads that came in this step, and those that the leader was asked about. */
  unforwarded: number[];
  forwarded: ForwardedReads[];
  nextToken: number;

  /** The latest process of each peer that was heard of. */
  readonly incarnations: Map<PeerId, number>;

  // Effects that were not taken yet.
  before: Outgoing[];
  after: Outgoing[];
  chunks: SnapshotChunk[];
  /** A snapshot became complete, here or by its last chunk, and is not saved yet. */
  completed: SnapshotInfo | undefined;
  restore: SnapshotInfo | undefined;
  reads: ReleasedRead[];
  refusedReads: number[];
}

export function currentTerm(state: State): number {
  return state.hardState.currentTerm;
}

/** The other voters. */
export function others(state: State): readonly PeerId[] {
  return state.configuration.voters.filter((voter) => voter !== state.options.id);
}

export function isMajority(state: State, count: number): boolean {
  return count >= majority(state.configuration.voters.length);
}

/** Queues a message that must not leave before the next save. */
export function sendAfterSave(state: State, to: PeerId, message: Message): void {
  state.after.push({ to, message });
}

/** §5.2: a new random election timeout, so that peers rarely time out together. */
export function resetElectionTimer(state: State, now: number): void {
  const [min, max] = state.options.electionMs;
  state.electionDeadline = now + min + state.options.random() * (max - min);
}
