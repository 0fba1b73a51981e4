import type { Entry, PlainLog } from "./plain-log.ts";
import { sameValue } from "./plain-log.ts";
import { demand } from "./rules.ts";
import type { Server } from "./server.ts";

/**
 * What the proofs of the specification look back at: elections and commits of the whole cluster (Figure 3). Lives are
 * judged one after another and not in the order of time, so all here holds whatever the order.
 */
export class History {
  readonly #leaders = new Map<number, { readonly id: string; readonly log: PlainLog }>();
  /** By voter and term. */
  readonly #votes = new Map<string, string>();
  readonly #committed = new Map<number, Entry>();
  /** How far a leader of that term has committed. */
  readonly #leaderCommits = new Map<number, number>();

  /** A vote that was told to somebody; across all lives of the voter. */
  voted(voter: string, term: number, candidate: string): void {
    const key = `${voter} ${term}`;
    const before = this.#votes.get(key) ?? candidate;
    this.#votes.set(key, before);
    demand(before === candidate, "oneVote", () => `it has voted for ${before} and for ${candidate} in term ${term}`);
  }

  /** Election Safety. */
  leads(id: string, term: number, log: PlainLog): void {
    const other = this.#leaders.get(term);
    demand(other === undefined, "oneLeader", () => `${other?.id} was elected in term ${term} too`);
    this.#leaders.set(term, { id, log: log.copy() });
  }

  /** State Machine Safety, for the entries behind `from`. */
  committed({ log, commitIndex, role, currentTerm }: Server, from: number): void {
    for (let index = Math.max(from + 1, log.baseIndex + 1); index <= commitIndex; index++) {
      const entry = log.at(index);
      const known = this.#committed.get(index);
      if (entry === undefined) continue;
      demand(
        known === undefined || (known.term === entry.term && sameValue(known, entry.value)),
        "stateMachineSafety",
        () => `entry ${index} of term ${entry.term} is committed, and another, of term ${known?.term}, elsewhere`,
      );
      if (known === undefined) this.#committed.set(index, entry);
    }
    if (role !== "leader") return;
    this.#leaderCommits.set(currentTerm, Math.max(this.#leaderCommits.get(currentTerm) ?? 0, commitIndex));
  }

  /**
   * Leader Completeness: each leader began with what earlier ones had committed.
   * @param blame is called with the leader and its term before it is looked at.
   */
  checkLeaders(blame: (id: string, term: number) => void): void {
    for (const [term, { id, log }] of this.#leaders) {
      blame(id, term);
      for (const [earlier, index] of this.#leaderCommits) {
        const entry = this.#committed.get(index);
        if (earlier >= term || entry === undefined || index <= log.baseIndex) continue;
        const own = log.at(index);
        demand(
          own !== undefined && own.term === entry.term && sameValue(own, entry.value),
          "leaderCompleteness",
          () =>
            `it leads in term ${term} without entry ${index} of term ${entry.term}, committed in term ${earlier}; ` +
            `it has ${own === undefined ? `a log up to ${log.lastIndex}` : `one of term ${own.term}`}`,
        );
      }
    }
  }
}
