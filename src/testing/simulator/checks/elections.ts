import type { Message, PeerId } from "../../../raft/message.ts";
import { nameOf, type Subject } from "./subject.ts";
import { expectThat } from "./violation.ts";

/** Election Safety (Figure 3, §5.2): at most one leader a term; and no peer leads in a term twice. */
export class ElectionSafety {
  readonly #leaders = new Map<number, string>();

  /** @returns whether it is news that this process leads in its term. */
  leads(subject: Subject): boolean {
    const { currentTerm } = subject.raft;
    const name = nameOf(subject);
    const known = this.#leaders.get(currentTerm);
    if (known === name) return false;
    expectThat(known === undefined, "election safety", () => `${known} and ${name} both lead in term ${currentTerm}`);
    this.#leaders.set(currentTerm, name);
    return true;
  }
}

/**
 * One vote a term, whatever crashes there are between (Figure 2, RequestVote 2; votedFor is persistent state). A vote
 * counts when it is told, to others or, by a candidate's campaign, to itself.
 */
export class OneVote {
  readonly #votes = new Map<string, PeerId>();

  sends(subject: Subject, to: PeerId, message: Message): void {
    if (message.type === "RequestVote") this.#vote(subject, message.term, subject.id);
    if (message.type === "RequestVoteReply" && message.voteGranted) this.#vote(subject, message.term, to);
  }

  #vote(voter: Subject, term: number, candidate: PeerId): void {
    const key = `${term} ${voter.id}`;
    const known = this.#votes.get(key);
    expectThat(known === undefined || known === candidate, "one vote a term", () => {
      return `${nameOf(voter)} votes for ${candidate} in term ${term}, and has voted for ${known} in it`;
    });
    this.#votes.set(key, candidate);
    const { currentTerm, votedFor } = voter.image;
    // With a later term on its disk it will not vote in this one again.
    const isSafe = currentTerm > term || (currentTerm === term && votedFor === candidate);
    expectThat(isSafe, "persist before you answer", () => {
      return `${nameOf(voter)} votes for ${candidate} in term ${term}; on its disk is a vote for ${votedFor} in ${currentTerm}`;
    });
  }
}
