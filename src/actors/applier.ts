import type { Applied } from "../machine/apply.ts";
import { type Batch, EntryReader } from "../raft/entry.ts";
import type { Raft } from "../raft/raft.ts";
import type { PendingCommands } from "./pending.ts";
import type { AppliedEntry } from "./protocol.ts";
import { describeApplied, type Replica } from "./replica.ts";
import type { Replies } from "./replies.ts";

/**
 * How long one turn applies, about; the rest waits until the mail that came in meanwhile is handled. A peer that was
 * started again has all its log to apply, and is to answer those who want its vote meanwhile.
 */
const APPLY_MS_PER_TURN = 20;
/** The same for a leader: all that is proposed meanwhile waits for it. */
const LEADER_APPLY_MS_PER_TURN = 5;
/** About how much of the log is fetched from the store at once, and held until it is applied. */
const APPLY_BYTES_AT_ONCE = 64 << 10;
/** After so many entries the time is looked at. */
const ENTRIES_A_PORTION = 64;
/** After so many entries clients hear of their results, and can go on while more are applied. */
const ENTRIES_AN_ANSWER = 256;

/** What surrounds it. */
export interface ApplierOptions {
  readonly raft: Pick<Raft, "commitIndex" | "log" | "role">;
  readonly replica: Replica;
  readonly pending: PendingCommands<Applied>;
  readonly replies: Replies;
  readonly now: () => number;
  /** Clients are to hear of what there is so far. */
  readonly tell: () => void;
  /** Takes what was fetched from the store and is applied: nobody else has it. */
  readonly passed: (bytes: Uint8Array) => void;
  /** Hears of what was applied, a portion at a time; undefined: nobody watches. */
  readonly onApplied: ((entries: readonly AppliedEntry[], firstIndex: number, lastIndex: number) => void) | undefined;
}

/** Brings the state machine up to the commit index (Figure 2: one at a time, in order, each once), and answers whose commands those are. */
export class Applier {
  readonly #options: ApplierOptions;
  /**
   * What was fetched and is not applied: a batch is far more than a turn has time for, and what is no longer in memory is
   * read and checked as a whole. Up to `#fetchedTo` it was committed when it was fetched, so it is what the log has.
   */
  #fetched: readonly Batch[] = [];
  #fetchedTo = 0;
  /** Whether it came from the store; else the log has it too. */
  #isStored = false;

  constructor(options: ApplierOptions) {
    this.#options = options;
  }

  /** Applies what is committed. @returns false when time ran out. */
  apply(): boolean {
    const { raft, replica, now } = this.#options;
    const until = now() + (raft.role === "leader" ? LEADER_APPLY_MS_PER_TURN : APPLY_MS_PER_TURN);
    let isInTime = true;
    while (replica.lastApplied < raft.commitIndex && isInTime) {
      for (const batch of this.#fetch()) {
        isInTime = this.#applyBatch(batch, Math.min(batch.lastIndex, this.#fetchedTo), until);
        if (!isInTime || batch.lastIndex >= this.#fetchedTo) break;
      }
    }
    if (isInTime) this.#letGo();
    return isInTime;
  }

  /** Batches of which the first holds the entry that is applied next. */
  #fetch(): readonly Batch[] {
    const { raft, replica } = this.#options;
    const next = replica.lastApplied + 1;
    if (next <= this.#fetchedTo) {
      const rest = this.#fetched.filter((batch) => batch.lastIndex >= next);
      if (rest.length > 0) return rest;
    }
    this.#letGo();
    this.#isStored = !raft.log.isCached(next);
    this.#fetched = raft.log.batchesFrom(next, APPLY_BYTES_AT_ONCE);
    this.#fetchedTo = Math.min(this.#fetched.at(-1)?.lastIndex ?? 0, raft.commitIndex);
    return this.#fetched;
  }

  #letGo(): void {
    if (this.#isStored) for (const { bytes } of this.#fetched) this.#options.passed(bytes);
    this.#fetched = [];
  }

  /** Applies what is left of a batch, up to `last`. @returns false when it was late, and may have ended before. */
  #applyBatch(batch: Batch, last: number, until: number): boolean {
    const { replica, pending, replies, now, tell } = this.#options;
    const entries = new EntryReader(batch, replica.lastApplied + 1);
    let untold = 0;
    while (replica.lastApplied < last) {
      const before = replica.lastApplied;
      this.#applyPortion(entries, Math.min(last, before + ENTRIES_A_PORTION));
      if (now() >= until) return false;
      untold += replica.lastApplied - before;
      if (untold < ENTRIES_AN_ANSWER || replica.lastApplied === last) continue;
      untold = 0;
      pending.takeResults(replies.ready);
      tell();
    }
    return true;
  }

  #applyPortion(entries: EntryReader, last: number): void {
    const { replica, pending, replies, onApplied } = this.#options;
    const { term } = entries.batch;
    const firstIndex = replica.lastApplied + 1;
    const applied: AppliedEntry[] = [];
    replica.apply(entries, last, (index, result, wasAsked) => {
      pending.applied(index, term, result, replies.ready);
      if (onApplied !== undefined) applied.push(describeApplied(entries, wasAsked));
    });
    onApplied?.(applied, firstIndex, last);
  }
}
