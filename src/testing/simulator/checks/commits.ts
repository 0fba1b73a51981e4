import type { Replica } from "../../../actors/replica.ts";
import { EntryReader } from "../../../raft/entry.ts";
import { RaftError } from "../../../raft/errors.ts";
import type { PeerId } from "../../../raft/message.ts";
import { majority } from "../../../raft/quorum.ts";
import { Killed } from "../crash-points.ts";
import type { DiskImage } from "./disk-image.ts";
import { nameOf, type Subject } from "./subject.ts";
import { expectThat } from "./violation.ts";

/** The record of all commits: what any process ever took for committed is so for all, for ever. */
export class Commits {
  /** The term of each committed entry, by index. The configuration is committed from the beginning. */
  readonly #terms: number[] = [0, 0];
  /** The term in which each was committed. */
  readonly #committedIn: number[] = [0, 0];
  readonly #images: ReadonlyMap<PeerId, DiskImage>;
  readonly #reference: Replica;
  /** Those that lead, or led and have not found out that they do not any more. */
  readonly #leaders = new Set<Subject>();

  /** @param reference applies each committed entry as soon as there is one: the full replay, without snapshots. */
  constructor(images: ReadonlyMap<PeerId, DiskImage>, reference: Replica) {
    this.#images = images;
    this.#reference = reference;
  }

  get lastIndex(): number {
    return this.#terms.length - 1;
  }

  termOf(index: number): number | undefined {
    return this.#terms[index];
  }

  /** A process has moved its commit index on. */
  check(subject: Subject): void {
    const { commitIndex, log, snapshot } = subject.raft;
    // Whose disk is damaged finds out by itself; what it cannot read, another has.
    if (commitIndex > this.lastIndex && !this.#add(subject, commitIndex)) return;
    // State Machine Safety (Figure 3, §5.4.3). With Log Matching the last entry speaks for all before it.
    const term = snapshot?.index === commitIndex ? snapshot.term : log.termAt(commitIndex);
    expectThat(term === undefined || term === this.#terms[commitIndex], "state-machine safety", () => {
      return `${nameOf(subject)} commits entry ${commitIndex} of term ${term}; committed was one of term ${this.#terms[commitIndex]}`;
    });
  }

  /**
   * Leader Completeness (Figure 3, §5.4): who leads has all that was committed in earlier terms. Who hears late of its votes
   * may begin to lead when a later term has committed already.
   */
  elected(subject: Subject): void {
    this.#leaders.add(subject);
    let index = this.lastIndex;
    while (index > 1 && (this.#committedIn[index] ?? 0) >= subject.raft.currentTerm) index--;
    this.#checkHas(subject, index);
  }

  /** §5.3: what is acknowledged to a leader is the same in its own log. */
  acknowledged(subject: Subject, term: number, index: number): void {
    for (const { raft, id } of this.#leaders) {
      if (raft.currentTerm !== term || raft.role !== "leader" || index < raft.log.firstIndex) continue;
      const [theirs, own] = [raft.log.termAt(index), subject.image.termAt(index)];
      // A later leader may have replaced it in the same turn; then its term is later than the acknowledgement's.
      expectThat(theirs === own || own === undefined || own > term, "log matching", () => {
        return `${nameOf(subject)} acknowledges entry ${index} of term ${own} to ${id}, who has ${theirs ?? "none"} there`;
      });
    }
  }

  ended(subject: Subject): void {
    this.#leaders.delete(subject);
  }

  /** A snapshot stands for committed entries only (§7). */
  checkSnapshot(subject: Subject, index: number, term: number): void {
    expectThat(this.#terms[index] === term, "state-machine safety", () => {
      return `${nameOf(subject)} has a snapshot of entry ${index} of term ${term}; committed was ${this.#terms[index] ?? "none"}`;
    });
  }

  /** @returns false when the process cannot read what it has committed. */
  #add(subject: Subject, commitIndex: number): boolean {
    const from = this.lastIndex + 1;
    const { log, currentTerm } = subject.raft;
    let index = from;
    while (index <= commitIndex) {
      const batches = readable(() => log.read(index, commitIndex));
      if (batches === undefined) return false;
      for (const batch of batches) {
        for (; index <= batch.lastIndex; index++) {
          this.#terms[index] = batch.term;
          this.#committedIn[index] = currentTerm;
        }
        this.#reference.apply(new EntryReader(batch, batch.firstIndex), batch.lastIndex, () => {});
      }
    }
    // §5.4.2, Figure 8: by counting copies a leader commits entries of its own term only.
    expectThat(
      subject.raft.role !== "leader" || this.#terms[commitIndex] === currentTerm,
      "leader completeness",
      () => {
        return `${nameOf(subject)} leads in term ${currentTerm}, and commits entry ${commitIndex} of term ${this.#terms[commitIndex]}`;
      },
    );
    this.#checkHeld(subject, commitIndex);
    for (const leader of this.#leaders) {
      if (leader.raft.role !== "leader") this.#leaders.delete(leader);
      else if (leader.raft.currentTerm > currentTerm) this.#checkHas(leader, commitIndex);
    }
    return true;
  }

  /** §5.3: committed means stored on a majority of the servers; on their disks, those of dead ones too. */
  #checkHeld(subject: Subject, index: number): void {
    const term = this.#terms[index] ?? -1;
    let count = 0;
    for (const image of this.#images.values()) if (image.holds(index, term)) count++;
    expectThat(count >= majority(this.#images.size), "committed on a majority", () => {
      return `${nameOf(subject)} commits entry ${index} of term ${term}, which ${count} of ${this.#images.size} disks hold`;
    });
  }

  #checkHas(leader: Subject, index: number): void {
    const { log, currentTerm, snapshot } = leader.raft;
    const found = log.termAt(index);
    const isCovered = index < log.firstIndex && index <= (snapshot?.index ?? 0);
    expectThat(isCovered || found === this.#terms[index], "leader completeness", () => {
      const has = found === undefined ? `ends with ${log.lastIndex}` : `has one of term ${found} there`;
      return `${nameOf(leader)} leads in term ${currentTerm}; entry ${index} of term ${this.#terms[index]} is committed, and its log ${has}`;
    });
  }
}

/** Undefined when the bytes on the disk are not what was written, or the process has its disk no more, and does not know. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Killed || (error instanceof RaftError && error.code === "ERR_STORAGE_CORRUPT"))
      return undefined;
    throw error;
  }
}
