import type { Batch } from "./entry.ts";
import type { Message, PeerId } from "./message.ts";

/** What must not be forgotten besides the log (Figure 2, persistent state). Term and vote change together. */
export interface HardState {
  readonly currentTerm: number;
  readonly votedFor: PeerId | undefined;
}

/** One atomic write: all of it is durable, or nothing is. */
export interface Save {
  readonly hardState: HardState | undefined;
  /** Entries from this index on are dropped, before `batches` are appended. */
  readonly truncateFrom: number | undefined;
  /** Consecutive, beginning where the log ends. */
  readonly batches: readonly Batch[];
}

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
  readonly reads: readonly ReleasedRead[];
  /** Reads that this peer can no longer serve, since it lost its leadership. */
  readonly refusedReads: readonly number[];
}
