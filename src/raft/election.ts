import { EntryKind, packEntries, stampBatch } from "./entry.ts";
import { invariant } from "./errors.ts";
import type { PeerId, PreVote, PreVoteReply, RequestVote, RequestVoteReply } from "./message.ts";
import { Progress } from "./progress.ts";
import { refuseForwarded } from "./reads.ts";
import { hasQuorumContact, heartbeat } from "./replication.ts";
import { becomeFollower, setTerm, vote } from "./role.ts";
import { currentTerm, isMajority, others, resetElectionTimer, type State, sendAfterSave } from "./state.ts";

/**
 * Whether this peer stands by a leader, and so disregards those who campaign (dissertation 4.2.3): it heard from the
 * leader within the shortest election timeout, or leads itself and hears from a majority. The same holds for a while
 * after a restart: the peer may have stood by a leader and forgotten it. That leader's lease relies on it, whatever terms
 * this peer has heard of since; only the leader's death ends it early.
 */
function standsByLeader(state: State, now: number): boolean {
  const [min, max] = state.options.electionMs;
  if (now < state.noVoteBefore) return true;
  if (state.role === "leader") return hasQuorumContact(state, now, max);
  return now - state.lastLeaderContact < min;
}

/** The election timer fired (§5.2); also for one who campaigns already and was not elected in time. */
export function campaign(state: State, now: number): void {
  resetElectionTimer(state, now);
  state.leader = undefined;
  refuseForwarded(state);
  if (state.role !== "pre-candidate") {
    state.role = "pre-candidate";
    state.granted = new Set([state.options.id]);
  }
  // Grants of the attempt before still count: they were given for this very term.
  if (isMajority(state, state.granted.size)) becomeCandidate(state, now);
  else ask(state, now + state.options.heartbeatMs);
}

/** §5.2: a new term, a vote for itself, and RequestVote to all others once that is on disk. */
function becomeCandidate(state: State, now: number): void {
  state.role = "candidate";
  setTerm(state, currentTerm(state) + 1, state.options.id);
  state.granted = new Set();
  withdrawGrants(state);
  resetElectionTimer(state, now);
  ask(state, now + state.options.heartbeatMs);
}

/**
 * What it has promised in this step to another who asks for the same term is not so any more, and has not left yet: the other
 * would campaign in vain, and take the vote away that this one needs.
 */
function withdrawGrants(state: State): void {
  const term = currentTerm(state);
  state.after = state.after.map(({ to, message }) => {
    const isGrant = message.type === "PreVoteReply" && message.voteGranted && message.proposedTerm <= term;
    return { to, message: isGrant ? { ...message, term, voteGranted: false } : message };
  });
}

/**
 * §5.1: RPCs that are not answered are repeated; here once, since the next attempt is not far. One who is cut off asks
 * in vain, and often.
 */
export function askAgain(state: State): void {
  ask(state, Number.POSITIVE_INFINITY);
}

/** Asks those who have not granted. */
function ask(state: State, askAgainAt: number): void {
  state.askAgainAt = askAgainAt;
  const { lastIndex: lastLogIndex, lastTerm: lastLogTerm } = state.log;
  for (const to of others(state)) {
    if (state.granted.has(to)) continue;
    const message: PreVote | RequestVote =
      state.role === "pre-candidate"
        ? { type: "PreVote", term: currentTerm(state) + 1, lastLogIndex, lastLogTerm }
        : { type: "RequestVote", term: currentTerm(state), lastLogIndex, lastLogTerm };
    sendAfterSave(state, to, message);
  }
}

export function onPreVote(state: State, from: PeerId, message: PreVote, now: number): void {
  const { votedFor } = state.hardState;
  const mayVote =
    message.term > currentTerm(state) ||
    (message.term === currentTerm(state) && (votedFor === undefined || votedFor === from));
  const voteGranted =
    mayVote && !standsByLeader(state, now) && state.log.isUpToDate(message.lastLogIndex, message.lastLogTerm);
  sendAfterSave(state, from, {
    type: "PreVoteReply",
    term: currentTerm(state),
    proposedTerm: message.term,
    voteGranted,
  });
}

export function onPreVoteReply(state: State, from: PeerId, message: PreVoteReply, now: number): void {
  if (state.role !== "pre-candidate" || message.proposedTerm !== currentTerm(state) + 1 || !message.voteGranted) return;
  state.granted.add(from);
  if (isMajority(state, state.granted.size)) becomeCandidate(state, now);
}

/** Whether a RequestVote is not even looked at; its term is not taken over either (dissertation 4.2.3). */
export function disregards(state: State, message: RequestVote, now: number): boolean {
  return message.term > currentTerm(state) && standsByLeader(state, now);
}

/** RequestVote of the current term; see Raft.step for the others. */
export function onRequestVote(state: State, from: PeerId, message: RequestVote, now: number): void {
  const { votedFor } = state.hardState;
  const voteGranted =
    !standsByLeader(state, now) &&
    (votedFor === undefined || votedFor === from) &&
    state.log.isUpToDate(message.lastLogIndex, message.lastLogTerm);
  if (voteGranted) {
    if (votedFor === undefined) vote(state, from);
    // A pre-candidate's own attempt ends here: it would only disturb the one it helps.
    if (state.role === "pre-candidate") becomeFollower(state, currentTerm(state), undefined, now);
    resetElectionTimer(state, now);
  }
  sendAfterSave(state, from, { type: "RequestVoteReply", term: currentTerm(state), voteGranted });
}

export function onRequestVoteReply(state: State, from: PeerId, message: RequestVoteReply, now: number): void {
  if (state.role === "candidate" && message.voteGranted) countVote(state, from, now);
}

/** A vote in the current term, by now durable at the one who gave it. */
export function countVote(state: State, from: PeerId, now: number): void {
  state.granted.add(from);
  if (isMajority(state, state.granted.size)) becomeLeader(state, now);
}

/** §5.2, §5.3; and a no-op, since only an entry of its own term shows a leader what is committed (dissertation 6.4). */
function becomeLeader(state: State, now: number): void {
  invariant(state.role === "candidate", () => `a ${state.role} cannot be elected`);
  state.role = "leader";
  state.leader = state.options.id;
  state.round = 0;
  state.roundTimes = [];
  state.progress = new Map(
    others(state).map((id) => {
      const progress = new Progress(id, state.log.lastIndex + 1, now);
      progress.incarnation = state.incarnations.get(id) ?? 0;
      return [id, progress];
    }),
  );
  const at = { firstIndex: state.log.lastIndex + 1, term: currentTerm(state), time: state.log.lastTime };
  state.log.append(stampBatch(packEntries(EntryKind.noop, [new Uint8Array()]), at));
  heartbeat(state, now);
}

/** Within how many milliseconds those campaign who know that nobody leads. */
const SPREAD_MS = 10;

/** The leader's process is known to have died: nobody needs to wait for the election timer to find out. */
export function leaderDied(state: State, leader: PeerId, now: number): void {
  becomeFollower(state, currentTerm(state), undefined, now);
  state.lastLeaderContact = Number.NEGATIVE_INFINITY;
  campaignSoon(
    state,
    state.configuration.voters.filter((voter) => voter !== leader),
    now,
  );
}

/**
 * Nobody leads, and all of `peers` know. They campaign one after the other: two who campaign together split the votes and
 * lose a whole election timeout. The pre-vote sees to it that nobody is disturbed who is further already.
 */
export function campaignSoon(state: State, peers: readonly PeerId[], now: number): void {
  // The first begins at once. An election takes some milliseconds, of which those who come next leave it as many as there are.
  const turn = Math.max(0, peers.indexOf(state.options.id) - state.options.random() / 4);
  state.electionDeadline = now + (turn / Math.max(1, peers.length - 1)) * SPREAD_MS;
}
