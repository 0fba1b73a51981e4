import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BATCH_HEADER_BYTES,
  type Batch,
  batchPosition,
  bootstrapBatch,
  ENTRY_HEADER_BYTES,
  EntryKind,
  forEachEntry,
  packEntries,
  packRanges,
  parseBatch,
  parseBatches,
  parseConfiguration,
  sliceBatch,
  stampBatch,
  stampPosition,
} from "../../src/raft/entry.ts";
import { InvariantError } from "../../src/raft/errors.ts";

interface Entry {
  readonly index: number;
  readonly kind: number;
  readonly data: string;
}

function entriesOf(batch: Batch, from = batch.firstIndex): Entry[] {
  const entries: Entry[] = [];
  forEachEntry(batch, from, (index, kind, data) => {
    entries.push({ index, kind, data: Buffer.from(data).toString("hex") });
  });
  return entries;
}

const at = fc.record({
  firstIndex: fc.integer({ min: 1, max: 2 ** 48 }),
  term: fc.integer({ min: 0, max: 2 ** 48 }),
  time: fc.integer({ min: 0, max: 2 ** 48 }),
});
const items = fc.array(fc.uint8Array({ maxLength: 30 }), { minLength: 1, maxLength: 8 });
const kind = fc.constantFrom(...Object.values(EntryKind));

describe("batches of entries", () => {
  it("a batch gives back what was packed and where it was stamped to stand", () => {
    fc.assert(
      fc.property(kind, items, at, fc.nat(1000), (kind, items, at, position) => {
        const batch = stampBatch(packEntries(kind, items), at);
        stampPosition(batch, position);
        const parsed = parseBatch(batch.bytes.slice());
        expect(parsed).toMatchObject({ ...at, lastIndex: at.firstIndex + items.length - 1 });
        expect(batchPosition(parsed)).toBe(position);
        expect(entriesOf(parsed)).toEqual(
          items.map((data, i) => ({ index: at.firstIndex + i, kind, data: Buffer.from(data).toString("hex") })),
        );
        expect(entriesOf(parsed, at.firstIndex + 1)).toEqual(entriesOf(parsed).slice(1));
      }),
    );
  });

  it("ranges of larger buffers make the batch that their bytes make, however far apart they lie", () => {
    const gaps = fc.array(fc.constantFrom(0, 1, ENTRY_HEADER_BYTES, ENTRY_HEADER_BYTES, 20), {
      minLength: 8,
      maxLength: 8,
    });
    fc.assert(
      fc.property(kind, items, gaps, fc.nat(8), (kind, items, gaps, change) => {
        let slab = new Uint8Array(1_000).fill(0xee);
        let end = 0;
        const ranges = items.map((data, at) => {
          if (at === change) slab = slab.slice();
          const start = end + (gaps[at] ?? 0);
          slab.set(data, start);
          end = start + data.length;
          return { bytes: slab, start, end };
        });
        expect(packRanges(kind, ranges)).toEqual(packEntries(kind, items));
      }),
    );
  });

  it("a batch is found at any offset and behind others, whatever the alignment", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(items, at), { minLength: 1, maxLength: 4 }), fc.nat(9), (many, offset) => {
        const batches = many.map(([items, at]) => stampBatch(packEntries(EntryKind.command, items), at));
        const source = Buffer.concat([new Uint8Array(offset), ...batches.map((batch) => batch.bytes)]);
        const parsed = parseBatches(source, offset);
        expect(parsed.map(({ bytes: _, ...rest }) => rest)).toEqual(batches.map(({ bytes: _, ...rest }) => rest));
        expect(parsed.map((batch) => entriesOf(batch))).toEqual(batches.map((batch) => entriesOf(batch)));
      }),
    );
  });

  it("a slice holds the entries asked for, as many as fit and at least one", () => {
    fc.assert(
      fc.property(items, at, fc.nat(9), fc.nat(9), fc.nat(200), (items, at, skip, take, maxBytes) => {
        const batch = stampBatch(packEntries(EntryKind.command, items), at);
        const from = at.firstIndex + (skip % items.length);
        const to = from + take;
        const before = batch.bytes.slice();
        const slice = sliceBatch(batch, from, to, maxBytes);

        const wanted = entriesOf(batch).filter((entry) => entry.index >= from && entry.index <= to);
        const sizes = wanted.map((entry) => ENTRY_HEADER_BYTES + entry.data.length / 2);
        let count = 1;
        let bytes = BATCH_HEADER_BYTES + (sizes[0] ?? 0);
        while (count < wanted.length && bytes + (sizes[count] ?? 0) <= maxBytes) bytes += sizes[count++] ?? 0;

        expect(entriesOf(slice)).toEqual(wanted.slice(0, count));
        expect(slice).toMatchObject({ firstIndex: from, lastIndex: from + count - 1, term: at.term, time: at.time });
        expect(slice.bytes.byteLength).toBe(bytes);
        expect(parseBatch(slice.bytes)).toEqual(slice);
        expect(batch.bytes).toEqual(before);
      }),
    );
  });

  it("a slice of all of a batch is the batch", () => {
    const batch = stampBatch(packEntries(EntryKind.command, [new Uint8Array(3), new Uint8Array(4)]), {
      firstIndex: 5,
      term: 2,
      time: 0,
    });
    expect(sliceBatch(batch, 1, 9)).toBe(batch);
    expect(sliceBatch(batch, 6, 9)).not.toBe(batch);
    expect(() => sliceBatch(batch, 7, 9)).toThrow(InvariantError);
    expect(() => sliceBatch(batch, 6, 5)).toThrow(InvariantError);
  });

  it("bytes that are no batch are refused", () => {
    const good = packEntries(EntryKind.command, [new Uint8Array(3)]);
    const spoilt = (offset: number, value: number) => {
      const bytes = good.slice();
      bytes[offset] = value;
      return bytes;
    };
    expect(() => parseBatch(good)).not.toThrow();
    expect(() => parseBatch(good.subarray(0, BATCH_HEADER_BYTES - 1))).toThrow(InvariantError);
    expect(() => parseBatch(good.subarray(0, -1))).toThrow(InvariantError);
    expect(() => parseBatch(spoilt(8, 2))).toThrow(InvariantError);
    expect(() => parseBatch(spoilt(12, 0))).toThrow(InvariantError);
    expect(() => parseBatch(spoilt(12, 200))).toThrow(InvariantError);
    expect(() => entriesOf(parseBatch(spoilt(BATCH_HEADER_BYTES, 4)))).toThrow(InvariantError);
  });

  it("the first entry of every log is the configuration, the same bytes everywhere", () => {
    const voters = ["a", "b", "é"];
    const batch = bootstrapBatch({ voters });
    expect(batch).toMatchObject({ firstIndex: 1, lastIndex: 1, term: 0 });
    expect(batch.bytes).toEqual(bootstrapBatch({ voters }).bytes);
    forEachEntry(batch, 1, (_index, kind, data) => {
      expect(kind).toBe(EntryKind.configuration);
      expect(parseConfiguration(data)).toEqual({ voters });
    });
  });
});
