import { advanceCommit } from "./commit.ts";
import type { SnapshotInfo } from "./effects.ts";
import { invariant } from "./errors.ts";
import type { InstallSnapshot, InstallSnapshotReply, PeerId } from "./message.ts";
import type { Progress } from "./progress.ts";
import { acknowledgeRound } from "./reads.ts";
import { becomeFollower } from "./role.ts";
import { currentTerm, resetElectionTimer, type State, sendAfterSave } from "./state.ts";

// ---- every peer's own snapshots (§7)

/**
 * Sets aside a chunk of the peer's own snapshot. The first one puts an incoming snapshot out of its place, as the first
 * chunk of that does the other way round. @returns false when that has happened, or one became complete in this step.
 */
export function stageChunk(state: State, number: number, data: Uint8Array): boolean {
  if (number === 0) {
    if (!mayBegin(state)) return false;
    state.incoming = undefined;
    state.isBuilding = true;
  }
  if (state.isBuilding) state.chunks.push({ number, data });
  return state.isBuilding;
}

/** One save carries at most one snapshot, and nothing of another behind its chunks. */
function mayBegin(state: State): boolean {
  return state.completed === undefined;
}

/**
 * The state machine's state as of `info.index` is set aside in the store: it becomes the snapshot with the next save, and
 * the log is compacted. A tail of `snapshotTail` entries stays for followers that are a little behind; a leader also keeps
 * what those it hears from still lack, up to `snapshotTailMax`, since entries cost less to send than a whole state.
 */
export function completeSnapshot(state: State, info: SnapshotInfo, now: number): void {
  invariant(
    info.index <= state.commitIndex && info.index > (state.snapshot?.index ?? 0),
    () =>
      `a snapshot of ${info.index} after that of ${state.snapshot?.index ?? 0}, with ${state.commitIndex} committed`,
  );
  state.isBuilding = false;
  state.snapshot = info;
  state.completed = info;
  const { snapshotTail, snapshotTailMax, electionMs } = state.options;
  let keepFrom = info.index - snapshotTail;
  for (const progress of state.progress.values()) {
    const isHeard = now - progress.lastContact <= electionMs[1];
    if (isHeard) keepFrom = Math.min(keepFrom, Math.max(progress.matchIndex, info.index - snapshotTailMax));
  }
  state.log.compactTo(Math.max(0, keepFrom));
}

// ---- the leader's side of InstallSnapshot (Figure 13)

/**
 * Sends the chunks that are due: as many as one message of entries might be large, but at least one; the next ones when
 * these were taken. @returns false when there was nothing to send after all.
 */
export function sendChunks(state: State, progress: Progress): boolean {
  const { transfer } = progress;
  if (transfer === undefined) return false;
  const { snapshot } = transfer;
  let chunk = transfer.nextChunk;
  let room = state.options.maxMessageBytes;
  let size: number;
  do {
    const data = state.readChunk(snapshot.index, chunk);
    if (data === undefined) {
      // It became complete in this very step, and can be read once it is saved.
      if (state.completed?.index === snapshot.index) return false;
      // Another has taken its place: from the beginning, with that.
      invariant(
        state.snapshot !== undefined && state.snapshot.index > snapshot.index,
        () => `chunk ${chunk} of the snapshot of ${snapshot.index} is missing`,
      );
      progress.sendSnapshot(state.snapshot);
      return sendChunks(state, progress);
    }
    state.before.push({ to: progress.id, message: installSnapshot(state, snapshot, chunk, data) });
    chunk++;
    // All are of one size, but the last, which may be smaller.
    size = data.byteLength;
    room -= size;
  } while (chunk < snapshot.chunks && size <= room);
  progress.sentChunks(transfer, chunk);
  return true;
}

function installSnapshot(state: State, snapshot: SnapshotInfo, chunk: number, data: Uint8Array): InstallSnapshot {
  return {
    type: "InstallSnapshot",
    term: currentTerm(state),
    round: state.round,
    lastIncludedIndex: snapshot.index,
    lastIncludedTerm: snapshot.term,
    chunk,
    info: chunk === 0 ? snapshot : undefined,
    data,
  };
}

/** A reply of the current term; see Raft.step for the others. */
export function onInstallSnapshotReply(state: State, from: PeerId, message: InstallSnapshotReply, now: number): void {
  const progress = state.progress.get(from);
  if (state.role !== "leader" || progress === undefined) return;
  progress.lastContact = now;
  acknowledgeRound(state, progress, message.round);
  if (message.installed) {
    progress.matched(message.lastIncludedIndex);
    advanceCommit(state, now);
  } else if (progress.transfer?.snapshot.index === message.lastIncludedIndex) {
    progress.lacksChunk(progress.transfer, message.nextChunk);
  }
}

// ---- the follower's side

/** InstallSnapshot of the current term. Chunks are taken in their order; any other is answered with the one that lacks. */
export function onInstallSnapshot(state: State, from: PeerId, message: InstallSnapshot, now: number): void {
  invariant(state.role !== "leader", () => `${from} and this peer both lead in term ${message.term}`);
  becomeFollower(state, message.term, from, now);
  resetElectionTimer(state, now);
  state.lastLeaderContact = now;

  const { lastIncludedIndex, lastIncludedTerm } = message;
  const wasInstalled = holds(state, lastIncludedIndex, lastIncludedTerm);
  if (!wasInstalled) takeChunk(state, from, message);
  const installed = wasInstalled || holds(state, lastIncludedIndex, lastIncludedTerm);
  const reply: InstallSnapshotReply = {
    type: "InstallSnapshotReply",
    term: currentTerm(state),
    round: message.round,
    lastIncludedIndex,
    nextChunk: state.incoming?.nextChunk ?? 0,
    installed,
  };
  // What is set aside is gone with this process, saved or not: the next chunks may be on their way while these are written.
  if (installed || state.hardStateChanged) sendAfterSave(state, from, reply);
  else state.before.push({ to: from, message: reply });
}

/**
 * Takes the chunk if it is the next one, or the first of another snapshot. Snapshots of one index that two peers made may
 * differ in their bytes, so nobody goes on with what another leader began. A leader does not go back to an older snapshot:
 * chunks of one are late.
 */
function takeChunk(state: State, from: PeerId, { lastIncludedIndex, chunk, info, data }: InstallSnapshot): void {
  if (!mayBegin(state)) return;
  const newest = state.incoming?.from === from ? state.incoming.info.index : 0;
  if (lastIncludedIndex < newest) return;
  if (lastIncludedIndex > newest) state.incoming = info === undefined ? undefined : { from, info, nextChunk: 0 };
  const { incoming } = state;
  if (incoming === undefined || incoming.nextChunk !== chunk) return;
  state.isBuilding = false;
  state.chunks.push({ number: chunk, data, of: incoming.info });
  incoming.nextChunk++;
  if (incoming.nextChunk === incoming.info.chunks) install(state, incoming.info);
}

/**
 * Figure 13, rule 6: what the snapshot stands for is here already, applied or as entries, and nothing behind it may be
 * lost. An old snapshot must not take the state back.
 */
function holds(state: State, lastIncludedIndex: number, lastIncludedTerm: number): boolean {
  if (lastIncludedIndex <= state.commitIndex) return true;
  if (state.log.termAt(lastIncludedIndex) !== lastIncludedTerm) return false;
  state.commitIndex = lastIncludedIndex;
  return true;
}

/** Figure 13, rules 7 and 8: the log is of no use; the state is the snapshot's. */
function install(state: State, info: SnapshotInfo): void {
  state.incoming = undefined;
  state.snapshot = info;
  state.completed = info;
  state.restore = info;
  state.configuration = info.configuration;
  state.log.resetTo(info);
  state.durableIndex = info.index;
  state.commitIndex = info.index;
}
