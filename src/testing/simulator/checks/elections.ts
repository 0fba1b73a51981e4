import type { Message, PeerId, RequestVote } from "../../../raft/message.ts";
import { majority } from "../../../raft/quorum.ts";
import { nameOf, type Subject } from "./subject.ts";
import { expectThat } from "./violation.ts";

/** Election Safety (Figure 3, §5.2): at most one leader a term; and no peer leads in a term twice, or is followed in another's. */
export class ElectionSafety {
  readonly #leaders = new Map<number, string>();
  readonly #ids = new Map<number, PeerId>();

  /** @returns whether it is news that this process leads in its term. */
  leads(subject: Subject): boolean {
    const { currentTerm } = subject.raft;
    const name = nameOf(subject);
    const known = this.#leaders.get(currentTerm);
    if (known === name) return false;
    expectThat(known === undefined, "election safety", () => `${known} and ${name} both lead in term ${currentTerm}`);
    this.#leaders.set(currentTerm, name);
    this.#ids.set(currentTerm, subject.id);
    return true;
  }

  /** Whoever is taken for the leader of a term was elected in it: messages of former terms make nobody a leader (§5.1). */
  follows(subject: Subject): void {
    const { currentTerm, leader } = subject.raft;
    const elected = this.#ids.get(currentTerm);
    expectThat(leader === undefined || leader === elected, "election safety", () => {
      return `${nameOf(subject)} takes ${leader} for the leader of term ${currentTerm}; elected was ${elected ?? "nobody"}`;
    });
  }
}

interface Campaign extends Pick<RequestVote, "lastLogIndex" | "lastLogTerm"> {
  readonly voters: Set<PeerId>;
}

/**
 * Dissertation 9.6: nobody takes on a new term, and campaigns in it, before a majority has said that it would vote for it. One
 * who was cut off, or does not hear its leader, disturbs nobody so.
 */
export class Consents {
  readonly #consents = new Map<string, Set<PeerId>>();
  readonly #peers: number;

  /** @param peers how many there are. */
  constructor(peers: number) {
    this.#peers = peers;
  }

  sends(subject: Subject, to: PeerId, message: Message): void {
    if (message.type === "PreVoteReply" && message.voteGranted) {
      const key = `${message.proposedTerm} ${to}`;
      const consents = this.#consents.get(key) ?? new Set();
      this.#consents.set(key, consents.add(subject.id));
    }
    if (message.type !== "RequestVote") return;
    const { term } = message;
    const count = 1 + (this.#consents.get(`${term} ${subject.id}`)?.size ?? 0);
    expectThat(count >= majority(this.#peers), "asks before it campaigns", () => {
      return `${nameOf(subject)} campaigns in term ${term}; of ${this.#peers}, ${count} have said that they would vote for it`;
    });
  }
}

/**
 * One vote a term, whatever crashes there are between (Figure 2, RequestVote 2; votedFor is persistent state), for nobody
 * whose log is behind (§5.4.1); and nobody leads without a majority of them (§5.2). A vote counts when it is told, to others
 * or, by a candidate's campaign, to itself.
 */
export class Votes {
  readonly #votes = new Map<string, PeerId>();
  readonly #campaigns = new Map<string, Campaign>();
  readonly #peers: number;

  /** @param peers how many there are. */
  constructor(peers: number) {
    this.#peers = peers;
  }

  sends(subject: Subject, to: PeerId, message: Message): void {
    if (message.type === "RequestVote") {
      this.#vote(subject, message.term, subject.id);
      const key = `${message.term} ${subject.id}`;
      if (!this.#campaigns.has(key)) this.#campaigns.set(key, { ...message, voters: new Set() });
    }
    if (message.type === "RequestVoteReply" && message.voteGranted) {
      this.#vote(subject, message.term, to);
      this.#count(subject, message.term, to);
    }
  }

  /** A process leads in its term. */
  leads(subject: Subject): void {
    const { currentTerm } = subject.raft;
    const votes = 1 + (this.#campaigns.get(`${currentTerm} ${subject.id}`)?.voters.size ?? 0);
    expectThat(votes >= majority(this.#peers), "election safety", () => {
      return `${nameOf(subject)} leads in term ${currentTerm}, with ${votes} votes of ${this.#peers}`;
    });
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

  #count(voter: Subject, term: number, candidate: PeerId): void {
    const campaign = this.#campaigns.get(`${term} ${candidate}`);
    expectThat(campaign !== undefined, "election safety", () => {
      return `${nameOf(voter)} votes for ${candidate} in term ${term}, who does not campaign in it`;
    });
    const { lastIndex, lastTerm } = voter.image;
    const { lastLogIndex, lastLogTerm } = campaign;
    const isUpToDate = lastLogTerm > lastTerm || (lastLogTerm === lastTerm && lastLogIndex >= lastIndex);
    // Entries of the term it votes in came after the vote, from whoever was elected, in the same turn perhaps.
    expectThat(isUpToDate || lastTerm >= term, "leader completeness", () => {
      const logs = `${lastLogIndex} of term ${lastLogTerm}, its own with ${lastIndex} of term ${lastTerm}`;
      return `${nameOf(voter)} votes in term ${term} for ${candidate}, whose log ends with ${logs}`;
    });
    campaign.voters.add(voter.id);
  }
}
