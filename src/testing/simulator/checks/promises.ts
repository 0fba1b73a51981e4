import type { Message, PeerId } from "../../../raft/message.ts";
import { nameOf, type Subject } from "./subject.ts";
import { expectThat } from "./violation.ts";

interface Made {
  readonly leader: PeerId;
  readonly term: number;
  /** Of the process that made it. */
  readonly incarnation: number;
  readonly turn: Subject["current"];
  readonly until: number;
}

/**
 * Whoever has acknowledged entries to a leader that lives stands by it for the shortest election timeout, by its own clock and
 * whether it was started again meanwhile or not: it neither campaigns nor helps others to (dissertation 4.2.3, 6.4.1). Once it
 * has heard of a later term it is bound no more: somebody was elected, so others were not bound.
 */
export class Promises {
  readonly #forMs: number;
  /** Those whose processes live, with their terms. */
  readonly #leaders = new Map<PeerId, number>();
  /** The latest process of each peer that has ended, as far as others may be told; it may still go on without its disk. */
  readonly #ended = new Map<PeerId, number>();
  readonly #promises = new Map<PeerId, Made>();

  /** @param forMs the shortest election timeout. */
  constructor(forMs: number) {
    this.#forMs = forMs;
  }

  leads({ id, incarnation, raft }: Subject): void {
    if (incarnation > (this.#ended.get(id) ?? 0)) this.#leaders.set(id, raft.currentTerm);
  }

  /** A peer's process has ended; others may be told any time. */
  died({ id, incarnation }: Pick<Subject, "id" | "incarnation">): void {
    this.#ended.set(id, incarnation);
    this.#leaders.delete(id);
  }

  sends(subject: Subject, to: PeerId, message: Message): void {
    if (message.type === "AppendEntriesReply" && message.success && this.#leaders.get(to) === message.term) {
      const { current: turn, incarnation } = subject;
      const until = turn.since + this.#forMs;
      this.#promises.set(subject.id, { leader: to, term: message.term, incarnation, turn, until });
    } else if (message.type === "PreVote" || message.type === "RequestVote") {
      this.#check(subject, message.term - 1, "campaigns");
    } else if (message.type === "PreVoteReply" && message.voteGranted) {
      this.#check(subject, message.term, `helps ${to}`);
    }
  }

  #check(subject: Subject, term: number, what: string): void {
    const promise = this.#promises.get(subject.id);
    // What one turn says to different peers leaves in any order.
    if (promise?.term !== term || promise.turn === subject.current || this.#leaders.get(promise.leader) !== term)
      return;
    // A process that lost its disk to a later one, and does not know yet, is not bound by what that one says.
    if (subject.incarnation < promise.incarnation) return;
    const { leader, until } = promise;
    const now = subject.now();
    expectThat(now >= until, "stands by its leader", () => {
      return `${nameOf(subject)} ${what} in term ${term}, and has promised ${leader} to wait ${until - now} ms more`;
    });
  }
}
