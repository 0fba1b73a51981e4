import { majorityIndex } from "./quorum.ts";
import { confirmReads } from "./reads.ts";
import { currentTerm, type State } from "./state.ts";

/**
 * What a majority has on disk is committed, if it is of the current term (§5.3, §5.4.2, Figure 8); all before it is
 * committed with it. The leader's own copy counts when it is durable, like anybody's.
 */
export function advanceCommit(state: State, now: number): void {
  const matchIndexes = [state.durableIndex];
  for (const { matchIndex } of state.progress.values()) matchIndexes.push(matchIndex);
  const held = majorityIndex(matchIndexes);
  if (held <= state.commitIndex || state.log.termAt(held) !== currentTerm(state)) return;
  state.commitIndex = held;
  state.commitNewsAt = Math.min(state.commitNewsAt, now + state.options.commitNewsMs);
  confirmReads(state);
}
