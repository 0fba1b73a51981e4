import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EMPTY_SAVE } from "../../src/raft/effects.ts";
import { type Batch, forEachEntry } from "../../src/raft/entry.ts";
import { plainEntries } from "../../src/storage/conformance/subject.ts";
import { copyStore } from "../../src/storage/copy-store.ts";
import { LmdbStore, type LmdbStoreOptions, noGate } from "../../src/storage/index.ts";
import { inspectStore } from "../../src/storage/inspect-store.ts";
import { JOURNAL_BYTES } from "../../src/storage/journal-file.ts";
import { openForReading } from "../../src/storage/lmdb-reader.ts";
import { ROW_FILES, VALUE_FILE_BYTES, ValueFiles } from "../../src/storage/value-files.ts";
import { appendSingles, batchAfter, lastBatch, numbered, saveBatches, saveSnapshot } from "./fixtures/batches.ts";
import { OPTIONS } from "./fixtures/options.ts";
import { temporaryFolder } from "./fixtures/stores.ts";
import { withTables } from "./fixtures/tables.ts";
import { startThread } from "./fixtures/thread.ts";

const LONG_BYTES = 200_000;
const LONG = "x".repeat(LONG_BYTES);
/** So many of them take more than a value file. */
const MORE_THAN_A_FILE = Math.ceil(VALUE_FILE_BYTES / LONG_BYTES) + 1;

let folder: ReturnType<typeof temporaryFolder>;
let path: string;
const stores: LmdbStore[] = [];

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder.path, "peer");
});

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  folder.remove();
});

async function open(at = path, change: Partial<LmdbStoreOptions> = {}): Promise<LmdbStore> {
  const store = await LmdbStore.open({ ...OPTIONS, path: at, durability: "disk", gate: noGate, ...change });
  stores.push(store);
  return store;
}

/** What a crash now would leave. */
function left(): string {
  const copy = join(folder.path, `left.${++copies}`);
  cpSync(path, copy, { recursive: true });
  return copy;
}
let copies = 0;

/** Appends batches that are long, one a save. @returns the last. */
function appendLong(store: LmdbStore, previous: Batch, count = 1): Batch {
  let last = previous;
  for (let done = 0; done < count; done++) {
    last = batchAfter(last, { data: `${last.lastIndex + 1} ${LONG}` });
    saveBatches(store, last);
  }
  return last;
}

/** More short values than the journal holds: all that waits goes into the tables. */
function fillJournal(store: LmdbStore, previous: Batch): Batch {
  let last = previous;
  for (let written = 0; written < JOURNAL_BYTES; written += 10_000) {
    last = batchAfter(last, { data: "x".repeat(10_000) });
    saveBatches(store, last);
  }
  return last;
}

/** The entries of a store that are long, from `from` on, by their first word. */
function longIn(store: LmdbStore, from: number): string[] {
  const words: string[] = [];
  for (const batch of store.read(from, 1e9)) {
    forEachEntry(batch, batch.firstIndex, (_index, _kind, data) => {
      if (data.byteLength >= LONG_BYTES) words.push(Buffer.from(data).toString().split(" ")[0] ?? "");
    });
  }
  return words;
}

function valueFiles(at = path): string[] {
  return readdirSync(at)
    .filter((name) => name.startsWith("values."))
    .sort();
}

const indices = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => String(from + at));

describe("long values", () => {
  it("stand in a file beside the tables, once, and are read as they were written", async () => {
    const store = await open();
    const last = appendLong(store, lastBatch(store, 1), 5);
    expect(longIn(store, 2)).toEqual(indices(2, 6));
    await store.close();
    expect(valueFiles()).toEqual(["values.1"]);
    expect(statSync(join(path, "data.mdb")).size).toBeLessThan(LONG_BYTES);
    await withTables(path, ({ log, places }) => {
      expect(log.get(6)?.byteLength).toBe(0);
      expect(places.getKeysCount()).toBe(5);
    });
    const again = await open(path, { born: true });
    expect(again.state.lastIndex).toBe(last.lastIndex);
    expect(longIn(again, 2)).toEqual(indices(2, 6));
  });

  it("are found after a crash between any two saves, short ones among them", async () => {
    const store = await open();
    // The file is nearly full, so that some of the saves go to the next one.
    let last = appendLong(store, lastBatch(store, 1), MORE_THAN_A_FILE - 15);
    for (let round = 0; round < 40; round++) {
      last = round % 3 === 2 ? appendSingles(store, last, 2) : appendLong(store, last);
      const found = await open(left(), { born: true });
      expect(found.state.lastIndex).toBe(last.lastIndex);
      expect(plainEntries(found.read(1, 1e9))).toEqual(plainEntries(store.read(1, 1e9)));
      await found.close();
    }
    expect(valueFiles().length).toBeGreaterThan(1);
  });

  it("are found wherever the row was when the tables were told: before the first file, and in the middle of one", async () => {
    const store = await open();
    let last = lastBatch(store, 1);
    const longs: string[] = [];
    for (let round = 0; round < 3; round++) {
      last = fillJournal(store, last);
      for (let save = 0; save < MORE_THAN_A_FILE; save++) {
        last = appendLong(store, last);
        longs.push(String(last.lastIndex));
      }
      const found = await open(left(), { born: true });
      expect(found.state.lastIndex).toBe(last.lastIndex);
      expect(longIn(found, 2)).toEqual(longs);
      await found.close();
    }
  });

  it("stand with all that was saved with them, or not at all, when the last write was cut off anywhere", async () => {
    const store = await open();
    const last = appendLong(store, lastBatch(store, 1), 2);
    const file = join(path, "values.1");
    const before = readFileSync(file);
    const next = batchAfter(last, { data: LONG });
    store.save({ ...EMPTY_SAVE, hardState: { currentTerm: 7, votedFor: "c" }, batches: [next] });
    const whole = readFileSync(file);
    for (let cut = before.byteLength; cut < whole.byteLength; cut += 20_011) {
      for (const rest of [Buffer.alloc(whole.byteLength - cut), Buffer.alloc(0)]) {
        const copy = left();
        writeFileSync(join(copy, "values.1"), Buffer.concat([whole.subarray(0, cut), rest]));
        const found = await open(copy, { born: true });
        expect(found.state).toMatchObject({ lastIndex: last.lastIndex, hardState: { currentTerm: 0 } });
        expect(longIn(found, 2)).toEqual(indices(2, 3));
        await found.close();
      }
    }
    expect((await open(left(), { born: true })).state).toMatchObject({ lastIndex: 4, hardState: { currentTerm: 7 } });
  });

  it.each([
    ["a long one", (store: LmdbStore, last: Batch) => appendLong(store, last)],
    ["a short one", (store: LmdbStore, last: Batch) => appendSingles(store, last, 1)],
  ])("that are broken before %s that was written later keep the store from being opened", async (_what, append) => {
    const store = await open();
    const last = appendLong(store, lastBatch(store, 1), 2);
    append(store, last);
    const copy = left();
    const file = join(copy, "values.1");
    const bytes = readFileSync(file);
    bytes[LONG_BYTES + 30_000] = 0;
    writeFileSync(file, bytes);
    await expect(open(copy, { born: true })).rejects.toMatchObject({
      code: "ERR_STORAGE_CORRUPT",
      message: expect.stringContaining("record 3"),
    });
  });

  it.each([
    ["is gone", (file: string) => rmSync(file)],
    ["was cut off", (file: string) => truncateSync(file, VALUE_FILE_BYTES / 2)],
  ])("keep the store from being opened when their file %s and later ones stand in the next", async (_what, change) => {
    const store = await open();
    appendLong(store, lastBatch(store, 1), 2 * MORE_THAN_A_FILE);
    expect(valueFiles()).toEqual(["values.1", "values.2", "values.3"]);
    for (const file of ["values.1", "values.2"]) {
      const copy = left();
      change(join(copy, file));
      await expect(open(copy, { born: true })).rejects.toMatchObject({ code: "ERR_STORAGE_CORRUPT" });
    }
    // Behind the last one there is nothing that could miss it.
    const copy = left();
    rmSync(join(copy, "values.3"));
    expect((await open(copy, { born: true })).state.lastIndex).toBeLessThan(store.read(2, 1e9).at(-1)?.lastIndex ?? 0);
  });

  it.each([
    ["is gone", (file: string) => rmSync(file), "missing"],
    ["was cut off", (file: string) => truncateSync(file, 300_000), "cut off"],
    [
      "has a changed byte",
      (file: string) => {
        const bytes = readFileSync(file);
        bytes[300_000] = 0;
        writeFileSync(file, bytes);
      },
      "checksum",
    ],
  ])("are missed when they are read of a store that was closed, and whose file %s", async (_what, change, why) => {
    const store = await open();
    appendSingles(store, appendLong(store, lastBatch(store, 1), 2), 1);
    await store.close();
    change(join(path, "values.1"));
    const { problems, records } = await inspectStore(path);
    expect(problems.join()).toContain(why);
    expect(records.bad).toBeGreaterThan(0);
    const found = await open(path, { born: true });
    expect(() => found.read(3, 1)).toThrow(expect.objectContaining({ code: "ERR_STORAGE_CORRUPT" }));
    expect(found.read(4, 1)).toHaveLength(1);
  });

  it("are none that are short, however many come in a save: those wait in the journal", async () => {
    const store = await open();
    const batches = [batchAfter(lastBatch(store, 1), { data: "x".repeat(12_000) })];
    while (batches.length < 8) batches.push(batchAfter(batches.at(-1) as Batch, { data: "x".repeat(12_000) }));
    saveBatches(store, ...batches);
    expect(valueFiles()).toEqual([]);
    const copy = left();
    expect(await withTables(copy, ({ log }) => log.getKeysCount())).toBe(0);
    expect((await open(copy, { born: true })).state.lastIndex).toBe(9);
  });

  it("may be longer than a file", async () => {
    const store = await open();
    const huge = batchAfter(lastBatch(store, 1), { data: "y".repeat(VALUE_FILE_BYTES + 1) });
    saveBatches(store, huge);
    appendLong(store, huge, 2);
    expect(plainEntries((await open(left(), { born: true })).read(1, 1e9))).toEqual(plainEntries(store.read(1, 1e9)));
    expect(valueFiles()).toEqual(["values.1", "values.2"]);
  });

  it("are dropped with the entries that are cut off the log's end, and written anew", async () => {
    const store = await open();
    const kept = appendLong(store, lastBatch(store, 1), 2);
    appendLong(store, kept, 3);
    const next = batchAfter(kept, { term: 2, data: `again ${LONG}` });
    store.save({ ...EMPTY_SAVE, truncateFrom: 4, batches: [next] });
    for (const found of [store, await open(left(), { born: true })])
      expect(longIn(found, 2)).toEqual(["2", "3", "again"]);
  });

  it("give way to short ones that come with a machine's many changes", async () => {
    const store = await open();
    const kept = appendLong(store, lastBatch(store, 1), 2);
    const next = batchAfter(lastBatch(store, 2), { term: 2 });
    const records = Array.from({ length: 200 }, (_, at) => ({ key: `k${at}`, value: Buffer.alloc(1_000, "v") }));
    store.save(
      { ...EMPTY_SAVE, truncateFrom: kept.lastIndex, batches: [next] },
      { applied: { index: 2, time: 0, version: 1 }, records },
    );
    for (const found of [store, await open(left(), { born: true })]) {
      expect(plainEntries(found.read(3, 1))).toEqual(plainEntries([next]));
    }
  });

  it("are chunks of snapshots as well", async () => {
    const store = await open();
    appendSingles(store, lastBatch(store, 1), 3);
    const chunks = ["a", "b", "c"].map((text) => Buffer.alloc(LONG_BYTES, text));
    store.save({ ...EMPTY_SAVE, chunks: numbered(chunks.slice(0, 2)) });
    saveSnapshot(store, 3, chunks);
    for (const found of [store, await open(left(), { born: true })]) {
      const read = [...found.readSnapshot()].map((chunk) => Buffer.from(chunk));
      expect(read.map((chunk, at) => chunk.equals(chunks[at] ?? chunk.subarray(1)))).toEqual([true, true, true]);
    }
  });
});

describe("a store's value files", () => {
  /** Writes, and compacts all but the last few entries again and again, for so many times the length of a file. */
  function churn(store: LmdbStore, from: Batch, files: number): Batch {
    let last = from;
    for (let round = 0; round < files * 4; round++) {
      last = appendLong(store, last, Math.ceil(MORE_THAN_A_FILE / 4));
      saveSnapshot(store, last.lastIndex - 2, [Buffer.from("state")], { compactTo: last.lastIndex - 2 });
      while (store.sweep());
    }
    return last;
  }

  it("are written over when nothing in them is in use any more", async () => {
    const store = await open();
    const last = churn(store, lastBatch(store, 1), 3 * ROW_FILES);
    expect(valueFiles().length).toBeLessThanOrEqual(ROW_FILES + 2);
    expect(longIn(await open(left(), { born: true }), last.lastIndex - 1)).toEqual(
      indices(last.lastIndex - 1, last.lastIndex),
    );
  });

  it("hold what was saved before a crash at any time, also those that are written over", async () => {
    const store = await open();
    let last = churn(store, lastBatch(store, 1), 2 * ROW_FILES);
    for (let save = 0; save < MORE_THAN_A_FILE + 2; save++) {
      last = appendLong(store, last);
      const found = await open(left(), { born: true });
      expect(longIn(found, last.lastIndex - 1)).toEqual(indices(last.lastIndex - 1, last.lastIndex));
      await found.close();
    }
  });

  it("are written to one behind the other before the tables are told of it", async () => {
    const store = await open();
    const last = appendLong(store, lastBatch(store, 1), (ROW_FILES - 1) * (MORE_THAN_A_FILE - 2));
    expect(valueFiles()).toHaveLength(ROW_FILES - 1);
    const copy = left();
    expect(await withTables(copy, ({ log }) => log.getKeysCount())).toBe(0);
    expect(longIn(await open(copy, { born: true }), 2)).toEqual(indices(2, last.lastIndex));
  });

  it("are removed one by one when there are more of them than are needed, and all when the store is opened", async () => {
    const store = await open();
    let last = appendLong(store, lastBatch(store, 1), 2 * ROW_FILES * MORE_THAN_A_FILE);
    saveSnapshot(store, last.lastIndex, [Buffer.from("state")], { compactTo: last.lastIndex });
    while (store.sweep());
    const most = valueFiles().length;
    expect(most).toBeGreaterThan(2 * ROW_FILES);
    last = fillJournal(store, fillJournal(store, last));
    const less = valueFiles().length;
    expect(less).toBeLessThan(most);
    expect(less).toBeGreaterThan(most - 5);
    const copy = left();
    expect((await open(copy, { born: true })).state.lastIndex).toBe(last.lastIndex);
    expect(valueFiles(copy).length).toBeLessThanOrEqual(ROW_FILES);
  });

  it("are read with the journal as they were at one moment, whatever is written meanwhile", async () => {
    const isEnded = new Int32Array(new SharedArrayBuffer(4));
    const writer = startThread("busy-writer", { path, isEnded });
    try {
      await once(writer, "message");
      const seen = new Set<number>();
      for (let reading = 0; reading < 40; reading++) {
        const records = await openForReading(path);
        expect(records.journalProblem).toBeUndefined();
        const last = records.floor("log", Number.MAX_SAFE_INTEGER) ?? 0;
        expect(records.get("log", last)?.byteLength).toBeGreaterThan(0);
        seen.add(last);
        await records.close();
      }
      expect(seen.size).toBeGreaterThan(20);
    } finally {
      Atomics.store(isEnded, 0, 1);
      await once(writer, "exit");
    }
  });

  it("are left alone while somebody reads the store as it was", async () => {
    const store = await open();
    let last = appendLong(store, lastBatch(store, 1), 6 * MORE_THAN_A_FILE);
    const records = await openForReading(path);
    try {
      const expected = store.read(2, 1e9).map(({ firstIndex, bytes }) => [firstIndex, Buffer.from(bytes)] as const);
      saveSnapshot(store, last.lastIndex, [Buffer.from("state")], { compactTo: last.lastIndex });
      last = churn(store, last, 2 * ROW_FILES);
      expect(valueFiles().length).toBeGreaterThan(2 * ROW_FILES);
      for (const [index, bytes] of expected)
        expect(bytes.equals(records.get("log", index) ?? Buffer.alloc(0))).toBe(true);
    } finally {
      await records.close();
    }
    await store.close();
    expect(longIn(await open(path, { born: true }), last.lastIndex)).toEqual([String(last.lastIndex)]);
    expect(valueFiles().length).toBeLessThanOrEqual(ROW_FILES + 2);
  });

  it("are not written over either when somebody has begun to read after they were chosen, and before the tables say so", () => {
    mkdirSync(path);
    writeFileSync(join(path, "values.3"), "what is read");
    const files = new ValueFiles(path, noGate);
    const chosen = files.choose(new Set(), () => false).files;
    expect(chosen).toEqual([3, ...Array.from({ length: ROW_FILES - 1 }, (_, at) => 4 + at)]);
    expect(files.findRoom(1, () => true)).toBe(false);
    expect(files.choose(new Set(), () => true).files[0]).toBe(4);
    expect(files.findRoom(1, () => true)).toBe(true);
  });

  it("are of no use to a store with durability `process`, whose tables have all", async () => {
    const store = await open();
    const last = appendLong(store, lastBatch(store, 1), MORE_THAN_A_FILE);
    const copy = left();
    const moved = await open(copy, { born: true, durability: "process" });
    expect(valueFiles(copy)).toEqual([]);
    expect(longIn(moved, 2)).toEqual(indices(2, last.lastIndex));
    const end = appendLong(moved, last);
    await moved.close();
    expect(valueFiles(copy)).toEqual([]);
    expect(longIn(await open(copy, { born: true }), 2)).toEqual(indices(2, end.lastIndex));
  });

  it("are copied with a store, whether it was closed or not", async () => {
    const store = await open();
    const last = appendLong(store, lastBatch(store, 1), MORE_THAN_A_FILE);
    const crashed = left();
    await store.close();
    for (const from of [crashed, path]) {
      const to = join(folder.path, `copy.${++copies}`);
      const identity = { ...OPTIONS.identity, peer: "b", store: "s2" };
      await copyStore(from, to, { identity, hardState: { currentTerm: 9, votedFor: undefined }, incarnation: 1 });
      const copy = await open(to, { born: true, identity });
      expect(longIn(copy, 2)).toEqual(indices(2, last.lastIndex));
    }
    expect(existsSync(join(path, "values.1"))).toBe(true);
  });
});
