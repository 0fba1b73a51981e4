/** How many of `voters` make a majority. */
export function majority(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/**
 * The highest index that a majority holds (§5.3, §5.4): the leader may call it committed if its term is the current
 * one. Insertion sort in a scratch array: this runs at every acknowledgement, for a handful of voters.
 * @param matchIndexes one number a voter: the highest index known to be on its disk.
 */
export function majorityIndex(matchIndexes: readonly number[]): number {
  const descending: number[] = [];
  for (const index of matchIndexes) {
    let at = descending.length;
    for (; at > 0 && (descending[at - 1] ?? 0) < index; at--) descending[at] = descending[at - 1] ?? 0;
    descending[at] = index;
  }
  return descending[majority(matchIndexes.length) - 1] ?? 0;
}
