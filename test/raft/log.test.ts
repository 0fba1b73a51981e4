import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SnapshotInfo } from "../../src/raft/effects.ts";
import { EMPTY_SAVE } from "../../src/raft/effects.ts";
import { BATCH_HEADER_BYTES, type Batch, batchPosition } from "../../src/raft/entry.ts";
import { InvariantError } from "../../src/raft/errors.ts";
import { Log } from "../../src/raft/log.ts";
import { Disk } from "./disk.ts";
import { batch, texts } from "./entries.ts";

interface Entry {
  readonly term: number;
  readonly text: string;
}

/** The log as a child would write it: one array, from which nothing goes at the front. */
class Twin {
  /** What stands for the entries before a snapshot's is nothing but holes. */
  entries: (Entry | undefined)[];
  /** The entry before the first that is still there. */
  base = 0;
  /** Where batches end. */
  ends = [0, 1];

  constructor(first: Entry) {
    this.entries = [first];
  }

  get lastIndex(): number {
    return this.entries.length;
  }

  append(entries: readonly Entry[]): void {
    this.entries.push(...entries);
    this.ends.push(this.lastIndex);
  }

  truncateFrom(index: number): void {
    this.entries.length = index - 1;
    this.ends = [...this.ends.filter((end) => end < index - 1), index - 1];
  }

  compactTo(index: number): void {
    this.base = Math.max(this.base, ...this.ends.filter((end) => end <= index));
  }

  resetTo({ index, term }: SnapshotInfo): void {
    this.entries = [...Array<undefined>(index - 1).fill(undefined), { term, text: "" }];
    this.base = index;
    this.ends = [index];
  }

  termAt(index: number): number | undefined {
    if (index < this.base) return undefined;
    return index === 0 ? 0 : this.entries[index - 1]?.term;
  }

  firstIndexOfTermAt(index: number): number {
    const term = this.termAt(index);
    while (this.entries[index - 2]?.term === term) index--;
    return index;
  }

  lastIndexOfTerm(term: number): number | undefined {
    const index = this.entries.findLastIndex((entry) => entry?.term === term) + 1;
    return index < Math.max(1, this.base) ? undefined : index;
  }

  findConflict(from: number, to: number, term: number): number | undefined {
    for (let index = Math.max(from, this.base + 1); index <= to; index++) {
      if (this.termAt(index) !== term) return index;
    }
    return undefined;
  }

  texts(from: number, to: number): string[] {
    return this.entries.slice(from - 1, to).map((entry) => `${entry?.term}:${entry?.text}`);
  }
}

/** A log over a disk and a twin beside it, which must agree at every moment. */
class Pair {
  readonly disk = new Disk(["a", "b", "c"]);
  readonly twin: Twin;
  readonly log: Log;
  readonly evicted: Batch[] = [];
  #count = 0;
  /** All before is never cut. */
  #committed = 1;
  /** What the next save has to carry; there is one in it at most. */
  #snapshot: SnapshotInfo | undefined;

  constructor(cacheBytes: number) {
    this.twin = new Twin({ term: 0, text: texts(this.disk.batches)[0]?.slice(2) ?? "" });
    this.log = new Log(this.disk.stored(), this.disk.read, cacheBytes, (batch) => this.evicted.push(batch));
  }

  append(count: number, newTerm: boolean): void {
    const term = this.log.lastTerm + (newTerm ? 1 : 0);
    const added = Array.from({ length: count }, () => `${"x".repeat(this.#count % 7)}${this.#count++}`);
    this.log.append(batch(this.log.lastIndex + 1, term, ...added));
    this.twin.append(added.map((text) => ({ term, text })));
  }

  truncate(pick: number): void {
    const uncommitted = this.log.lastIndex - this.#committed;
    if (uncommitted > 0) this.truncateFrom(this.#committed + 1 + (pick % uncommitted));
  }

  truncateFrom(index: number): void {
    this.log.truncateFrom(index);
    this.twin.truncateFrom(index);
  }

  /** Takes a snapshot of some entry, and drops entries up to some other that it covers. */
  compact(pickCovered: number, pickLast: number): void {
    if (this.#snapshot !== undefined) this.save();
    const from = this.disk.snapshot?.info.index ?? 0;
    if (from === this.log.lastIndex) return;
    const index = Math.max(this.#committed, from + 1 + (pickCovered % (this.log.lastIndex - from)));
    this.#begin(index, this.twin.termAt(index) ?? -1);
    const last = pickLast % (index + 1);
    this.log.compactTo(last);
    this.twin.compactTo(last);
  }

  /** Takes in a snapshot that the log conflicts with, or ends before. */
  reset(pickIndex: number, newTerm: boolean): void {
    const snapshot = this.#begin(this.#committed + 1 + (pickIndex % 5), this.log.lastTerm + (newTerm ? 1 : 0));
    this.log.resetTo(snapshot);
    this.twin.resetTo(snapshot);
  }

  #begin(index: number, term: number): SnapshotInfo {
    if (this.#snapshot !== undefined) this.save();
    this.#committed = index;
    this.#snapshot = { index, term, time: 0, configuration: this.disk.configuration, version: 0, chunks: 1, bytes: 1 };
    return this.#snapshot;
  }

  save(): void {
    const chunks = this.#snapshot === undefined ? [] : [{ number: 0, data: new Uint8Array(1) }];
    this.disk.save({ ...EMPTY_SAVE, chunks, snapshot: this.#snapshot, ...this.log.takeUnsaved() });
    this.#snapshot = undefined;
    this.log.evict();
    expect(texts(this.disk.batches)).toEqual(this.twin.texts(this.twin.base + 1, this.log.lastIndex));
    const first = this.disk.batches[0];
    const start = first === undefined ? 0 : batchPosition(first);
    let position = start;
    for (const each of this.disk.batches) {
      expect(batchPosition(each)).toBe(position);
      position += each.bytes.byteLength;
    }
    expect(this.log.bytes).toBe(position - start);
  }

  read(pickFrom: number, pickTo: number, maxBytes: number): void {
    const { log } = this;
    const length = log.lastIndex - log.firstIndex + 1;
    if (length === 0) return;
    const from = log.firstIndex + (pickFrom % length);
    const to = from + (pickTo % (log.lastIndex - from + 1));
    this.readAs("read", from, to, maxBytes);
    this.readAs("readOn", from, to, maxBytes);
    this.readWhole(from, maxBytes);
  }

  readAs(way: "read" | "readOn", from: number, to: number, maxBytes: number): void {
    const { log, twin } = this;
    const found = log[way](from, to, maxBytes);
    const last = found.at(-1)?.lastIndex ?? 0;
    expect(last).toBeGreaterThanOrEqual(from);
    expect(last).toBeLessThanOrEqual(to);
    expect(texts(found)).toEqual(twin.texts(from, last));
    let index = from;
    for (const each of found) {
      expect(each.firstIndex).toBe(index);
      index = each.lastIndex + 1;
    }
    const bytes = found.reduce((sum, each) => sum + each.bytes.byteLength, 0);
    if (last > from) expect(bytes).toBeLessThanOrEqual(maxBytes);
  }

  /** The first batch may begin before `from`. */
  readWhole(from: number, maxBytes: number): void {
    const found = this.log.batchesFrom(from, maxBytes);
    const [first] = found;
    const last = found.at(-1);
    if (first === undefined || last === undefined) throw new Error(`nothing from ${from} on`);
    expect(first.firstIndex).toBeLessThanOrEqual(from);
    expect(first.lastIndex).toBeGreaterThanOrEqual(from);
    expect(texts(found).slice(from - first.firstIndex)).toEqual(this.twin.texts(from, last.lastIndex));
  }

  check(pick: number): void {
    const { log, twin } = this;
    expect([log.firstIndex, log.lastIndex]).toEqual([twin.base + 1, twin.lastIndex]);
    expect(log.lastTerm).toBe(twin.entries.at(-1)?.term);
    const indices = Array.from({ length: log.lastIndex + 2 }, (_, index) => index);
    expect(indices.map((index) => log.termAt(index))).toEqual(indices.map((index) => twin.termAt(index)));
    const known = Math.max(1, twin.base);
    const index = known + (pick % (log.lastIndex - known + 1));
    expect(log.firstIndexOfTermAt(index)).toBe(twin.firstIndexOfTermAt(index));
    const start = 1 + (pick % (log.lastIndex + 1));
    const terms = Array.from({ length: log.lastTerm + 2 }, (_, term) => term);
    expect(terms.map((term) => log.lastIndexOfTerm(term))).toEqual(terms.map((term) => twin.lastIndexOfTerm(term)));
    const others = terms.map((term) => batch(start, term, ...Array.from({ length: 1 + (pick % 4) }, () => "")));
    expect(others.map((other) => log.findConflict(other))).toEqual(
      others.map(({ lastIndex, term }) => twin.findConflict(start, lastIndex, term)),
    );
    const ends = terms.flatMap((term) => [-1, 0, 1].map((more) => ({ term, length: log.lastIndex + more })));
    const ours = log.lastTerm * 1e6 + log.lastIndex;
    expect(ends.map(({ term, length }) => log.isUpToDate(length, term))).toEqual(
      ends.map(({ term, length }) => term * 1e6 + length >= ours),
    );
  }

  act({ do: what, a, b }: { do: string; a: number; b: number }, maxBytes: number): void {
    if (what === "append") this.append(a, b === 0);
    else if (what === "truncate") this.truncate(a);
    else if (what === "compact") this.compact(a, b);
    else if (what === "reset") this.reset(a, b % 2 === 0);
    else if (what === "save") this.save();
    else this.read(a, b, maxBytes);
  }
}

const pick = fc.nat(1000);
const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("append"), a: fc.integer({ min: 1, max: 5 }), b: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("truncate"), a: pick, b: pick }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("compact"), a: pick, b: pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reset"), a: pick, b: pick }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("save"), a: pick, b: pick }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("read"), a: pick, b: pick }) },
);

describe("the log (§5.3)", () => {
  it("agrees with a plain array, however little of it is kept in memory", () => {
    fc.assert(
      fc.property(
        fc.array(action, { minLength: 10, maxLength: 40, size: "max" }),
        fc.constantFrom(0, 1, 150, 400, 1e6),
        fc.constantFrom(1, 100, 200, 500, Number.POSITIVE_INFINITY),
        (actions, cacheBytes, maxBytes) => {
          const pair = new Pair(cacheBytes);
          for (const action of actions) {
            pair.act(action, maxBytes);
            pair.check(action.a + action.b);
          }
          pair.save();
          pair.read(0, 1e6, Number.POSITIVE_INFINITY);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("is the same when it is opened again from the store", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 30, size: "max" }), (actions) => {
        const pair = new Pair(100);
        for (const action of actions) pair.act(action, 100);
        pair.save();
        const again = new Log(pair.disk.stored(), pair.disk.read, 100);
        const facts = ({ firstIndex, lastIndex, lastTerm, bytes }: Log) => [firstIndex, lastIndex, lastTerm, bytes];
        expect(facts(again)).toEqual(facts(pair.log));
        for (let index = 0; index <= again.lastIndex; index++) expect(again.termAt(index)).toBe(pair.log.termAt(index));
      }),
      { numRuns: 100 },
    );
  });

  it("reads what it evicted from the store, and what it keeps from memory", () => {
    const pair = new Pair(2 * (BATCH_HEADER_BYTES + 9));
    for (let i = 0; i < 5; i++) pair.append(1, false);
    pair.save();
    pair.disk.reads = 0;
    pair.log.read(6, 6);
    expect(pair.disk.reads).toBe(0);
    expect(texts(pair.log.read(2, 2))).toEqual(pair.twin.texts(2, 2));
    expect(pair.disk.reads).toBe(1);
  });

  it("reads a batch from the store once, however many messages it takes", () => {
    const pair = new Pair(0);
    pair.append(5, false);
    pair.save();
    pair.disk.reads = 0;
    for (let index = 2; index <= 6; index++) {
      expect(texts(pair.log.readOn(index, 6, 1))).toEqual(pair.twin.texts(index, index));
    }
    expect(pair.disk.reads).toBe(1);
  });

  it("reads again what was cut and written anew since it was read", () => {
    const pair = new Pair(0);
    pair.append(5, false);
    pair.save();
    pair.log.readOn(3, 3, 1);
    pair.truncateFrom(4);
    pair.append(2, true);
    pair.save();
    expect(texts(pair.log.readOn(4, 5, 1_000))).toEqual(pair.twin.texts(4, 5));
  });

  it("lets go of several batches at once when they are many, and of no more than a sixty-fourth too much", () => {
    // Some 600 batches.
    const pair = new Pair(64 << 10);
    let evictions = 0;
    for (let i = 0; i < 2_000; i++) {
      const before = pair.evicted.length;
      pair.append(1, false);
      pair.save();
      if (pair.evicted.length > before) evictions++;
      const kept = pair.log.batchesFrom(pair.evicted.length + 2, Number.POSITIVE_INFINITY);
      const bytes = kept.reduce((sum, batch) => sum + batch.bytes.byteLength, 0);
      expect(bytes).toBeLessThanOrEqual(64 << 10);
      if (evictions > 0) expect(bytes).toBeGreaterThan(62 << 10);
    }
    expect(pair.evicted.length / evictions).toBeGreaterThan(5);
  });

  it("tells of each batch that it keeps in memory no longer, old or compacted, once and in order", () => {
    const pair = new Pair(183);
    for (let i = 0; i < 5; i++) pair.append(1, false);
    expect(pair.evicted).toEqual([]);
    pair.save();
    expect(texts(pair.evicted)).toEqual(pair.twin.texts(2, 3));
    pair.compact(3, 4);
    expect(texts(pair.evicted)).toEqual(pair.twin.texts(2, 4));
    pair.truncateFrom(6);
    pair.save();
    expect(texts(pair.evicted)).toEqual(pair.twin.texts(2, 4));
  });

  it("tells of what it has read on when it goes on to something else, or that is cut", () => {
    const pair = new Pair(0);
    pair.append(2, false);
    pair.append(3, false);
    pair.save();
    pair.evicted.length = 0;
    pair.log.readOn(2, 6, 1);
    pair.log.readOn(3, 6, 1);
    expect(pair.evicted).toEqual([]);
    pair.log.readOn(4, 6, 1);
    expect(texts(pair.evicted)).toEqual(pair.twin.texts(2, 3));
    const before = pair.twin.texts(2, 6);
    pair.truncateFrom(5);
    expect(texts(pair.evicted)).toEqual(before);
  });

  it("never evicts what no save has carried", () => {
    const pair = new Pair(0);
    for (let i = 0; i < 5; i++) pair.append(1, false);
    pair.log.evict();
    pair.disk.reads = 0;
    expect(texts(pair.log.read(2, 6))).toEqual(pair.twin.texts(2, 6));
    expect(pair.disk.reads).toBe(0);
  });

  it("does not bring back from the store what was cut and not yet saved", () => {
    const pair = new Pair(0);
    pair.append(5, true);
    pair.save();
    pair.truncateFrom(4);
    pair.append(3, true);
    let index = 2;
    while (index <= 6) {
      const found = pair.log.read(index, 6);
      const last = found.at(-1)?.lastIndex ?? 0;
      expect(texts(found)).toEqual(pair.twin.texts(index, last));
      index = last + 1;
    }
  });

  it("a save carries each change once, and a cut only where the store has something to cut", () => {
    const pair = new Pair(1e6);
    pair.append(3, true);
    pair.log.truncateFrom(3);
    expect(pair.log.takeUnsaved()).toMatchObject({
      truncateFrom: undefined,
      batches: [{ firstIndex: 2, lastIndex: 2 }],
    });
    const nothing = { resetTo: undefined, truncateFrom: undefined, batches: [], compactTo: undefined };
    expect(pair.log.takeUnsaved()).toEqual(nothing);
    pair.log.truncateFrom(2);
    expect(pair.log.takeUnsaved()).toEqual({ ...nothing, truncateFrom: 2 });
    pair.append(3, true);
    pair.log.compactTo(4);
    expect(pair.log.takeUnsaved()).toMatchObject({ batches: [{ firstIndex: 2 }], compactTo: 4 });
    expect(pair.log.takeUnsaved()).toEqual(nothing);
  });

  it("the time of the last entry goes back with a cut", () => {
    const log = new Log(new Disk(["a"]).stored(), () => [], 1e6);
    const early = batch(2, 1, "early");
    log.append(early);
    log.append({ ...batch(3, 1, "late"), time: 7 });
    expect(log.lastTime).toBe(7);
    log.truncateFrom(3);
    expect(log.lastTime).toBe(early.time);
  });

  it("compaction that would take part of a batch leaves all of it", () => {
    const pair = new Pair(1e6);
    pair.append(3, true);
    pair.append(3, false);
    pair.log.compactTo(6);
    expect(pair.log.firstIndex).toBe(5);
    pair.log.compactTo(4);
    pair.log.compactTo(5);
    expect(pair.log.firstIndex).toBe(5);
    pair.log.compactTo(7);
    expect([pair.log.firstIndex, pair.log.lastIndex, pair.log.bytes]).toEqual([8, 7, 0]);
  });

  it("refuses gaps, older terms, and cuts outside of it", () => {
    const pair = new Pair(1e6);
    pair.append(2, true);
    expect(() => pair.log.append(batch(5, 1, "gap"))).toThrow(InvariantError);
    expect(() => pair.log.append(batch(3, 1, "overlap"))).toThrow(InvariantError);
    expect(() => pair.log.append(batch(4, 0, "older term"))).toThrow(InvariantError);
    expect(() => pair.log.truncateFrom(1)).toThrow(InvariantError);
    expect(() => pair.log.truncateFrom(4)).toThrow(InvariantError);
    expect(() => pair.log.read(3, 4)).toThrow(InvariantError);
    expect(() => pair.log.read(0, 2)).toThrow(InvariantError);
    expect(() => pair.log.compactTo(4)).toThrow(InvariantError);
    pair.log.compactTo(1);
    expect(() => pair.log.read(1, 2)).toThrow(InvariantError);
  });
});
