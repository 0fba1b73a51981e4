import { Fifo } from "./fifo.ts";
import type { Log } from "./log.ts";
import type { RaftOptions } from "./options.ts";
import type { Stored } from "./raft.ts";
import type { ChunkReader, State } from "./state.ts";

/** The state of a process that has just begun: what was stored, and nothing else. */
export function initialState(
  options: RaftOptions,
  stored: Stored,
  log: Log,
  readChunk: ChunkReader,
  now: number,
): State {
  const { snapshot, applied } = stored;
  return {
    options,
    snapshot,
    readChunk,
    isBuilding: false,
    incoming: undefined,
    chunks: [],
    completed: undefined,
    restore: undefined,
    configuration: stored.configuration,
    log,
    hardState: stored.hardState,
    hardStateChanged: false,
    clock: now,
    role: "follower",
    leader: undefined,
    leaderIncarnation: 0,
    // The first entry is the configuration, the same everywhere from the beginning, and so committed.
    commitIndex: Math.max(snapshot?.index ?? log.firstIndex, applied?.index ?? 0),
    durableIndex: stored.lastIndex,
    electionDeadline: now,
    lastLeaderContact: Number.NEGATIVE_INFINITY,
    noVoteBefore: stored.used && !options.coldStart ? now + options.electionMs[0] : Number.NEGATIVE_INFINITY,
    granted: new Set(),
    askAgainAt: 0,
    progress: new Map(),
    heartbeatAt: 0,
    commitNewsAt: Number.POSITIVE_INFINITY,
    round: 0,
    roundWanted: false,
    waitingReads: new Fifo(),
    roundTimes: [],
    unforwarded: [],
    forwarded: [],
    nextToken: (options.incarnation ?? 0) * 2 ** 32,
    incarnations: new Map(),
    before: [],
    after: [],
    reads: [],
    refusedReads: [],
  };
}
