import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EMPTY_SAVE } from "../../src/raft/effects.ts";
import { Subject } from "../../src/storage/conformance/subject.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/index.ts";
import type { RecordWrite, Table } from "../../src/storage/records.ts";
import { appendSingles, batchAfter, lastBatch, numbered, saveSnapshot } from "./fixtures/batches.ts";
import { OPTIONS } from "./fixtures/options.ts";

function begin() {
  const disk = new MemoryDisk();
  const store = MemoryStore.open({ ...OPTIONS, disk });
  return { disk, store, first: lastBatch(store, 1) };
}

function reopen(disk: MemoryDisk): MemoryStore {
  return MemoryStore.open({ ...OPTIONS, disk, born: true });
}

describe("what a store leaves over", () => {
  /** A log of `count` entries of one batch each behind the first, and `count` chunks as a snapshot of the first. */
  function beginLarge(count: number) {
    const { disk, store, first } = begin();
    const last = appendSingles(store, first, count);
    saveSnapshot(store, 1, Array(count).fill(Buffer.from("x")));
    const commits: (readonly RecordWrite[])[] = [];
    const commit = disk.commit.bind(disk);
    disk.commit = (writes) => {
      commits.push(writes);
      commit(writes);
    };
    /** How many records the commits since the last call removed of a table, at most and together. */
    const removed = (table: Table) => {
      const counts = commits.map((writes) => writes.filter((write) => write.table === table && !write.value).length);
      return { most: Math.max(...counts), all: counts.reduce((sum, count) => sum + count, 0) };
    };
    return { disk, store, last, commits, removed };
  }
  const keys = (disk: MemoryDisk) =>
    (["log", "terms", "snapshot"] as const).map((table) => disk.keysFrom(table, 0).length);

  it("is removed a bounded number of records at a time, and nothing by the save that lets go of it", () => {
    const { disk, store, last, commits, removed } = beginLarge(1_000);
    saveSnapshot(store, last.lastIndex, [Buffer.from("y")], { compactTo: last.lastIndex });
    expect([removed("log").all, removed("snapshot").all]).toEqual([0, 0]);
    expect(keys(disk)).toEqual([1_001, 2, 1_001]);
    commits.length = 0;
    while (store.sweep());
    expect(removed("log")).toEqual({ most: 128, all: 1_001 });
    expect(removed("snapshot")).toEqual({ most: 16, all: 1_000 });
    expect(keys(disk)).toEqual([0, 1, 1]);
  });

  it("is removed no faster when it is before and behind the chunks in use", () => {
    const { disk, store, commits, last, removed } = beginLarge(1_000);
    saveSnapshot(store, last.lastIndex, [Buffer.from("y")]);
    store.save({ ...EMPTY_SAVE, chunks: numbered(Array(21).fill(Buffer.from("z"))) });
    const found = reopen(disk);
    commits.length = 0;
    while (found.sweep());
    expect(removed("snapshot")).toEqual({ most: 16, all: 1_000 - 2 * 21 + 21 });
    expect(keys(disk)).toEqual([1_001, 2, 1]);
  });

  it("is removed by saves twice as fast as they add to it, however much they add", () => {
    const { disk, store, last, commits, removed } = beginLarge(2_000);
    saveSnapshot(store, last.lastIndex, [Buffer.from("y")], { compactTo: last.lastIndex });
    const batches = [batchAfter(last)];
    for (let count = 1; count < 300; count++) batches.push(batchAfter(batches.at(-1) ?? last));
    const chunks = Array.from({ length: 50 }, (_, number) => ({ number, data: Buffer.from("z") }));
    commits.length = 0;
    store.save({ ...EMPTY_SAVE, batches, chunks });
    expect([removed("log").all, removed("snapshot").all]).toEqual([600, 100]);
    expect(keys(disk)).toEqual([2_001 - 600 + 300, 1, 2_001 - 100 + 50]);
  });

  it("is found again after a crash at any point, and swept to the last record", () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("append" as const), count: fc.integer({ min: 1, max: 200 }) }),
      fc.record({ do: fc.constant("stage" as const), count: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ do: fc.constantFrom("snapshot" as const, "install" as const, "sweep" as const, "crash" as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const { disk, store: made } = begin();
        const subject = new Subject(made);
        for (const todo of steps) {
          const { lastIndex, staged } = subject;
          if (todo.do === "append") {
            const term = subject.lastTerm + (todo.count % 2);
            subject.append(Array(todo.count).fill([Buffer.from("x")]), { term });
          } else if (todo.do === "stage") {
            subject.append([], { chunks: subject.numbered(Array(todo.count).fill(Buffer.from("x"))) });
          } else if (todo.do === "snapshot" && staged.length > 0 && lastIndex > (subject.info?.index ?? 0)) {
            subject.append([], { snapshot: subject.infoOf(), compactTo: lastIndex - (lastIndex % 2) });
          } else if (todo.do === "install" && staged.length > 0) {
            const index = (subject.info?.index ?? 0) + 1;
            const snapshot = { ...subject.infoOf(), index, term: subject.lastTerm + 1 };
            subject.append([], { snapshot, resetTo: snapshot });
          } else if (todo.do === "sweep") {
            subject.store.sweep();
          } else if (todo.do === "crash") {
            subject.reopened(reopen(disk));
          }
        }
        subject.reopened(reopen(disk));
        subject.sweep();
        subject.check({ fresh: true });
        const { terms } = subject.store.state;
        expect(keys(disk)).toEqual([subject.batches.length, terms.length, subject.chunks.length]);
      }),
    );
  });
});
