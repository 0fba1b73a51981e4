import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BATCH_HEADER_BYTES, batchPosition } from "../../src/raft/entry.ts";
import { InvariantError } from "../../src/raft/errors.ts";
import { Log } from "../../src/raft/log.ts";
import { batch, Disk, texts } from "./harness.ts";

interface Entry {
  readonly term: number;
  readonly text: string;
}

/** The log as a child would write it: one array. Index 1 is at position 0. */
class Twin {
  entries: Entry[];

  constructor(first: Entry) {
    this.entries = [first];
  }

  termAt(index: number): number | undefined {
    return index === 0 ? 0 : this.entries[index - 1]?.term;
  }

  firstIndexOfTermAt(index: number): number {
    return this.entries.findIndex((entry) => entry.term === this.termAt(index)) + 1;
  }

  lastIndexOfTerm(term: number): number | undefined {
    const at = this.entries.findLastIndex((entry) => entry.term === term);
    return at < 0 ? undefined : at + 1;
  }

  findConflict(from: number, to: number, term: number): number | undefined {
    for (let index = from; index <= to; index++) if (this.termAt(index) !== term) return index;
    return undefined;
  }

  texts(from: number, to: number): string[] {
    return this.entries.slice(from - 1, to).map((entry) => `${entry.term}:${entry.text}`);
  }
}

/** A log over a disk and a twin beside it, which must agree at every moment. */
class Pair {
  readonly disk = new Disk(["a", "b", "c"]);
  readonly twin: Twin;
  readonly log: Log;
  #count = 0;

  constructor(cacheBytes: number) {
    this.twin = new Twin({ term: 0, text: texts(this.disk.batches)[0]?.slice(2) ?? "" });
    this.log = new Log(this.disk.stored(), this.disk.read, cacheBytes);
  }

  append(count: number, newTerm: boolean): void {
    const term = this.log.lastTerm + (newTerm ? 1 : 0);
    const added = Array.from({ length: count }, () => `${"x".repeat(this.#count % 7)}${this.#count++}`);
    this.log.append(batch(this.log.lastIndex + 1, term, ...added));
    for (const text of added) this.twin.entries.push({ term, text });
  }

  truncate(pick: number): void {
    if (this.log.lastIndex === 1) return;
    const index = 2 + (pick % (this.log.lastIndex - 1));
    this.log.truncateFrom(index);
    this.twin.entries.length = index - 1;
  }

  save(): void {
    this.disk.save({ hardState: undefined, ...this.log.takeUnsaved() });
    this.log.evict();
    expect(texts(this.disk.batches)).toEqual(this.twin.texts(1, this.log.lastIndex));
    let position = 0;
    for (const each of this.disk.batches) {
      expect(batchPosition(each)).toBe(position);
      position += each.bytes.byteLength;
    }
    expect(this.log.bytes).toBe(position);
  }

  read(pickFrom: number, pickTo: number, maxBytes: number): void {
    const { log, twin } = this;
    const from = 1 + (pickFrom % log.lastIndex);
    const to = from + (pickTo % (log.lastIndex - from + 1));
    const found = log.read(from, to, maxBytes);
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

  check(pick: number): void {
    const { log, twin } = this;
    expect([log.firstIndex, log.lastIndex]).toEqual([1, twin.entries.length]);
    expect(log.lastTerm).toBe(twin.entries.at(-1)?.term);
    const indices = Array.from({ length: log.lastIndex + 2 }, (_, index) => index);
    expect(indices.map((index) => log.termAt(index))).toEqual(indices.map((index) => twin.termAt(index)));
    const index = 1 + (pick % log.lastIndex);
    expect(log.firstIndexOfTermAt(index)).toBe(twin.firstIndexOfTermAt(index));
    for (let term = 0; term <= log.lastTerm + 1; term++) {
      expect(log.lastIndexOfTerm(term)).toBe(twin.lastIndexOfTerm(term));
      const other = batch(index, term, ...Array.from({ length: 1 + (pick % 4) }, () => ""));
      expect(log.findConflict(other)).toBe(twin.findConflict(index, other.lastIndex, term));
      for (const length of [log.lastIndex - 1, log.lastIndex, log.lastIndex + 1]) {
        const [ours, theirs] = [log.lastTerm * 1e6 + log.lastIndex, term * 1e6 + length];
        expect(log.isUpToDate(length, term)).toBe(theirs >= ours);
      }
    }
  }
}

const pick = fc.nat(1000);
const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("append"), a: fc.integer({ min: 1, max: 5 }), b: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("truncate"), a: pick, b: pick }) },
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
          for (const { do: what, a, b } of actions) {
            if (what === "append") pair.append(a, b === 0);
            else if (what === "truncate") pair.truncate(a);
            else if (what === "save") pair.save();
            else pair.read(a, b, maxBytes);
            pair.check(a + b);
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
        for (const { do: what, a, b } of actions) {
          if (what === "append") pair.append(a, b === 0);
          else if (what === "truncate") pair.truncate(a);
        }
        pair.save();
        const again = new Log(pair.disk.stored(), pair.disk.read, 100);
        const facts = ({ firstIndex, lastIndex, lastTerm, bytes }: Log) => [firstIndex, lastIndex, lastTerm, bytes];
        expect(facts(again)).toEqual(facts(pair.log));
        for (let index = 1; index <= again.lastIndex; index++) expect(again.termAt(index)).toBe(pair.log.termAt(index));
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
    pair.log.truncateFrom(4);
    pair.twin.entries.length = 3;
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
    expect(pair.log.takeUnsaved()).toEqual({ truncateFrom: undefined, batches: [] });
    pair.log.truncateFrom(2);
    expect(pair.log.takeUnsaved()).toEqual({ truncateFrom: 2, batches: [] });
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
  });
});
