import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { EMPTY_SAVE } from "../../src/raft/effects.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/index.ts";
import { appendSingles, batchAfter, lastBatch, saveBatches, saveSnapshot } from "./fixtures/batches.ts";
import { OPTIONS } from "./fixtures/options.ts";

function begin(disk = new MemoryDisk()) {
  const store = MemoryStore.open({ ...OPTIONS, disk });
  return { disk, store, first: lastBatch(store, 1) };
}

function reopen(disk: MemoryDisk): MemoryStore {
  return MemoryStore.open({ ...OPTIONS, disk, born: true });
}

describe("a disk in memory that syncs when it is told to", () => {
  it("loses what was written since the last sync, and nothing before", () => {
    const { disk, store, first } = begin();
    disk.autoSync = false;
    const second = appendSingles(store, first, 3);
    disk.sync();
    appendSingles(store, second, 5);
    disk.loseUnsynced();
    expect(reopen(disk).state).toMatchObject({ lastIndex: 4, incarnation: 2 });
  });

  it("brings back what an unsynced save dropped or replaced", () => {
    const { disk, store, first } = begin();
    const whole = batchAfter(first, { term: 1, count: 4 });
    saveBatches(store, whole, batchAfter(whole, { term: 2 }));
    disk.autoSync = false;
    store.save({ ...EMPTY_SAVE, hardState: { currentTerm: 9, votedFor: "c" }, truncateFrom: 3 });
    disk.loseUnsynced();
    const found = reopen(disk);
    expect(found.state).toMatchObject({ lastIndex: 6, hardState: { currentTerm: 0, votedFor: undefined } });
    expect(found.state.terms.map(({ term }) => term)).toEqual([0, 1, 2]);
    expect(found.read(2, 1e9).map(({ lastIndex }) => lastIndex)).toEqual([5, 6]);
  });

  it("can lose a whole store, which is then found to be lost", () => {
    const disk = new MemoryDisk();
    disk.autoSync = false;
    begin(disk);
    disk.loseUnsynced();
    expect(() => reopen(disk)).toThrow(expect.objectContaining({ code: "ERR_STORAGE_LOST" }));
  });

  it("is always what it was at the last sync, after a loss", () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("append" as const), count: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ do: fc.constant("truncate" as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
      fc.record({ do: fc.constant("sync" as const) }),
      fc.record({ do: fc.constant("lose" as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const disk = new MemoryDisk();
        let { store } = begin(disk);
        disk.autoSync = false;
        let lastIndex = 1;
        let synced = 1;
        for (const todo of steps) {
          if (todo.do === "append") {
            const batch = batchAfter(lastBatch(store, lastIndex), { count: todo.count });
            saveBatches(store, batch);
            lastIndex = batch.lastIndex;
          } else if (todo.do === "truncate" && lastIndex > 1) {
            const truncateFrom = 2 + Math.floor(todo.part * (lastIndex - 2));
            store.save({ ...EMPTY_SAVE, truncateFrom });
            const kept = lastBatch(store, truncateFrom - 1);
            expect(kept.lastIndex).toBe(truncateFrom - 1);
            lastIndex = kept.lastIndex;
          } else if (todo.do === "sync") {
            disk.sync();
            synced = lastIndex;
          } else if (todo.do === "lose") {
            disk.loseUnsynced();
            store = reopen(disk);
            lastIndex = store.state.lastIndex;
            expect(lastIndex).toBe(synced);
          }
        }
      }),
    );
  });
});

describe("a disk in memory that fails", () => {
  it("fails one save before it writes: nothing of it is found later", () => {
    const { disk, store, first } = begin();
    const error = new Error("no space left");
    disk.failNext(error);
    const batch = batchAfter(first, { term: 1 });
    expect(() => saveBatches(store, batch)).toThrow(
      expect.objectContaining({ code: "ERR_STORAGE_FAILED", outcome: "unknown", cause: error }),
    );
    expect(reopen(disk).state.lastIndex).toBe(1);
  });

  it("fails one save after it wrote: all of it is found later", () => {
    const { disk, store, first } = begin();
    disk.failNext(new Error("lost the bus"), "after");
    expect(() => saveBatches(store, batchAfter(first, { term: 1 }))).toThrow("lost the bus");
    expect(reopen(disk).state.lastIndex).toBe(2);
  });

  it("makes its store refuse every later save with the same error", () => {
    const { disk, store, first } = begin();
    disk.failNext(new Error("no space left"));
    const attempt = () => saveBatches(store, batchAfter(first, { term: 1 }));
    const errors = [attempt, attempt].map((run) => {
      try {
        return run();
      } catch (error) {
        return error;
      }
    });
    expect(errors[0]).toBeInstanceOf(Error);
    expect(errors[1]).toBe(errors[0]);
  });

  it("fails as many saves as it was told to, the openings of stores included", () => {
    const { disk, store, first } = begin();
    disk.failNext(new Error("one"));
    disk.failNext(new Error("two"));
    expect(() => saveBatches(store, batchAfter(first, { term: 1 }))).toThrow("one");
    expect(() => reopen(disk)).toThrow(expect.objectContaining({ code: "ERR_STORAGE_FAILED" }));
    expect(reopen(disk).state.incarnation).toBe(2);
  });
});

describe("a disk in memory that is slow", () => {
  it("says before each commit how long it takes, and reads take no time", () => {
    const { disk, store, first } = begin();
    const delays: [ms: number, bytes: number][] = [];
    let ms = 5;
    disk.latencyMs = () => ms++;
    disk.onDelay = (delay) => delays.push([delay, disk.keysFrom("log", 0).length]);
    appendSingles(store, first, 2);
    store.read(1, 1e9);
    expect(delays).toEqual([
      [5, 1],
      [6, 2],
    ]);
  });
});

describe("a disk in memory whose bits flip", () => {
  it("is noticed whichever bit of a log record it is, and in that record alone", () => {
    const { disk, store, first } = begin();
    const batch = batchAfter(batchAfter(first, { term: 1 }), { data: "hello" });
    saveBatches(store, batchAfter(first, { term: 1 }), batch, batchAfter(batch));
    for (let bit = 0; bit < batch.bytes.byteLength * 8; bit++) {
      disk.flipBit("log", 3, bit);
      expect(() => store.read(3, 1)).toThrow(expect.objectContaining({ code: "ERR_STORAGE_CORRUPT" }));
      expect(() => store.read(1, 1e9)).toThrow(/entry 3/);
      expect([store.read(2, 1), store.read(4, 1)].map(([found]) => found?.firstIndex)).toEqual([2, 4]);
      disk.flipBit("log", 3, bit);
    }
    expect(store.read(1, 1e9)).toHaveLength(4);
  });

  it.each([
    ["meta", "format"],
    ["meta", "identity"],
    ["meta", "configuration"],
    ["meta", "hardState"],
    ["meta", "incarnation"],
    ["meta", "log"],
    ["meta", "snapshot"],
    ["meta", "machine"],
    ["terms", 1],
    ["log", 1],
  ] as const)("is noticed when the store is opened, in %s %s", (table, key) => {
    const { disk } = begin();
    const bits = (disk.get(table, key)?.byteLength ?? 0) * 8;
    expect(bits).toBeGreaterThan(0);
    for (let bit = 0; bit < bits; bit++) {
      disk.flipBit(table, key, bit);
      expect(() => reopen(disk)).toThrow(expect.objectContaining({ code: "ERR_STORAGE_CORRUPT" }));
      disk.flipBit(table, key, bit);
    }
    expect(reopen(disk).state.incarnation).toBe(2);
  });

  it("is noticed whichever bit of a machine's value it is, and in that value alone", () => {
    const { disk, store } = begin();
    const records = ["a", "b"].map((key) => ({ key, value: Buffer.from(`of ${key}`) }));
    store.save(EMPTY_SAVE, { applied: { index: 1, time: 0, version: 0 }, records });
    const bits = (disk.get("machine", "aa")?.byteLength ?? 0) * 8;
    expect(bits).toBeGreaterThan(0);
    for (let bit = 0; bit < bits; bit++) {
      disk.flipBit("machine", "aa", bit);
      const damaged = expect.objectContaining({
        code: "ERR_STORAGE_CORRUPT",
        message: 'the record "a" of the state fails its checksum',
      });
      expect(() => store.machine.get("a")).toThrow(damaged);
      expect(() => store.machine.page({ from: "", to: "z", limit: 9 })).toThrow(damaged);
      expect(Buffer.from(store.machine.get("b") ?? []).toString()).toBe("of b");
      disk.flipBit("machine", "aa", bit);
    }
  });

  it("is noticed whichever bit of a chunk it is, and in that chunk alone", () => {
    const { disk, store } = begin();
    const chunks = ["hello", "", "world"].map((text) => Buffer.from(text));
    saveSnapshot(store, 1, chunks);
    for (const key of chunks.keys()) {
      const bits = (disk.get("snapshot", key)?.byteLength ?? 0) * 8;
      expect(bits).toBeGreaterThan(0);
      for (let bit = 0; bit < bits; bit++) {
        disk.flipBit("snapshot", key, bit);
        const damaged = expect.objectContaining({
          code: "ERR_STORAGE_CORRUPT",
          message: `chunk ${key} of the snapshot of 1 fails its checksum`,
        });
        expect(() => store.readChunk(1, key)).toThrow(damaged);
        expect(() => [...store.readSnapshot()]).toThrow(damaged);
        const others = [...chunks.keys()].filter((other) => other !== key);
        for (const other of others) expect(store.readChunk(1, other)).toEqual(Uint8Array.from(chunks[other] ?? []));
        disk.flipBit("snapshot", key, bit);
      }
    }
    expect([...store.readSnapshot()].map((chunk) => Buffer.from(chunk).toString())).toEqual(["hello", "", "world"]);
  });

  it("does not take a new chunk for the last one of a snapshot, when that is missing", () => {
    const { disk, store } = begin();
    saveSnapshot(store, 1, [Buffer.from("a"), Buffer.from("b")]);
    disk.commit([{ table: "snapshot", key: 1, value: undefined }]);
    const found = reopen(disk);
    found.save({ ...EMPTY_SAVE, chunks: [{ number: 0, data: Buffer.from("c") }] });
    expect(() => found.readChunk(1, 1)).toThrow("chunk 1 of the snapshot of 1 is missing");
  });

  it("refuses to flip what is not there", () => {
    const { disk } = begin();
    expect(() => disk.flipBit("log", 2, 0)).toThrow(RangeError);
    expect(() => disk.flipBit("log", 1, 1e6)).toThrow(RangeError);
  });
});

describe("a store that is used wrongly", () => {
  it("refuses a batch that does not follow the last entry", () => {
    const { store, first } = begin();
    const second = batchAfter(first, { term: 1 });
    expect(() => saveBatches(store, batchAfter(second))).toThrow("does not fit a log that ends with 1");
  });

  it("refuses to drop the first entry of the log", () => {
    const { store } = begin();
    expect(() => store.save({ ...EMPTY_SAVE, truncateFrom: 1 })).toThrow("begins at 1");
  });

  it("refuses to read outside the log", () => {
    const { store } = begin();
    for (const from of [0, 2]) expect(() => store.read(from, 1)).toThrow("cannot read");
  });

  it("refuses everything after it was closed", async () => {
    const { store } = begin();
    await store.close();
    const stopped = expect.objectContaining({ code: "ERR_STOPPED" });
    expect(() => store.read(1, 1)).toThrow(stopped);
    expect(() => store.save(EMPTY_SAVE)).toThrow(stopped);
    expect(() => store.sweep()).toThrow(stopped);
    expect(() => store.readChunk(1, 0)).toThrow(stopped);
  });
});
