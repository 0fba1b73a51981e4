import { crc32 } from "node:zlib";
import type { Save } from "../../../raft/effects.ts";
import { forEachEntry } from "../../../raft/entry.ts";
import type { PeerId } from "../../../raft/message.ts";
import type { StoredState } from "../../../storage/store.ts";
import { expectThat } from "./violation.ts";

/** What an entry is, and what stands before it. */
interface Print {
  readonly checksum: number;
  readonly termBefore: number;
}

/** All entries that any disk ever held, by index and term. */
export class EntryRecord {
  readonly #prints = new Map<number, Print>();

  /**
   * Log Matching (Figure 3, §5.3), by induction: entries of one index and term are the same, and so are the terms of those
   * before them, so all before them is the same too.
   */
  check(owner: PeerId, index: number, term: number, { checksum, termBefore }: Print): void {
    const key = term * 2 ** 32 + index;
    const known = this.#prints.get(key);
    if (known === undefined) {
      this.#prints.set(key, { checksum, termBefore });
      return;
    }
    expectThat(
      known.checksum === checksum && known.termBefore === termBefore,
      "log matching",
      () =>
        `${owner} writes an entry ${index} of term ${term} behind one of term ${termBefore}; another one of that index ` +
        `and term ${known.checksum === checksum ? `stands behind one of term ${known.termBefore}` : "is a different one"}`,
    );
  }
}

/** What a peer's disk holds for certain, kept apart from the store that is under test. */
export class DiskImage {
  readonly #owner: PeerId;
  readonly #record: EntryRecord;
  currentTerm = 0;
  votedFor: PeerId | undefined;
  /** All entries up to here are covered by the snapshot. */
  snapshotIndex = 0;
  snapshotTerm = 0;
  lastIndex = 1;
  /** Of the latest process that had the disk. */
  #incarnation = 0;
  /** By index; what the snapshot covers, and what is beyond the end, is stale. The first is the configuration. */
  readonly #terms: number[] = [0, 0];

  constructor(owner: PeerId, record: EntryRecord) {
    this.#owner = owner;
    this.#record = record;
  }

  /** A save has become durable. */
  apply({ hardState, snapshot, resetTo, truncateFrom, batches }: Save): void {
    if (hardState !== undefined) {
      const { currentTerm, votedFor } = this;
      expectThat(
        hardState.currentTerm !== currentTerm || votedFor === undefined || hardState.votedFor === votedFor,
        "one vote a term",
        () =>
          `${this.#owner} forgets its vote for ${votedFor} in term ${currentTerm}, for ${hardState.votedFor ?? "nobody"}`,
      );
      this.currentTerm = hardState.currentTerm;
      this.votedFor = hardState.votedFor;
    }
    if (resetTo !== undefined) {
      this.lastIndex = resetTo.index;
      this.#terms[resetTo.index] = resetTo.term;
    }
    if (snapshot !== undefined) {
      this.snapshotIndex = snapshot.index;
      this.snapshotTerm = snapshot.term;
    }
    if (truncateFrom !== undefined) this.lastIndex = Math.min(this.lastIndex, truncateFrom - 1);
    for (const batch of batches) {
      expectThat(batch.firstIndex === this.lastIndex + 1, "log matching", () => {
        return `${this.#owner} writes entries from ${batch.firstIndex} on behind entry ${this.lastIndex}`;
      });
      forEachEntry(batch, batch.firstIndex, (index, kind, data) => {
        const print = { checksum: crc32(data, kind), termBefore: this.#terms[index - 1] ?? -1 };
        this.#record.check(this.#owner, index, batch.term, print);
        this.#terms[index] = batch.term;
      });
      this.lastIndex = batch.lastIndex;
    }
  }

  get lastTerm(): number {
    return this.#terms[this.lastIndex] ?? 0;
  }

  /** The term of an entry that the disk holds, if the snapshot does not cover it. */
  termAt(index: number): number | undefined {
    return index <= this.lastIndex && index >= this.snapshotIndex ? this.#terms[index] : undefined;
  }

  /** Whether the disk holds that entry, as such or in its snapshot. */
  holds(index: number, term: number): boolean {
    return index <= this.snapshotIndex || (index <= this.lastIndex && this.#terms[index] === term);
  }

  /** Whatever a save has promised is found by the next process, and nothing else. */
  checkFound({ hardState, snapshot, lastIndex, incarnation }: StoredState): void {
    // Durable before it speaks, so that messages from and to a former life are told from those of this one.
    expectThat(incarnation > this.#incarnation, "what was saved is there", () => {
      return `a life of ${this.#owner} has the number ${incarnation}, after one with ${this.#incarnation}`;
    });
    this.#incarnation = incarnation;
    const found = [hardState.currentTerm, hardState.votedFor, snapshot?.index ?? 0, lastIndex];
    const expected = [this.currentTerm, this.votedFor, this.snapshotIndex, this.lastIndex];
    expectThat(
      found.every((value, at) => value === expected[at]),
      "what was saved is there",
      () =>
        `${this.#owner} (life ${incarnation}) finds term, vote, snapshot and last entry ${found.join(", ")}; ` +
        `saved were ${expected.join(", ")}`,
    );
  }
}
