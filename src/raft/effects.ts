import type { Batch, Configuration } from "./entry.ts";
import type { Message, PeerId } from "./message.ts";

/** What must not be forgotten besides the log (Figure 2, persistent state). Term and vote change together. */
export interface HardState {
  readonly currentTerm: number;
  readonly votedFor: PeerId | undefined;
}

/** What a snapshot stands for (Figure 13). Its content is in chunks, numbered from 0. */
export interface SnapshotInfo {
  /** lastIncludedIndex: the state is that after this entry. */
  readonly index: number;
  /** lastIncludedTerm */
  readonly term: number;
  /** The time stamp of that entry. */
  readonly time: number;
  readonly configuration: Configuration;
  /** Of the state machine that wrote it. */
  readonly version: number;
  readonly chunks: number;
  /** Of all chunks together. */
  readonly bytes: number;
}

/** A part of a snapshot that is not complete yet. */
export interface SnapshotChunk {
  /** 0 begins a new one, and drops what was gathered of another. */
  readonly number: number;
  readonly data: Uint8Array;
  /** The snapshot that is coming in from the leader; undefined: it is of the peer's own next one. */
  readonly of?: SnapshotInfo;
}

/** One atomic write, done in the order of its fields: all of it is durable, or nothing is. */
export interface Save {
  readonly hardState: HardState | undefined;
  /** Set aside, next to those set aside before. */
  readonly chunks: readonly SnapshotChunk[];
  /** What was set aside becomes the snapshot, and the one before goes. */
  readonly snapshot: SnapshotInfo | undefined;
  /** The whole log goes; it begins anew behind the entry of this snapshot (§7). */
  readonly resetTo: SnapshotInfo | undefined;
  /** Entries from this index on are dropped, before `batches` are appended. */
  readonly truncateFrom: number | undefined;
  /** Consecutive, beginning where the log ends. */
  readonly batches: readonly Batch[];
  /** Entries up to this index are dropped from the front; it ends a batch, and the snapshot covers it. */
  readonly compactTo: number | undefined;
}

/** A save that changes nothing, for others to be made from. */
export const EMPTY_SAVE: Save = {
  hardState: undefined,
  chunks: [],
  snapshot: undefined,
  resetTo: undefined,
  truncateFrom: undefined,
  batches: [],
  compactTo: undefined,
};

export interface Outgoing {
  readonly to: PeerId;
  readonly message: Message;
}

/** A linearizable read that may be served once `index` is applied. */
export interface ReleasedRead {
  readonly id: number;
  readonly index: number;
}

/**
 * What the algorithm wants done, in this order: send `before`, write `save` and report it, send `after`.
 *
 * Only what a leader sends to replicate may leave before the save, since its term and its own vote are durable since
 * before it led (dissertation 10.2.1). All else tells of state that the save makes durable, and waits for it.
 */
export interface Effects {
  readonly before: readonly Outgoing[];
  readonly save: Save | undefined;
  readonly after: readonly Outgoing[];
  /** The state machine is to be replaced by the content of this snapshot, once it is saved. */
  readonly restore: SnapshotInfo | undefined;
  readonly reads: readonly ReleasedRead[];
  /** Reads that this peer can no longer serve, since it lost its leadership. */
  readonly refusedReads: readonly number[];
}
