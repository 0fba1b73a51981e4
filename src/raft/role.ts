import type { PeerId } from "./message.ts";
import { refuseForwarded, refuseReads } from "./reads.ts";
import { currentTerm, resetElectionTimer, type State } from "./state.ts";

/** Enters a later term; nobody has this peer's vote in it yet. One change, one write: term and vote belong together. */
export function setTerm(state: State, term: number, votedFor?: PeerId): void {
  state.hardState = { currentTerm: term, votedFor };
  state.hardStateChanged = true;
}

/** Gives this term's vote away (§5.2: one vote a term, first come first served). */
export function vote(state: State, candidate: PeerId): void {
  setTerm(state, currentTerm(state), candidate);
}

/**
 * Steps down, or stays a follower, of `leader` if it is known. A later term clears the vote; within one term the vote
 * stays (Figure 2). A new leader does not reset the timer here: only its AppendEntries does.
 */
export function becomeFollower(state: State, term: number, leader: PeerId | undefined, now: number): void {
  if (term > currentTerm(state) || leader !== state.leader) refuseForwarded(state);
  if (term > currentTerm(state)) setTerm(state, term);
  if (state.role === "leader") {
    refuseReads(state);
    state.progress.clear();
  }
  // One who led or campaigned has no running timer of a follower.
  if (state.role !== "follower") resetElectionTimer(state, now);
  state.role = "follower";
  state.leader = leader;
  state.leaderIncarnation = leader === undefined ? 0 : (state.incarnations.get(leader) ?? 0);
}
