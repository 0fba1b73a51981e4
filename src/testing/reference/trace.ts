/*
 * What the reference reads: what one peer was given, and what it did, in its order. These are types of its own, since it is
 * to share nothing with what it judges; the records of `actors/record.ts` fit them.
 */

export type Role = "follower" | "pre-candidate" | "candidate" | "leader";

/** A run of entries of one term. */
export interface Entries {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly term: number;
  /** Four bytes an entry, little or big as may be: equal entries have equal ones. A no-op has zeros. */
  readonly digests: Uint8Array;
}

export interface Bytes {
  readonly bytes: number;
  readonly crc: number;
}

export interface Snapshot {
  readonly index: number;
  readonly term: number;
  readonly chunks: number;
  readonly bytes: number;
}

export interface VoteRequest {
  readonly type: "PreVote" | "RequestVote";
  readonly term: number;
  readonly lastLogIndex: number;
  readonly lastLogTerm: number;
}

export interface PreVoteReply {
  readonly type: "PreVoteReply";
  readonly term: number;
  readonly proposedTerm: number;
  readonly voteGranted: boolean;
}

export interface RequestVoteReply {
  readonly type: "RequestVoteReply";
  readonly term: number;
  readonly voteGranted: boolean;
}

export interface AppendEntries {
  readonly type: "AppendEntries";
  readonly term: number;
  readonly prevLogIndex: number;
  readonly prevLogTerm: number;
  readonly leaderCommit: number;
  readonly round: number;
  readonly isQuiet: boolean;
  readonly batches: readonly Entries[];
}

export interface AppendEntriesReply {
  readonly type: "AppendEntriesReply";
  readonly term: number;
  readonly round: number;
  readonly success: boolean;
  readonly prevLogIndex: number;
  readonly matchIndex: number;
  readonly conflictIndex: number;
  readonly conflictTerm: number;
}

export interface InstallSnapshot {
  readonly type: "InstallSnapshot";
  readonly term: number;
  readonly round: number;
  readonly lastIncludedIndex: number;
  readonly lastIncludedTerm: number;
  readonly chunk: number;
  readonly info: Snapshot | undefined;
  readonly data: Bytes;
}

export interface InstallSnapshotReply {
  readonly type: "InstallSnapshotReply";
  readonly term: number;
  readonly round: number;
  readonly lastIncludedIndex: number;
  readonly nextChunk: number;
  readonly installed: boolean;
}

export interface ReadIndex {
  readonly type: "ReadIndex";
  readonly term: number;
  readonly token: number;
}

export interface ReadIndexReply {
  readonly type: "ReadIndexReply";
  readonly term: number;
  readonly token: number;
  readonly granted: boolean;
  readonly index: number;
}

export type Message =
  | VoteRequest
  | PreVoteReply
  | RequestVoteReply
  | AppendEntries
  | AppendEntriesReply
  | InstallSnapshot
  | InstallSnapshotReply
  | ReadIndex
  | ReadIndexReply;

export interface Outgoing {
  readonly to: string;
  readonly message: Message;
}

/** One atomic write, in the order of its fields. */
export interface Save {
  readonly hardState: { readonly currentTerm: number; readonly votedFor: string | undefined } | undefined;
  readonly chunks: readonly { readonly number: number; readonly data: Bytes }[];
  readonly snapshot: Snapshot | undefined;
  readonly resetTo: Snapshot | undefined;
  readonly truncateFrom: number | undefined;
  readonly batches: readonly Entries[];
  readonly compactTo: number | undefined;
}

/** `before` leaves at once, `after` when `save` is durable, which is told by a step of its own. */
export interface Effects {
  readonly before: readonly Outgoing[];
  readonly save: Save | undefined;
  readonly after: readonly Outgoing[];
  readonly reads: readonly { readonly id: number; readonly index: number }[];
}

export type Call =
  | {
      readonly kind: "step";
      readonly from: string;
      readonly incarnation: number;
      readonly message: Message;
      readonly now: number;
    }
  | {
      readonly kind: "propose";
      readonly digests: Uint8Array;
      readonly returned?:
        | { readonly firstIndex: number; readonly lastIndex: number; readonly term: number }
        | undefined;
    }
  | { readonly kind: "read"; readonly id: number; readonly returned?: boolean | undefined }
  | { readonly kind: "leaseIndex"; readonly now: number; readonly returned?: number | undefined }
  | { readonly kind: "stageChunk"; readonly number: number; readonly data: Bytes }
  | { readonly kind: "completeSnapshot"; readonly info: Snapshot; readonly now: number }
  | { readonly kind: "advance" | "saved"; readonly now: number }
  | { readonly kind: "peerDied"; readonly peer: string; readonly incarnation: number; readonly now: number }
  | { readonly kind: "unreachable"; readonly peer: string }
  | { readonly kind: "effects"; readonly returned?: Effects | undefined };

/** What a peer shows of itself. */
export interface Shown {
  readonly role: Role;
  readonly currentTerm: number;
  readonly votedFor: string | undefined;
  readonly leader: string | undefined;
  readonly commitIndex: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
}

export interface Step {
  readonly call: Call;
  /** What it shows that is different from before. */
  readonly changed?: Partial<Shown> | undefined;
  /** Its life ended so. */
  readonly threw?: string | undefined;
}

/** What a life began with. */
export interface Start {
  readonly options: {
    readonly id: string;
    readonly incarnation?: number | undefined;
    readonly electionMs: readonly [number, number];
    readonly leaseMs?: number | undefined;
    /** Whether there was a time since the peer's life before at which no peer lived. */
    readonly coldStart?: boolean | undefined;
  };
  readonly stored: {
    readonly hardState: { readonly currentTerm: number; readonly votedFor: string | undefined };
    readonly configuration: { readonly voters: readonly string[] };
    readonly snapshot: Snapshot | undefined;
    /** What the state machine has applied and keeps by itself, and so was committed. */
    readonly applied?: { readonly index: number } | undefined;
    /** Whether there was a life before. */
    readonly used: boolean;
    readonly firstIndex: number;
    readonly lastIndex: number;
    readonly terms: readonly { readonly firstIndex: number; readonly term: number }[];
  };
  readonly now: number;
  readonly state: Shown;
}

/** One life of a peer. */
export interface Life {
  readonly start: Start;
  readonly steps: readonly Step[];
  /** Whether more happened than is told. */
  readonly isCut: boolean;
}
