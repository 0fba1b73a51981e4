import type { RaftOptions } from "../raft/options.ts";

/** A tenth of the time between heartbeats: soon for followers, and rare beside what replication sends anyway. */
const COMMIT_NEWS_PART = 0.1;

/** Of the entries between two snapshots, how many stay behind one: enough for a follower that missed a few rounds. */
const SNAPSHOT_TAIL_PART = 0.1;

/** What a user says of a cluster's timing, and what follows from it for the algorithm of each peer. */
export interface Timing {
  readonly heartbeatMs: number;
  readonly electionMs: readonly [number, number];
  readonly maxClockDrift: number;
  readonly snapshotEvery: number;
}

/** The part of a peer's options that its timing decides. */
export function timingOf({ heartbeatMs, electionMs, maxClockDrift, snapshotEvery }: Timing) {
  return {
    heartbeatMs,
    electionMs,
    // Followers stand by a leader for the shortest election timeout; by this leader's clock that may be less.
    leaseMs: (electionMs[0] * (1 - maxClockDrift)) / (1 + maxClockDrift),
    commitNewsMs: heartbeatMs * COMMIT_NEWS_PART,
    snapshotTail: Math.floor(snapshotEvery * SNAPSHOT_TAIL_PART),
    snapshotTailMax: snapshotEvery,
  } satisfies Partial<RaftOptions>;
}
