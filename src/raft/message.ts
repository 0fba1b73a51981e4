import type { SnapshotInfo } from "./effects.ts";
import type { Batch } from "./entry.ts";

/** The name of a peer, unique in its cluster. */
export type PeerId = string;

/** "Would you vote for me in this term?" Changes nothing at the one who answers (dissertation 9.6). */
export interface PreVote {
  readonly type: "PreVote";
  /** The term the sender would campaign in: one more than its own. */
  readonly term: number;
  readonly lastLogIndex: number;
  readonly lastLogTerm: number;
}

export interface PreVoteReply {
  readonly type: "PreVoteReply";
  /** The answerer's current term, so that one who is behind catches up. */
  readonly term: number;
  /** The term that was asked about. */
  readonly proposedTerm: number;
  readonly voteGranted: boolean;
}

/** Figure 2. */
export interface RequestVote {
  readonly type: "RequestVote";
  readonly term: number;
  readonly lastLogIndex: number;
  readonly lastLogTerm: number;
}

export interface RequestVoteReply {
  readonly type: "RequestVoteReply";
  readonly term: number;
  readonly voteGranted: boolean;
}

/** Figure 2. A heartbeat is one without entries, and is checked and answered like any other. */
export interface AppendEntries {
  readonly type: "AppendEntries";
  readonly term: number;
  readonly prevLogIndex: number;
  readonly prevLogTerm: number;
  readonly leaderCommit: number;
  /** Counts the leader's rounds of contact, from 1; the reply repeats it, and so proves that it came after (§8, reads). */
  readonly round: number;
  /** A heartbeat to one who knows all that it says: nobody has to wake for it, and it wants no answer. */
  readonly isQuiet: boolean;
  /** Consecutive, the first begins at prevLogIndex + 1. */
  readonly batches: readonly Batch[];
}

/**
 * The round in the refusal of a request of an earlier term. Who sent that may lead again in the term of the refusal, and
 * counts its rounds anew: the former one's number would confirm reads that came long after it.
 */
export const NO_ROUND = 0;

export interface AppendEntriesReply {
  readonly type: "AppendEntriesReply";
  readonly term: number;
  /** Of the request; {@link NO_ROUND} when that was of an earlier term than this reply. */
  readonly round: number;
  readonly success: boolean;
  /** Of the request. */
  readonly prevLogIndex: number;
  /** With success: the last index that the request has shown to match; all of it is on the answerer's disk. */
  readonly matchIndex: number;
  /** Without: where the answerer's log ends, plus one, or where its run of `conflictTerm` begins (end of §5.3). */
  readonly conflictIndex: number;
  /** Without: the term of the answerer's entry at prevLogIndex, or -1 if it has none. */
  readonly conflictTerm: number;
}

/** Figure 13, with chunks counted instead of bytes: both sides keep them as they were made. */
export interface InstallSnapshot {
  readonly type: "InstallSnapshot";
  readonly term: number;
  readonly round: number;
  readonly lastIncludedIndex: number;
  readonly lastIncludedTerm: number;
  /** The number of this chunk. */
  readonly chunk: number;
  /** With chunk 0: the whole of what is to come. */
  readonly info: SnapshotInfo | undefined;
  readonly data: Uint8Array;
}

export interface InstallSnapshotReply {
  readonly type: "InstallSnapshotReply";
  readonly term: number;
  /** As in {@link AppendEntriesReply}. */
  readonly round: number;
  readonly lastIncludedIndex: number;
  /** The chunk that the answerer lacks next. */
  readonly nextChunk: number;
  /** Whether the answerer holds all up to lastIncludedIndex on its disk, by this snapshot or otherwise. */
  readonly installed: boolean;
}

/** A follower asks from which index on it may serve reads that came to it (dissertation 6.4). */
export interface ReadIndex {
  readonly type: "ReadIndex";
  readonly term: number;
  /** Of all requests of all processes of a peer, no two have the same. */
  readonly token: number;
}

export interface ReadIndexReply {
  readonly type: "ReadIndexReply";
  readonly term: number;
  /** Of the request. */
  readonly token: number;
  /** Whether the answerer has led since the request came in. */
  readonly granted: boolean;
  /** With that: what was committed then. */
  readonly index: number;
}

/** All that peers say to each other. */
export type Message =
  | PreVote
  | PreVoteReply
  | RequestVote
  | RequestVoteReply
  | AppendEntries
  | AppendEntriesReply
  | InstallSnapshot
  | InstallSnapshotReply
  | ReadIndex
  | ReadIndexReply;

export type MessageType = Message["type"];
