import type { Batch } from "./entry.ts";
import type { PeerId } from "./message.ts";
import type { Random } from "./random.ts";

/** Times are in milliseconds of the clock whose readings are handed in as `now`. */
export interface RaftOptions {
  readonly id: PeerId;
  /** How often a leader with nothing to say is heard. Several fit into the shortest election timeout. */
  readonly heartbeatMs: number;
  /** Bounds of the random election timeout (§5.2). The shorter is also how long a peer stands by a leader it hears. */
  readonly electionMs: readonly [number, number];
  /** The most entry bytes in one AppendEntries; one larger entry goes alone. Bounds what a lost message costs. */
  readonly maxMessageBytes: number;
  /**
   * How many unacknowledged AppendEntries a follower may have, and how many bytes. Bounds the queues between, and how much
   * one that has fallen behind is sent at once, while all others wait for their turn with the leader.
   */
  readonly maxInflightMessages: number;
  readonly maxInflightBytes: number;
  /** How long news of a commit may wait for a message to ride on before it is sent by itself. */
  readonly commitNewsMs: number;
  /** How many entries behind a snapshot stay in the log, for followers that are a little behind. */
  readonly snapshotTail: number;
  /** How many entries behind a snapshot a leader keeps at most for a follower that it hears from and that lacks them. */
  readonly snapshotTailMax: number;
  /** How much of the log's end is kept in memory; what is older is read from the store when somebody needs it. */
  readonly cacheBytes: number;
  /**
   * For how long after the sending of a round that a majority has acknowledged a leader serves reads without another; at
   * most the shortest election timeout, less what clocks may drift from each other in it. Default 0: never.
   */
  readonly leaseMs?: number | undefined;
  /**
   * Whether this is the peer's first process since a time at which no process of any peer ran: it can have stood by no leader
   * and forgotten it, and there is none to wait for. It grants votes from the beginning, and campaigns at once. Default false.
   */
  readonly coldStart?: boolean | undefined;
  /** Differs in each process of the peer, so that no answer to a former one is taken for one to this. Default 0. */
  readonly incarnation?: number | undefined;
  readonly random: Random;
  /**
   * Hears of each batch that the log keeps in memory no longer, because it is old or compacted, or was read for a follower and sent:
   * its bytes may be of use to somebody. Effects that are not carried out yet may still refer to it.
   */
  readonly onEvicted?: ((batch: Batch) => void) | undefined;
}

/** Sizes that suit threads of one machine; a deployment has no reason to change them. */
export const DEFAULT_LIMITS = {
  maxMessageBytes: 1 << 20,
  maxInflightMessages: 64,
  maxInflightBytes: 2 << 20,
  cacheBytes: 16 << 20,
} as const;
