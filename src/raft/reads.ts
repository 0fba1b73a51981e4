import { currentTerm, isMajority, type State } from "./state.ts";

/**
 * Linearizable reads without log entries (dissertation 6.4, "read index"): the leader notes its commit index, makes
 * sure by a round that began after the read came in that it still leads, and serves the read once that index is applied.
 */
export function addRead(state: State, id: number): void {
  // The round that is asked for here begins when this step ends; all reads of the step share it.
  state.waitingReads.push({ id, round: state.round + 1, index: knowsCommit(state) ? state.commitIndex : undefined });
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
  for (const read of state.waitingReads) read.index ??= state.commitIndex;
  while (true) {
    const read = state.waitingReads[0];
    if (read?.index === undefined || !isAcknowledged(state, read.round)) return;
    state.waitingReads.shift();
    state.reads.push({ id: read.id, index: read.index });
  }
}

function isAcknowledged(state: State, round: number): boolean {
  let count = 1;
  for (const progress of state.progress.values()) if (progress.ackedRound >= round) count++;
  return isMajority(state, count);
}

/** Leadership is lost: whoever waits must ask the next leader. */
export function refuseReads(state: State): void {
  for (const read of state.waitingReads) state.refusedReads.push(read.id);
  state.waitingReads = [];
}
