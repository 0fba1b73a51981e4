import { advanceCommit } from "./commit.ts";
import { type Batch, sliceBatch } from "./entry.ts";
import { invariant } from "./errors.ts";
import type { AppendEntries, AppendEntriesReply, PeerId } from "./message.ts";
import type { Progress } from "./progress.ts";
import { acknowledgeRound, beginRound, forwardAgain } from "./reads.ts";
import { becomeFollower } from "./role.ts";
import { sendChunks } from "./snapshot.ts";
import { currentTerm, isMajority, resetElectionTimer, type State, sendAfterSave } from "./state.ts";

// ---- the leader's side

/** Whether a majority, this peer included, was heard within the last `withinMs`. */
export function hasQuorumContact(state: State, now: number, withinMs: number): boolean {
  let count = 1;
  for (const progress of state.progress.values()) if (now - progress.lastContact <= withinMs) count++;
  return isMajority(state, count);
}

/** A new round for a heartbeat: every follower gets an AppendEntries, with entries if it may have some. */
function broadcast(state: State, isQuiet: (follower: Progress) => boolean): void {
  beginRound(state);
  for (const progress of state.progress.values()) {
    if (!sendEntries(state, progress)) sendAppend(state, progress, [], isQuiet(progress));
  }
}

/** A new round for reads: the same for every follower that has answered enough of the rounds before. */
export function askRound(state: State): void {
  beginRound(state);
  for (const progress of state.progress.values()) {
    if (sendEntries(state, progress)) continue;
    if (progress.takesRound(state.round)) sendAppend(state, progress, []);
  }
}

/** Of the longest election timeout, how old a follower's last word may be before a heartbeat asks for another. */
const QUIET_PART = 0.5;

/** Whether a heartbeat tells the follower nothing, and its answer would tell the leader nothing. */
function hasNoNews(state: State, progress: Progress, now: number): boolean {
  const { log, commitIndex, waitingReads, options } = state;
  return (
    progress.state === "replicate" &&
    progress.matchIndex === log.lastIndex &&
    progress.sentCommit === commitIndex &&
    waitingReads.length === 0 &&
    now - progress.lastContact < options.electionMs[1] * QUIET_PART
  );
}

/**
 * The leader's timer. One who has lost touch with a majority steps down (dissertation 6.2). Rounds for reads do not put
 * it off: however many there are, they prove nothing while nobody answers.
 */
export function heartbeat(state: State, now: number): void {
  const [, longest] = state.options.electionMs;
  if (!hasQuorumContact(state, now, longest)) {
    becomeFollower(state, currentTerm(state), undefined, now);
    return;
  }
  state.heartbeatAt = now + state.options.heartbeatMs;
  for (const progress of state.progress.values()) progress.heartbeat(now - progress.lastContact > longest);
  broadcast(state, (progress) => hasNoNews(state, progress, now));
}

/** Sends to each follower what it lacks and its window lets through; called once a step, so entries gather. */
export function replicate(state: State): void {
  let behind = false;
  for (const progress of state.progress.values()) {
    sendEntries(state, progress);
    behind ||= lacksCommitNews(state, progress);
  }
  if (!behind) state.commitNewsAt = Number.POSITIVE_INFINITY;
}

/** Tells followers of a commit that no other message has carried (see `commitNewsMs`). */
export function sendCommitNews(state: State): void {
  state.commitNewsAt = Number.POSITIVE_INFINITY;
  for (const progress of state.progress.values()) {
    // Who has just come to the end of a snapshot may need entries that were compacted meanwhile: then it gets the next one.
    if (lacksCommitNews(state, progress) && !sendEntries(state, progress)) sendAppend(state, progress, []);
  }
}

function lacksCommitNews(state: State, progress: Progress): boolean {
  return progress.state === "replicate" && progress.sentCommit < state.commitIndex;
}

/**
 * How much of what the limits allow a follower is sent when that is not in memory: to read it takes the leader's time, while
 * all others wait.
 */
const STORED_PART = 1 / 4;

/** @returns whether anything went out. */
function sendEntries(state: State, progress: Progress): boolean {
  const { log, options } = state;
  if (progress.state !== "snapshot" && log.termAt(progress.nextIndex - 1) === undefined) {
    invariant(state.snapshot !== undefined, () => `entry ${progress.nextIndex - 1} is gone, and there is no snapshot`);
    progress.sendSnapshot(state.snapshot);
  }
  if (progress.state === "snapshot") return progress.hasRoom(1, 1) && sendChunks(state, progress);
  let any = false;
  while (progress.nextIndex <= log.lastIndex) {
    const part = log.isCached(progress.nextIndex) ? 1 : STORED_PART;
    if (!progress.hasRoom(options.maxInflightMessages, part * options.maxInflightBytes)) break;
    const batches = log.readOn(progress.nextIndex, log.lastIndex, part * options.maxMessageBytes);
    const last = batches.at(-1);
    invariant(last !== undefined, () => `entry ${progress.nextIndex} cannot be read`);
    sendAppend(state, progress, batches);
    progress.sent(
      last.lastIndex,
      batches.reduce((sum, batch) => sum + batch.bytes.byteLength, 0),
    );
    any = true;
  }
  return any;
}

function sendAppend(state: State, progress: Progress, batches: readonly Batch[], isQuiet = false): void {
  // Who is being sent a snapshot hears the heartbeat all the same; that it rejects it means nothing.
  const prevLogIndex = progress.state === "snapshot" ? state.log.lastIndex : progress.nextIndex - 1;
  const prevLogTerm = state.log.termAt(prevLogIndex);
  invariant(
    prevLogTerm !== undefined,
    () => `the log has no entry ${prevLogIndex} to precede what ${progress.id} needs`,
  );
  progress.sentCommit = state.commitIndex;
  const message: AppendEntries = {
    type: "AppendEntries",
    term: currentTerm(state),
    prevLogIndex,
    prevLogTerm,
    leaderCommit: state.commitIndex,
    round: state.round,
    isQuiet,
    batches,
  };
  // The term and this peer's vote in it are durable since it was elected, so nothing has to wait for the next save.
  state.before.push({ to: progress.id, message });
}

/** A reply of the current term; see Raft.step for the others. */
export function onAppendEntriesReply(state: State, from: PeerId, message: AppendEntriesReply, now: number): void {
  const progress = state.progress.get(from);
  if (state.role !== "leader" || progress === undefined) return;
  progress.lastContact = now;
  acknowledgeRound(state, progress, message.round);
  if (message.success) {
    const { matchIndex } = message;
    const { lastIndex } = state.log;
    invariant(
      matchIndex <= lastIndex,
      () => `${from} acknowledges entry ${matchIndex} of a log that ends at ${lastIndex}`,
    );
    progress.matched(matchIndex);
    advanceCommit(state, now);
  } else if (isNews(progress, message)) {
    progress.probe(backtrack(state, message));
  }
}

/** Whether a rejection says something of what the leader believes now; late and repeated ones do not. */
function isNews(progress: Progress, message: AppendEntriesReply): boolean {
  if (progress.state === "snapshot") return false;
  if (message.prevLogIndex <= progress.matchIndex) return false;
  if (progress.state === "probe") return message.prevLogIndex === progress.nextIndex - 1;
  return message.prevLogIndex < progress.nextIndex;
}

/** End of §5.3: one round for each term in which the logs differ, not for each entry. */
function backtrack(state: State, message: AppendEntriesReply): number {
  const ours = message.conflictTerm < 0 ? undefined : state.log.lastIndexOfTerm(message.conflictTerm);
  const next = ours === undefined ? message.conflictIndex : ours + 1;
  return Math.max(1, Math.min(next, message.prevLogIndex));
}

/** Nothing can be delivered to this follower for now: what was under way is lost. */
export function unreachable(state: State, peer: PeerId): void {
  const progress = state.progress.get(peer);
  if (progress?.state === "replicate") progress.lost();
}

// ---- the follower's side

/** AppendEntries of the current term, that is, of the one leader there is in it (§5.2, §5.3). */
export function onAppendEntries(state: State, from: PeerId, message: AppendEntries, now: number): void {
  invariant(state.role !== "leader", () => `${from} and this peer both lead in term ${message.term}`);
  becomeFollower(state, message.term, from, now);
  resetElectionTimer(state, now);
  state.lastLeaderContact = now;
  forwardAgain(state, from, now);

  const { log } = state;
  const { prevLogIndex } = message;
  const ourTerm = log.termAt(prevLogIndex);
  // What is before the log's beginning is committed, so it matches; what is beyond its end does not.
  if (ourTerm === undefined ? prevLogIndex > log.lastIndex : ourTerm !== message.prevLogTerm) {
    const conflictIndex = ourTerm === undefined ? log.lastIndex + 1 : log.firstIndexOfTermAt(prevLogIndex);
    refuseAppend(state, from, message, conflictIndex, ourTerm ?? -1);
    return;
  }
  for (const batch of message.batches) takeIn(state, batch);
  const matchIndex = message.batches.at(-1)?.lastIndex ?? prevLogIndex;
  // §5.3: up to the last entry that this message has shown to match, however long the log is.
  state.commitIndex = Math.max(state.commitIndex, Math.min(message.leaderCommit, matchIndex));
  if (message.isQuiet) return;
  sendAfterSave(state, from, {
    type: "AppendEntriesReply",
    term: currentTerm(state),
    round: message.round,
    success: true,
    prevLogIndex,
    matchIndex,
    conflictIndex: 0,
    conflictTerm: -1,
  });
}

/** Tells where a follower's log parts from the leader's; or one who leads no more that there is a later term. */
export function refuseAppend(
  state: State,
  from: PeerId,
  { round, prevLogIndex }: AppendEntries,
  conflictIndex: number,
  conflictTerm: number,
): void {
  sendAfterSave(state, from, {
    type: "AppendEntriesReply",
    term: currentTerm(state),
    round,
    success: false,
    prevLogIndex,
    matchIndex: 0,
    conflictIndex,
    conflictTerm,
  });
}

/** Figure 2, AppendEntries 3 and 4: only a real conflict cuts the log; what is there already stays as it is. */
function takeIn(state: State, batch: Batch): void {
  const { log } = state;
  const conflict = log.findConflict(batch);
  if (conflict === undefined) return;
  if (conflict <= log.lastIndex) {
    invariant(
      conflict > state.commitIndex,
      () => `entry ${conflict} is committed, and a leader of term ${currentTerm(state)} has another in its place`,
    );
    log.truncateFrom(conflict);
    state.durableIndex = Math.min(state.durableIndex, log.lastIndex);
  }
  log.append(sliceBatch(batch, conflict, batch.lastIndex));
}
