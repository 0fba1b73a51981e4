import type { PeerId } from "../../../raft/message.ts";
import type { Role } from "../../../raft/state.ts";
import { nameOf, type Subject } from "./subject.ts";
import { expectThat } from "./violation.ts";

/** One process. Figure 2: currentTerm increases monotonically, and so do commitIndex and lastApplied. */
export class Monotone {
  #term = 0;
  #commitIndex = 0;
  #lastApplied = 0;
  #role: Role | undefined;
  #leader: PeerId | undefined;

  /** Whether there is anything new to check. */
  hasChanged({ raft, lastApplied }: Subject): boolean {
    return (
      raft.commitIndex !== this.#commitIndex ||
      lastApplied !== this.#lastApplied ||
      raft.currentTerm !== this.#term ||
      raft.role !== this.#role ||
      raft.leader !== this.#leader
    );
  }

  check(subject: Subject): void {
    const { currentTerm, commitIndex, role, leader, log } = subject.raft;
    const { lastApplied } = subject;
    expectThat(
      currentTerm >= this.#term && commitIndex >= this.#commitIndex && lastApplied >= this.#lastApplied,
      "never goes back",
      () =>
        `${nameOf(subject)} goes back from term ${this.#term}, commit ${this.#commitIndex}, applied ${this.#lastApplied} ` +
        `to ${currentTerm}, ${commitIndex}, ${lastApplied}`,
    );
    expectThat(lastApplied <= commitIndex && commitIndex <= log.lastIndex, "never goes back", () => {
      return `${nameOf(subject)} has applied ${lastApplied} and committed ${commitIndex} of ${log.lastIndex} entries`;
    });
    this.#term = currentTerm;
    this.#commitIndex = commitIndex;
    this.#lastApplied = lastApplied;
    this.#role = role;
    this.#leader = leader;
  }
}

/** The term on disk never falls either, whichever process of the peer writes it. */
export class TermsOnDisk {
  readonly #terms = new Map<string, number>();

  saved(subject: Subject): void {
    const known = this.#terms.get(subject.id) ?? 0;
    const { currentTerm } = subject.image;
    expectThat(currentTerm >= known, "never goes back", () => {
      return `${nameOf(subject)} writes term ${currentTerm} over ${known}`;
    });
    this.#terms.set(subject.id, currentTerm);
  }
}
