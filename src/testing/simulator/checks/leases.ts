import { nameOf, type Subject } from "./subject.ts";
import { expectThat } from "./violation.ts";

/**
 * A leader that may serve reads by its lease knows of all that is committed by anybody, or else a read is older than
 * what a client was told before (dissertation 6.4.1). Nobody needs to ask: that it may is enough.
 */
export class Leases {
  /** What is committed, and since when others may know; a turn takes a while, and what it does is seen when it ends. */
  readonly #coming: { readonly at: number; readonly index: number }[] = [];
  #committed = 0;
  #known = 0;

  /** A turn has ended, or will at that time. @param lastIndex of all commits of any process. */
  committed(lastIndex: number, at: number): void {
    if (lastIndex <= this.#committed) return;
    this.#committed = lastIndex;
    this.#coming.push({ at, index: lastIndex });
  }

  /** @param index from which on the process serves reads by its lease; undefined: it has none. */
  check(subject: Subject, index: number | undefined, now: number): void {
    if (index === undefined) return;
    for (let at = 0; at < this.#coming.length; ) {
      const coming = this.#coming[at];
      if (coming === undefined || coming.at > now) at++;
      else {
        this.#known = Math.max(this.#known, coming.index);
        this.#coming.splice(at, 1);
      }
    }
    expectThat(index >= this.#known, "lease", () => {
      const { currentTerm } = subject.raft;
      return `${nameOf(subject)} has a lease in term ${currentTerm} for reads of entry ${index}; committed is ${this.#known}`;
    });
  }
}
