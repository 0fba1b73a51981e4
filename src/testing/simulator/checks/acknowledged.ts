import type { Save } from "../../../raft/effects.ts";
import type { Message, PeerId } from "../../../raft/message.ts";
import { nameOf, type Subject } from "./subject.ts";
import { expectThat } from "./violation.ts";

/**
 * What a follower has acknowledged stays as long as the term does: there is one leader in it, who overwrites nothing (§5.3),
 * and may have counted the entry. Late messages, heartbeats and snapshots drop none of it.
 */
export class Acknowledged {
  readonly #acknowledged = new Map<PeerId, { readonly term: number; readonly index: number }>();

  sends(subject: Subject, message: Message): void {
    if (message.type !== "AppendEntriesReply" || !message.success) return;
    const known = this.#acknowledged.get(subject.id);
    const { term, matchIndex: index } = message;
    const isNews = known === undefined || term > known.term || (term === known.term && index > known.index);
    if (isNews) this.#acknowledged.set(subject.id, { term, index });
  }

  /** Before the image of the disk has it. */
  saved(subject: Subject, { hardState, truncateFrom, resetTo }: Save): void {
    const known = this.#acknowledged.get(subject.id);
    const term = hardState?.currentTerm ?? subject.image.currentTerm;
    if (known === undefined || known.term !== term) return;
    const keeps = (truncateFrom ?? Number.POSITIVE_INFINITY) - 1;
    const last = resetTo === undefined ? keeps : Math.min(keeps, resetTo.index);
    expectThat(last >= known.index, "acknowledged stays", () => {
      return `${nameOf(subject)} drops entries behind ${last}, and has acknowledged ${known.index} in this very term ${term}`;
    });
  }
}
