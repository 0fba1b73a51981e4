import { describe, expect, it } from "vitest";
import { freeBuffer } from "../../src/actors/free-buffer.ts";
import { UnusedBuffers } from "../../src/actors/unused-buffers.ts";
import { type Batch, EntryKind, packEntries, parseBatches, stampBatch } from "../../src/raft/entry.ts";

/** Batches of one entry each, from index 1 on, in one buffer. */
function packet(count: number, { before = 0, behind = 0 } = {}): Batch[] {
  const batches = Array.from({ length: count }, (_, at) =>
    stampBatch(packEntries(EntryKind.command, [new Uint8Array(3)]), { firstIndex: at + 1, term: 1, time: 1 }),
  );
  const bytes = Buffer.concat(batches.map((batch) => batch.bytes));
  const buffer = new Uint8Array(before + bytes.byteLength + behind);
  buffer.set(bytes, before);
  return parseBatches(buffer, before, before + bytes.byteLength);
}

function released(batches: readonly Batch[], lastApplied: number): number {
  let count = 0;
  const unused = new UnusedBuffers(() => count++);
  for (const batch of batches) unused.evicted(batch);
  unused.release(lastApplied);
  unused.release(Number.POSITIVE_INFINITY);
  return count;
}

describe("unused buffers", () => {
  it("are given back once, with the last batch of the packet", () => {
    const batches = packet(3, { before: 46 });
    expect(released(batches, 3)).toBe(1);
    expect(released(batches.slice(0, 2), 3)).toBe(0);
  });

  it("are left to the collector when the last batch was not applied yet", () => {
    expect(released(packet(3), 2)).toBe(0);
  });

  it("are left to the collector when something else stands behind the last batch", () => {
    expect(released(packet(2, { behind: 5 }), 2)).toBe(0);
  });

  it("have no memory any more when they were freed", () => {
    const before = process.memoryUsage().arrayBuffers;
    const kept = Array.from({ length: 50 }, () => new ArrayBuffer(1 << 20));
    for (const buffer of kept) freeBuffer(buffer);
    expect(kept.map(({ byteLength }) => byteLength)).toEqual(kept.map(() => 0));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(5 << 20);
  });
});
