import type { Save, SnapshotInfo } from "./effects.ts";
import { type Batch, batchPosition, sliceBatch, stampPosition } from "./entry.ts";
import { invariant } from "./errors.ts";

/** Entries of one term that stand together: from `firstIndex` to just before the next run, or to the end. */
export interface TermRun {
  readonly firstIndex: number;
  readonly term: number;
}

/** Where the log reads what it no longer keeps in memory; see `Store.read`. */
export type LogReader = (from: number, maxBytes: number) => Batch[];

/** The log as it was found in the store. It may be empty: then `lastIndex` is just before `firstIndex`. */
export interface StoredLog {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly lastTime: number;
  /** Ascending; the first tells the term of the entry before `firstIndex` too, if there ever was one. */
  readonly terms: readonly TermRun[];
  readonly firstPosition: number;
  readonly endPosition: number;
}

/** So much of the cache goes at once: to take one batch from before sixty thousand others moves all of them. */
const EVICTED_PART = 1 / 64;

/**
 * A peer's log (§5.3). The terms of all entries are in memory, as runs; of the entries themselves only the end, the
 * rest is in the store. What was appended or dropped and is not yet saved is remembered for the next save.
 */
export class Log {
  #firstIndex: number;
  #lastIndex: number;
  #endPosition: number;
  #firstPosition: number;
  #lastTime: number;
  /** Never empty. The first run reaches back to the entry before `#firstIndex`, whose term is still asked for. */
  #terms: TermRun[];
  /** The end of the log in memory, consecutive up to `#lastIndex`; its front is evicted as it grows. */
  #cached: Batch[] = [];
  #cachedBytes = 0;
  /** Of `#cached`, the last ones that no save has carried yet. */
  #unsaved: Batch[] = [];
  /**
   * What `readOn` got from the store last: a batch is often more than one message takes, and would be read and checked as a whole
   * for each of them.
   */
  #held: readonly Batch[] = [];
  #truncatedFrom: number | undefined;
  #compactedTo: number | undefined;
  #resetTo: SnapshotInfo | undefined;
  readonly #read: LogReader;
  readonly #cacheBytes: number;
  readonly #onEvicted: (batch: Batch) => void;

  constructor(stored: StoredLog, read: LogReader, cacheBytes: number, onEvicted: (batch: Batch) => void = () => {}) {
    invariant(
      (stored.terms[0]?.firstIndex ?? Number.POSITIVE_INFINITY) <= stored.firstIndex,
      () => "the runs of terms must reach to the beginning of the log",
    );
    this.#firstIndex = stored.firstIndex;
    this.#lastIndex = stored.lastIndex;
    this.#lastTime = stored.lastTime;
    this.#firstPosition = stored.firstPosition;
    this.#endPosition = stored.endPosition;
    this.#terms = [...stored.terms];
    this.#read = read;
    this.#cacheBytes = cacheBytes;
    this.#onEvicted = onEvicted;
  }

  /** The first entry that is still there. */
  get firstIndex(): number {
    return this.#firstIndex;
  }

  get lastIndex(): number {
    return this.#lastIndex;
  }

  get lastTerm(): number {
    return this.#terms.at(-1)?.term ?? 0;
  }

  /** The time stamp of the last entry. */
  get lastTime(): number {
    return this.#lastTime;
  }

  /** Size of the live log in bytes, encoded. */
  get bytes(): number {
    return this.#endPosition - this.#firstPosition;
  }

  /**
   * The term of the entry at `index`, or of the one before the first, which has gone but is still compared with (§7);
   * 0 for index 0, which stands before every log; undefined where there is none.
   */
  termAt(index: number): number | undefined {
    if (index === 0 && this.#firstIndex === 1) return 0;
    if (index < this.#firstIndex - 1 || index > this.#lastIndex) return undefined;
    return this.#terms[this.#runAt(index)]?.term;
  }

  /** The first index of the run of equal terms that `index` is in. */
  firstIndexOfTermAt(index: number): number {
    return this.#terms[this.#runAt(index)]?.firstIndex ?? this.#firstIndex;
  }

  /** The last entry of `term`, if there is one. */
  lastIndexOfTerm(term: number): number | undefined {
    const run = this.#terms.findLastIndex((candidate) => candidate.term === term);
    return run < 0 ? undefined : (this.#terms[run + 1]?.firstIndex ?? this.#lastIndex + 1) - 1;
  }

  /** §5.4.1: whether a log that ends so is at least as up to date as this one: by last term, then by length. */
  isUpToDate(lastLogIndex: number, lastLogTerm: number): boolean {
    return lastLogTerm > this.lastTerm || (lastLogTerm === this.lastTerm && lastLogIndex >= this.#lastIndex);
  }

  /** Appends a stamped batch that begins where the log ends. */
  append(batch: Batch): void {
    invariant(
      batch.firstIndex === this.#lastIndex + 1 && batch.term >= this.lastTerm,
      () =>
        `a batch from ${batch.firstIndex} in term ${batch.term} behind entry ${this.#lastIndex} of term ${this.lastTerm}`,
    );
    stampPosition(batch, this.#endPosition);
    if (batch.term !== this.lastTerm) this.#terms.push({ firstIndex: batch.firstIndex, term: batch.term });
    this.#cached.push(batch);
    this.#unsaved.push(batch);
    this.#cachedBytes += batch.bytes.byteLength;
    this.#endPosition += batch.bytes.byteLength;
    this.#lastIndex = batch.lastIndex;
    this.#lastTime = batch.time;
  }

  /**
   * Where `batch` and this log part: the first index at which they hold entries of different terms, or at which this
   * log has none; undefined if it has all of them (§5.3, Log Matching).
   */
  findConflict(batch: Batch): number | undefined {
    let index = Math.max(batch.firstIndex, this.#firstIndex);
    while (index <= Math.min(batch.lastIndex, this.#lastIndex)) {
      const run = this.#runAt(index);
      if (this.#terms[run]?.term !== batch.term) return index;
      index = this.#terms[run + 1]?.firstIndex ?? this.#lastIndex + 1;
    }
    return index > batch.lastIndex ? undefined : index;
  }

  /** Drops the entries from `index` on. */
  truncateFrom(index: number): void {
    invariant(
      index >= this.#firstIndex && index > 1 && index <= this.#lastIndex,
      () => `cannot cut at ${index} a log of ${this.#firstIndex}..${this.#lastIndex}`,
    );
    const firstUnsaved = this.#unsaved[0]?.firstIndex ?? this.#lastIndex + 1;
    if (index <= (this.#held.at(-1)?.lastIndex ?? 0)) this.#hold([]);
    if (index < firstUnsaved) this.#truncatedFrom = Math.min(this.#truncatedFrom ?? index, index);
    const kept = index === this.#firstIndex ? undefined : this.#endingAt(index - 1);
    this.#unsaved = cut(this.#unsaved, index, kept);
    this.#cached = cut(this.#cached, index, kept);
    this.#cachedBytes = this.#cached.reduce((sum, batch) => sum + batch.bytes.byteLength, 0);
    while ((this.#terms.at(-1)?.firstIndex ?? 0) >= index) this.#terms.pop();
    this.#lastIndex = index - 1;
    if (kept !== undefined) this.#lastTime = kept.time;
    this.#endPosition = kept === undefined ? this.#firstPosition : batchPosition(kept) + kept.bytes.byteLength;
  }

  /**
   * Drops entries from the front, up to `index` or a little less: batches go whole, since no record is to be written
   * again for this.
   */
  compactTo(index: number): void {
    invariant(index <= this.#lastIndex, () => `cannot compact to ${index} a log that ends at ${this.#lastIndex}`);
    if (index < this.#firstIndex) return;
    const next = index === this.#lastIndex ? undefined : this.#holding(index + 1);
    const last = next === undefined ? index : next.firstIndex - 1;
    if (last < this.#firstIndex) return;
    this.#terms = this.#terms.slice(this.#runAt(last));
    this.#dropCached(findBatch(this.#cached, last + 1));
    this.#firstIndex = last + 1;
    this.#firstPosition = next === undefined ? this.#endPosition : batchPosition(next);
    this.#compactedTo = last;
  }

  /** §7: the log conflicts with a snapshot, or ends before it: all of it goes. */
  resetTo(snapshot: SnapshotInfo): void {
    this.#cached = [];
    this.#cachedBytes = 0;
    this.#hold([]);
    this.#unsaved = [];
    this.#truncatedFrom = undefined;
    this.#compactedTo = undefined;
    this.#resetTo = snapshot;
    this.#terms = [{ firstIndex: snapshot.index, term: snapshot.term }];
    this.#firstIndex = snapshot.index + 1;
    this.#lastIndex = snapshot.index;
    this.#lastTime = snapshot.time;
    this.#firstPosition = this.#endPosition;
  }

  /** Whether the entry at `index` is in memory; one that is not has to be read from the store. */
  isCached(index: number): boolean {
    return index >= this.#cachedFrom;
  }

  get #cachedFrom(): number {
    return this.#cached[0]?.firstIndex ?? this.#lastIndex + 1;
  }

  /** The entries `from..to`, fewer at the end when they take more than `maxBytes` or do not lie together; at least one. */
  read(from: number, to: number, maxBytes = Number.POSITIVE_INFINITY): Batch[] {
    this.#expect(from, to);
    const source = this.isCached(from) ? this.#cached : this.#evicted(from, Math.min(maxBytes, this.#cacheBytes));
    return readFrom(source, from, to, maxBytes);
  }

  /** {@link read} for who will go on from there: what comes from the store is held until then. */
  readOn(from: number, to: number, maxBytes: number): Batch[] {
    if (this.isCached(from)) return this.read(from, to, maxBytes);
    this.#expect(from, to);
    const isHeld = from >= (this.#held[0]?.firstIndex ?? from + 1) && from <= (this.#held.at(-1)?.lastIndex ?? 0);
    if (!isHeld) this.#hold(this.#evicted(from, Math.min(maxBytes, this.#cacheBytes)));
    return readFrom(this.#held, from, to, maxBytes);
  }

  #hold(batches: readonly Batch[]): void {
    for (const batch of this.#held) this.#onEvicted(batch);
    this.#held = batches;
  }

  #expect(from: number, to: number): void {
    invariant(
      from >= this.#firstIndex && to <= this.#lastIndex && from <= to,
      () => `cannot read ${from}..${to} of a log of ${this.#firstIndex}..${this.#lastIndex}`,
    );
  }

  /**
   * Whole batches, of which the first holds the entry at `from` and may begin before it; the last one may end behind what
   * `read` would give. They are not copied, however long they are.
   * @param maxBytes of what is not in memory, about so much is fetched.
   */
  batchesFrom(from: number, maxBytes: number): readonly Batch[] {
    if (this.isCached(from)) return this.#cached.slice(findBatch(this.#cached, from));
    return this.#evicted(from, maxBytes);
  }

  /** Batches of the store, of which the first holds the entry at `from`. None reaches what is in memory. */
  #evicted(from: number, maxBytes: number): readonly Batch[] {
    const last = this.#cachedFrom - 1;
    // Beyond, the store may still hold what was cut here since the last save.
    const stored = this.#read(from, maxBytes).filter((batch) => batch.firstIndex <= last);
    return stored.map((batch) => sliceBatch(batch, batch.firstIndex, last));
  }

  /** Whether the next save has to carry anything of the log. */
  get hasUnsaved(): boolean {
    return (
      this.#unsaved.length > 0 ||
      this.#compactedTo !== undefined ||
      this.#truncatedFrom !== undefined ||
      this.#resetTo !== undefined
    );
  }

  /** What the next save has to carry of the log; from now on it counts as saved. */
  takeUnsaved(): Pick<Save, "resetTo" | "truncateFrom" | "batches" | "compactTo"> {
    const taken = {
      resetTo: this.#resetTo,
      truncateFrom: this.#truncatedFrom,
      batches: this.#unsaved,
      compactTo: this.#compactedTo,
    };
    this.#resetTo = undefined;
    this.#truncatedFrom = undefined;
    this.#compactedTo = undefined;
    this.#unsaved = [];
    return taken;
  }

  /** Lets go of the oldest saved batches in memory when all take more than the cache may. */
  evict(): void {
    if (this.#cachedBytes <= this.#cacheBytes) return;
    const firstUnsaved = this.#unsaved[0]?.firstIndex ?? this.#lastIndex + 1;
    const enough = this.#cacheBytes * (1 - EVICTED_PART);
    let bytes = this.#cachedBytes;
    let count = 0;
    for (const batch of this.#cached) {
      if (bytes <= enough || batch.firstIndex >= firstUnsaved) break;
      bytes -= batch.bytes.byteLength;
      count++;
    }
    if (count > 0) this.#dropCached(count);
  }

  /** The first `count` batches in memory are of no use here any more. */
  #dropCached(count: number): void {
    for (const batch of this.#cached.splice(0, count)) {
      this.#cachedBytes -= batch.bytes.byteLength;
      this.#onEvicted(batch);
    }
  }

  /** What stays of the batch that holds `index`, the new end of the log. */
  #endingAt(index: number): Batch {
    const batch = this.#holding(index);
    return sliceBatch(batch, batch.firstIndex, index);
  }

  /** The batch that holds `index`; it may have been evicted. */
  #holding(index: number): Batch {
    const source = this.isCached(index) ? this.#cached : this.#read(index, 1);
    const batch = source[findBatch(source, index)];
    invariant(batch !== undefined, () => `entry ${index} cannot be read`);
    return batch;
  }

  /** The position in `#terms` of the run that `index` is in; nearly always the last one. */
  #runAt(index: number): number {
    let low = 0;
    let high = this.#terms.length - 1;
    if ((this.#terms[high]?.firstIndex ?? 0) <= index) return high;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#terms[middle]?.firstIndex ?? 0) <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The entries `from..to` of consecutive batches, as far as they go and `maxBytes` allows; at least one. */
function readFrom(source: readonly Batch[], from: number, to: number, maxBytes: number): Batch[] {
  const end = Math.min(to, source.at(-1)?.lastIndex ?? 0);
  const batches: Batch[] = [];
  let bytes = 0;
  for (let at = findBatch(source, from); at < source.length; at++) {
    const batch = source[at];
    if (batch === undefined || batch.firstIndex > end) break;
    const room = maxBytes - bytes;
    if (batches.length > 0 && batch.bytes.byteLength > room) break;
    const part = sliceBatch(batch, Math.max(from, batch.firstIndex), Math.min(end, batch.lastIndex), room);
    batches.push(part);
    bytes += part.bytes.byteLength;
    if (part.lastIndex < batch.lastIndex) break;
  }
  return batches;
}

/** The position of the batch that holds `index` among consecutive ones. */
function findBatch(batches: readonly Batch[], index: number): number {
  let low = 0;
  let high = batches.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((batches[middle]?.lastIndex ?? 0) < index) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Consecutive batches without the entries from `index` on; `kept` is what stays of the one that was cut in two. */
function cut(batches: readonly Batch[], index: number, kept: Batch | undefined): Batch[] {
  return batches
    .filter((batch) => batch.firstIndex < index)
    .map((batch) => (kept !== undefined && batch.firstIndex === kept.firstIndex ? kept : batch));
}
