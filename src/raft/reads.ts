import { invariant } from "./errors.ts";
import type { PeerId, ReadIndex, ReadIndexReply } from "./message.ts";
import type { Progress } from "./progress.ts";
import { majority } from "./quorum.ts";
import { currentTerm, isMajority, type State, sendAfterSave } from "./state.ts";

/**
 * Linearizable reads without log entries (dissertation 6.4, "read index"): the leader notes its commit index, makes
 * sure by a round that began after the read came in that it still leads, and serves the read once that index is applied.
 * A follower asks the leader for such an index, and serves the read itself.
 */
export function addRead(state: State, id: number, from?: PeerId): void {
  // The round that is asked for here begins when this step ends; all reads of the step share it.
  const index = knowsCommit(state) ? state.commitIndex : undefined;
  state.waitingReads.push({ id, from, round: state.round + 1, index });
  state.roundWanted = true;
}

/** Until it has committed an entry of its own term, a leader does not know what is committed (§8). */
function knowsCommit(state: State): boolean {
  return state.log.termAt(state.commitIndex) === currentTerm(state);
}

/** Releases the reads whose round a majority has acknowledged. */
export function confirmReads(state: State): void {
  if (state.waitingReads.length === 0) return;
  if (!knowsCommit(state)) return;
  for (let read = state.waitingReads.first; read !== undefined; read = state.waitingReads.first) {
    if (!isAcknowledged(state, read.round)) return;
    state.waitingReads.shift();
    const { id, from, index = state.commitIndex } = read;
    if (from === undefined) state.reads.push({ id, index });
    else answer(state, from, id, index);
  }
}

function isAcknowledged(state: State, round: number): boolean {
  let count = 1;
  for (const progress of state.progress.values()) if (progress.ackedRound >= round) count++;
  return isMajority(state, count);
}

/** Leadership is lost: whoever waits must ask the next leader. */
export function refuseReads(state: State): void {
  for (const { id, from } of state.waitingReads) {
    if (from === undefined) state.refusedReads.push(id);
    else answer(state, from, id, undefined);
  }
  state.waitingReads.clear();
}

function answer(state: State, to: PeerId, token: number, index: number | undefined): void {
  const granted = index !== undefined;
  sendAfterSave(state, to, { type: "ReadIndexReply", term: currentTerm(state), token, granted, index: index ?? 0 });
}

// ---- reads that come to a follower

/** So many questions to the leader may be open; what comes after waits for an answer, and goes as one. */
const MOST_FORWARDED = 16;

/** Asks the leader about the reads that came in, with one message. */
export function forwardReads(state: State): void {
  const { unforwarded: ids, leader } = state;
  if (ids.length === 0) return;
  if (state.role !== "follower" || leader === undefined) {
    state.unforwarded = [];
    refuse(state, ids);
    return;
  }
  // A leader that stands still would find thousands in its inbox.
  if (state.forwarded.length >= MOST_FORWARDED) return;
  state.unforwarded = [];
  const forwarded = { token: state.nextToken++, ids, sentAt: state.clock };
  state.forwarded.push(forwarded);
  sendAfterSave(state, leader, { type: "ReadIndex", term: currentTerm(state), token: forwarded.token });
}

/** One by one: as arguments of one call there may be too many. */
function refuse({ refusedReads }: State, ids: readonly number[]): void {
  for (const id of ids) refusedReads.push(id);
}

/** The leader was heard. What it has not answered for two heartbeats was lost; asking twice does no harm. */
export function forwardAgain(state: State, leader: PeerId, now: number): void {
  for (const forwarded of state.forwarded) {
    if (now - forwarded.sentAt < 2 * state.options.heartbeatMs) continue;
    forwarded.sentAt = now;
    sendAfterSave(state, leader, { type: "ReadIndex", term: currentTerm(state), token: forwarded.token });
  }
}

/** The leader that was asked leads no more, as far as this peer knows. */
export function refuseForwarded(state: State): void {
  for (const { ids } of state.forwarded) refuse(state, ids);
  state.forwarded = [];
}

/** ReadIndex of the current term; see Raft.step for the others. */
export function onReadIndex(state: State, from: PeerId, { token }: ReadIndex): void {
  if (state.role === "leader") addRead(state, token, from);
  else answer(state, from, token, undefined);
}

export function onReadIndexReply(state: State, from: PeerId, { token, granted, index }: ReadIndexReply): void {
  const forwarded = state.forwarded.find((candidate) => candidate.token === token);
  if (forwarded === undefined || state.leader !== from) return;
  state.forwarded = state.forwarded.filter((candidate) => candidate !== forwarded);
  for (const id of forwarded.ids) {
    if (granted) state.reads.push({ id, index });
    else state.refusedReads.push(id);
  }
}

/** A process of a follower has ended, and with it the reads that it asked about. */
export function forgetReadsOf(state: State, peer: PeerId): void {
  state.waitingReads.keep(({ from }) => from !== peer);
}

// ---- the lease

/** Notes when a round begins. The time may be a little early, never late. */
export function beginRound(state: State): void {
  state.round++;
  const tooOld = state.clock - state.options.electionMs[0];
  const first = state.roundTimes.findIndex(({ at }) => at >= tooOld);
  if (first !== 0) state.roundTimes.splice(0, first < 0 ? state.roundTimes.length : first);
  state.roundTimes.push({ round: state.round, at: state.clock });
}

/** A follower has answered a message of this round or a later one. */
export function acknowledgeRound(state: State, progress: Progress, round: number): void {
  invariant(round <= state.round, () => `${progress.id} acknowledges round ${round}, of ${state.round} in this term`);
  if (progress.answeredRound(round) && state.waitingReads.length > 0) state.roundWanted = true;
  const at = state.roundTimes[round - (state.roundTimes[0]?.round ?? 0)]?.at;
  if (at !== undefined) progress.ackedAt = Math.max(progress.ackedAt, at);
  confirmReads(state);
}

/**
 * The index from which on a leader may serve a read by its lease alone, or undefined if it may not (dissertation 6.4.1).
 * Those who acknowledged a round grant no vote for the shortest election timeout from when they heard it, and that was
 * after it was sent. It ends by the clock alone, so a thread that stood still finds it over.
 */
export function leaseIndex(state: State, now: number): number | undefined {
  const { leaseMs = 0 } = state.options;
  if (state.role !== "leader" || leaseMs <= 0 || !knowsCommit(state)) return undefined;
  const others = majority(state.configuration.voters.length) - 1;
  const acked = [...state.progress.values()].map(({ ackedAt }) => ackedAt).sort((left, right) => right - left);
  const since = others === 0 ? now : (acked[others - 1] ?? Number.NEGATIVE_INFINITY);
  return now >= since && now - since < leaseMs ? state.commitIndex : undefined;
}
