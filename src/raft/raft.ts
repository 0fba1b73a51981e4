import { advanceCommit } from "./commit.ts";
import type { Effects, HardState, Save, SnapshotInfo } from "./effects.ts";
import {
  askAgain,
  campaign,
  campaignSoon,
  countVote,
  disregards,
  leaderDied,
  onPreVote,
  onPreVoteReply,
  onRequestVote,
  onRequestVoteReply,
} from "./election.ts";
import { type Configuration, stampBatch } from "./entry.ts";
import { invariant } from "./errors.ts";
import { initialState } from "./initial-state.ts";
import { Log, type LogReader, type StoredLog } from "./log.ts";
import { type Message, NO_ROUND, type PeerId } from "./message.ts";
import type { RaftOptions } from "./options.ts";
import {
  addRead,
  confirmReads,
  forgetReadsOf,
  forwardReads,
  leaseIndex,
  onReadIndex,
  onReadIndexReply,
} from "./reads.ts";
import {
  askRound,
  heartbeat,
  onAppendEntries,
  onAppendEntriesReply,
  refuseAppend,
  replicate,
  sendCommitNews,
  unreachable,
} from "./replication.ts";
import { becomeFollower } from "./role.ts";
import { completeSnapshot, onInstallSnapshot, onInstallSnapshotReply, stageChunk } from "./snapshot.ts";
import { type ChunkReader, currentTerm, type Role, resetElectionTimer, type State } from "./state.ts";

/** What a peer starts from; a store's `state` has all of it. */
export interface Stored extends StoredLog {
  readonly hardState: HardState;
  readonly configuration: Configuration;
  readonly snapshot: SnapshotInfo | undefined;
  /** What a durable state machine has applied, and so is committed; not behind the log's end. */
  readonly applied: { readonly index: number } | undefined;
  /** Whether the store was in use before: then the peer grants no vote for the shortest election timeout. */
  readonly used: boolean;
}

/** What the algorithm reads from the store. */
export interface StoreReader {
  readonly read: LogReader;
  readonly readChunk: ChunkReader;
}

/** Where proposed entries went. */
export interface Appended {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly term: number;
}

/**
 * One peer's part in the algorithm. It has no clock, thread, disk or source of randomness of its own: messages and
 * times go in, effects come out, and the same inputs give the same effects.
 *
 * Inputs change the state in memory and gather effects. The one who drives it hands in all that is waiting, then takes
 * the effects until there are none (see {@link Effects} for the order). `now` is in milliseconds of any clock that does
 * not go back.
 */
export class Raft {
  readonly #state: State;
  /** The save that was handed out and is not reported yet. */
  #saving: { hardState: HardState | undefined; lastIndex: number } | undefined;

  /** @throws InvariantError when what was stored does not fit together. */
  constructor(options: RaftOptions, stored: Stored, { read, readChunk }: StoreReader, now: number) {
    invariant(
      stored.configuration.voters.includes(options.id),
      () => `${options.id} is not among the voters ${stored.configuration.voters.join(", ")}`,
    );
    const { snapshot } = stored;
    const log = new Log(stored, read, options.cacheBytes, options.onEvicted);
    invariant(
      snapshot === undefined ? log.firstIndex === 1 : log.termAt(snapshot.index) === snapshot.term,
      () =>
        `a log of ${log.firstIndex}..${log.lastIndex} does not fit ` +
        (snapshot === undefined ? "no snapshot" : `a snapshot of ${snapshot.index} of term ${snapshot.term}`),
    );
    this.#state = initialState(options, stored, log, readChunk, now);
    const { voters } = stored.configuration;
    if (options.coldStart) campaignSoon(this.#state, voters, now);
    // Who has nobody to wait for need not wait.
    else if (voters.length > 1) resetElectionTimer(this.#state, now);
  }

  get role(): Role {
    return this.#state.role;
  }

  get currentTerm(): number {
    return currentTerm(this.#state);
  }

  get votedFor(): PeerId | undefined {
    return this.#state.hardState.votedFor;
  }

  /** The leader of the current term as far as this peer knows. */
  get leader(): PeerId | undefined {
    return this.#state.leader;
  }

  /** The latest complete snapshot. */
  get snapshot(): SnapshotInfo | undefined {
    return this.#state.snapshot;
  }

  get configuration(): Configuration {
    return this.#state.configuration;
  }

  /** Whether a follower that this leader hears from is being sent the snapshot; another one would make it begin again. */
  isSendingSnapshot(now: number): boolean {
    const { progress, options } = this.#state;
    return [...progress.values()].some(
      ({ state, lastContact }) => state === "snapshot" && now - lastContact <= options.electionMs[1],
    );
  }

  /** Whether the leader is sending its snapshot here; one of this peer's own would make it begin again. */
  get isReceivingSnapshot(): boolean {
    const { incoming, leader, commitIndex } = this.#state;
    return incoming !== undefined && incoming.from === leader && incoming.info.index > commitIndex;
  }

  get commitIndex(): number {
    return this.#state.commitIndex;
  }

  get log(): Pick<
    Log,
    "firstIndex" | "lastIndex" | "lastTerm" | "bytes" | "termAt" | "read" | "batchesFrom" | "isCached"
  > {
    return this.#state.log;
  }

  /** When `advance` has something to do. */
  get wakeAt(): number {
    const state = this.#state;
    if (state.role === "leader") return Math.min(state.heartbeatAt, state.commitNewsAt);
    if (state.role === "follower") return state.electionDeadline;
    return Math.min(state.electionDeadline, state.askAgainAt);
  }

  /**
   * A message from another peer.
   * @param incarnation of the process that sent it; messages of one that is known to be followed by another are old.
   */
  step(from: PeerId, incarnation: number, message: Message, now: number): void {
    this.#expectSaved();
    const state = this.#state;
    state.clock = now;
    if (from === state.options.id || !state.configuration.voters.includes(from)) return;
    if (!this.#isCurrent(from, incarnation)) return;

    // Figure 2, rules for all servers: a later term is taken over before anything else is looked at.
    if (message.term > currentTerm(state) && tellsOfItsTerm(message)) {
      if (message.type === "RequestVote" && disregards(state, message, now)) return;
      becomeFollower(state, message.term, undefined, now);
    }
    const stale = message.term < currentTerm(state);
    switch (message.type) {
      case "PreVote":
        onPreVote(state, from, message, now);
        break;
      case "PreVoteReply":
        onPreVoteReply(state, from, message, now);
        break;
      case "RequestVote":
        if (stale) this.#answer(from, { type: "RequestVoteReply", term: currentTerm(state), voteGranted: false });
        else onRequestVote(state, from, message, now);
        break;
      case "RequestVoteReply":
        if (!stale) onRequestVoteReply(state, from, message, now);
        break;
      case "AppendEntries":
        if (stale) refuseAppend(state, from, { ...message, round: NO_ROUND }, message.prevLogIndex, -1);
        else onAppendEntries(state, from, message, now);
        break;
      case "AppendEntriesReply":
        if (!stale) onAppendEntriesReply(state, from, message, now);
        break;
      case "InstallSnapshot":
        if (stale) {
          const { lastIncludedIndex } = message;
          const refusal = { round: NO_ROUND, lastIncludedIndex, nextChunk: 0, installed: false };
          this.#answer(from, { type: "InstallSnapshotReply", term: currentTerm(state), ...refusal });
        } else onInstallSnapshot(state, from, message, now);
        break;
      case "InstallSnapshotReply":
        if (!stale) onInstallSnapshotReply(state, from, message, now);
        break;
      case "ReadIndex":
        if (stale) {
          const refusal = { token: message.token, granted: false, index: 0 };
          this.#answer(from, { type: "ReadIndexReply", term: currentTerm(state), ...refusal });
        } else onReadIndex(state, from, message);
        break;
      case "ReadIndexReply":
        if (!stale) onReadIndexReply(state, from, message);
        break;
      default:
        message satisfies never;
    }
  }

  /**
   * Appends a packed batch to the log, if this peer leads. It is stamped in place and owned by the log from then on.
   * @param time the wall clock in milliseconds; the entries never get an earlier one than those before them.
   * @returns undefined when this peer does not lead; then nothing was done.
   */
  propose(packed: Uint8Array, time: number): Appended | undefined {
    this.#expectSaved();
    const state = this.#state;
    if (state.role !== "leader") return undefined;
    const batch = stampBatch(packed, {
      firstIndex: state.log.lastIndex + 1,
      term: currentTerm(state),
      time: Math.max(time, state.log.lastTime),
    });
    state.log.append(batch);
    return { firstIndex: batch.firstIndex, lastIndex: batch.lastIndex, term: batch.term };
  }

  /**
   * Asks for a linearizable read; `id` comes back in the effects, released or refused. A follower asks its leader.
   * @returns false when this peer knows no leader; then nothing was done.
   */
  read(id: number): boolean {
    this.#expectSaved();
    const state = this.#state;
    if (state.role === "leader") addRead(state, id);
    else if (state.role === "follower" && state.leader !== undefined) state.unforwarded.push(id);
    else return false;
    return true;
  }

  /**
   * The index from which on this peer may serve a linearizable read at once, since nobody else can lead yet; undefined
   * when that is not certain (see `leaseMs`).
   * @param now read just before, so that a thread that stood still does not take an old time for the present.
   */
  leaseIndex(now: number): number | undefined {
    this.#expectSaved();
    return leaseIndex(this.#state, now);
  }

  /**
   * Sets aside a chunk of this peer's own next snapshot, in their order; 0 begins a new one.
   * @returns false when a snapshot of the leader has come in between: the own one is of no use any more.
   */
  stageChunk(number: number, data: Uint8Array): boolean {
    this.#expectSaved();
    return stageChunk(this.#state, number, data);
  }

  /** All chunks of the own snapshot are set aside: it takes the place of the one before, and the log is compacted. */
  completeSnapshot(info: SnapshotInfo, now: number): void {
    this.#expectSaved();
    completeSnapshot(this.#state, info, now);
  }

  /** Time has passed; hand in what is waiting in the inbox first. */
  advance(now: number): void {
    this.#expectSaved();
    const state = this.#state;
    state.clock = now;
    if (state.role === "leader") {
      if (now >= state.heartbeatAt) heartbeat(state, now);
      if (state.role === "leader" && now >= state.commitNewsAt) sendCommitNews(state);
      return;
    }
    if (now >= state.electionDeadline) campaign(state, now);
    else if (state.role !== "follower" && now >= state.askAgainAt) askAgain(state);
  }

  /**
   * News that a process of a peer has ended. Nothing relies on it; it saves waiting for timers.
   * @param incarnation of the process that ended.
   */
  peerDied(peer: PeerId, incarnation: number, now: number): void {
    this.#expectSaved();
    const state = this.#state;
    state.clock = now;
    if ((state.incarnations.get(peer) ?? 0) <= incarnation) forgetReadsOf(state, peer);
    if (state.leader === peer && state.leaderIncarnation === incarnation) {
      leaderDied(state, peer, now);
    }
    unreachable(state, peer);
  }

  /** News that messages to a peer were lost. */
  unreachable(peer: PeerId): void {
    this.#expectSaved();
    unreachable(this.#state, peer);
  }

  /** All that has gathered since the last call, or undefined. A save among it must be reported before any other call. */
  effects(): Effects | undefined {
    this.#expectSaved();
    const state = this.#state;
    if (state.role === "leader") {
      if (state.roundWanted) {
        askRound(state);
        confirmReads(state);
      }
      replicate(state);
    }
    state.roundWanted = false;
    forwardReads(state);
    const save = this.#takeSave();
    const { before, after, restore, reads, refusedReads } = state;
    if (save === undefined && before.length + after.length + reads.length + refusedReads.length === 0) return undefined;

    state.before = [];
    state.after = [];
    state.reads = [];
    state.refusedReads = [];
    state.restore = undefined;
    return { before, save, after, restore, reads, refusedReads };
  }

  #takeSave(): Save | undefined {
    const state = this.#state;
    const hardState = state.hardStateChanged ? state.hardState : undefined;
    const { chunks, completed: snapshot } = state;
    const isLogSaved = !state.log.hasUnsaved;
    if (hardState === undefined && chunks.length === 0 && snapshot === undefined && isLogSaved) return undefined;
    const { resetTo, truncateFrom, batches, compactTo } = state.log.takeUnsaved();
    state.hardStateChanged = false;
    state.chunks = [];
    state.completed = undefined;
    this.#saving = { hardState, lastIndex: state.log.lastIndex };
    return { hardState, chunks, snapshot, resetTo, truncateFrom, batches, compactTo };
  }

  /** The save of the last effects is durable. Only now do this peer's own vote and its own copy of entries count. */
  saved(now: number): void {
    const state = this.#state;
    const saving = this.#saving;
    invariant(saving !== undefined, () => "no save is under way");
    this.#saving = undefined;
    state.clock = now;
    state.durableIndex = saving.lastIndex;
    state.log.evict();
    if (state.role === "candidate" && saving.hardState?.votedFor === state.options.id) {
      countVote(state, state.options.id, now);
    }
    if (state.role === "leader") advanceCommit(state, now);
  }

  #answer(to: PeerId, message: Message): void {
    this.#state.after.push({ to, message });
  }

  /** Notes a new process of a peer: what was under way to the old one is lost. */
  #isCurrent(from: PeerId, incarnation: number): boolean {
    const state = this.#state;
    const known = state.incarnations.get(from) ?? 0;
    if (incarnation < known) return false;
    if (incarnation > known) {
      state.incarnations.set(from, incarnation);
      forgetReadsOf(state, from);
      const progress = state.progress.get(from);
      if (progress !== undefined && progress.incarnation !== 0) progress.lost();
      if (progress !== undefined) progress.incarnation = incarnation;
    }
    return true;
  }

  #expectSaved(): void {
    invariant(this.#saving === undefined, () => "the last save was not reported");
  }
}

/** A PreVote names a term nobody is in yet, and so may the one who grants it. */
function tellsOfItsTerm(message: Message): boolean {
  return message.type !== "PreVote" && !(message.type === "PreVoteReply" && message.voteGranted);
}
