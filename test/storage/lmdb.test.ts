import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Database } from "lmdb";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EMPTY_SAVE } from "../../src/raft/effects.ts";
import { type Batch, bootstrapBatch, EntryKind, packEntries, stampBatch } from "../../src/raft/entry.ts";
import { encodeRecord } from "../../src/storage/codec.ts";
import { type Gate, LmdbStore, type LmdbStoreOptions, noGate } from "../../src/storage/index.ts";
import {
  appendSingles,
  batchAfter,
  infoOf,
  installSnapshot,
  lastBatch,
  numbered,
  saveBatches,
  saveSnapshot,
} from "./fixtures/batches.ts";
import { OPTIONS } from "./fixtures/options.ts";
import { temporaryFolder } from "./fixtures/stores.ts";
import { type Tables, withTables } from "./fixtures/tables.ts";

let folder: ReturnType<typeof temporaryFolder>;
let options: LmdbStoreOptions;
const stores: LmdbStore[] = [];

beforeEach(() => {
  folder = temporaryFolder();
  options = { ...OPTIONS, path: join(folder.path, "peer"), durability: "process", gate: noGate };
});

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  folder.remove();
});

async function openStore(change: Partial<LmdbStoreOptions> = {}): Promise<LmdbStore> {
  const store = await LmdbStore.open({ ...options, ...change });
  stores.push(store);
  return store;
}

/** Changes the records of a closed store behind its back. */
function tamper(change: (tables: Tables) => void): Promise<void> {
  return withTables(options.path, change);
}

function flipByte(table: Database<Uint8Array, string | number>, key: string | number, at: number): void {
  const record = Uint8Array.from(table.get(key) ?? []);
  record[at] = (record[at] ?? 0) ^ 0xff;
  table.putSync(key, record);
}

/** As an LMDB file says itself. */
function pageSize(file: Buffer): number {
  return file.readUInt32LE(48);
}

/** A closed store with the entries 2..6 in batches of one. */
async function closedStore(): Promise<void> {
  const store = await openStore();
  appendSingles(store, lastBatch(store, 1), 5);
  await store.close();
}

describe("a store on disk that was changed behind its back", () => {
  it("reports a changed byte in a log record by its index, and reads its neighbours", async () => {
    await closedStore();
    await tamper(({ log }) => flipByte(log, 4, 60 - 4));
    const store = await openStore({ born: true });
    expect(() => store.read(4, 1)).toThrow(
      expect.objectContaining({ code: "ERR_STORAGE_CORRUPT", message: expect.stringContaining("entry 4") }),
    );
    expect([3, 5].map((from) => store.read(from, 1)[0]?.firstIndex)).toEqual([3, 5]);
  });

  it("reports a missing log record by its index", async () => {
    await closedStore();
    await tamper(({ log }) => log.removeSync(4));
    const store = await openStore({ born: true });
    for (const from of [4, 3, 1]) {
      expect(() => store.read(from, 1e9)).toThrow(
        expect.objectContaining({ code: "ERR_STORAGE_CORRUPT", message: expect.stringContaining("entry 4") }),
      );
    }
  });

  it("does not take a record of another index for the one that is missing", async () => {
    await closedStore();
    await tamper(({ log }) => log.putSync(4, log.get(5) ?? new Uint8Array()));
    const store = await openStore({ born: true });
    expect(() => store.read(4, 1)).toThrow(expect.objectContaining({ code: "ERR_STORAGE_CORRUPT" }));
  });

  it.each([
    ["a flipped byte in a run of terms", ({ terms }: Tables) => flipByte(terms, 2, 6)],
    ["a missing run of terms", ({ terms }: Tables) => terms.removeSync(2)],
    ["a run of terms behind the log", ({ terms }: Tables) => terms.putSync(9, encodeRecord("terms", 9, { term: 3 }))],
    ["a run of terms under another's index", ({ terms }: Tables) => terms.putSync(3, terms.get(2) ?? new Uint8Array())],
    ["a log without its end", ({ log }: Tables) => [2, 3, 4, 5, 6].map((index) => log.removeSync(index))],
    ["a log without its beginning", ({ log }: Tables) => log.removeSync(1)],
    ["a flipped byte in the hard state", ({ meta }: Tables) => flipByte(meta, "hardState", 5)],
    ["a missing hard state", ({ meta }: Tables) => meta.removeSync("hardState")],
    ["nothing that says where its log begins", ({ meta }: Tables) => meta.removeSync("log")],
    ["nothing that says whether there is a snapshot", ({ meta }: Tables) => meta.removeSync("snapshot")],
    ["nothing that says whether there is a machine's state", ({ meta }: Tables) => meta.removeSync("machine")],
    [
      "a machine's state of an entry behind the log",
      ({ meta }: Tables) => {
        const pointer = { side: "a", applied: { index: 7, time: 0, version: 0 } };
        meta.putSync("machine", encodeRecord("meta", "machine", pointer));
      },
    ],
  ])("does not open with %s", async (_name, change) => {
    await closedStore();
    await tamper(change);
    await expect(openStore({ born: true })).rejects.toMatchObject({ code: "ERR_STORAGE_CORRUPT" });
  });

  it.each([
    ["the beginning of the rest", ({ log }: Tables) => log.removeSync(5)],
    ["all of the rest", ({ log }: Tables) => [5, 6].map((index) => log.removeSync(index))],
    ["the term of the entry before it", ({ terms }: Tables) => terms.removeSync(2)],
    [
      "its snapshot, but not that it was compacted",
      ({ meta }: Tables) => meta.putSync("snapshot", encodeRecord("meta", "snapshot", null)),
    ],
  ])("does not open when a log that was compacted has lost %s", async (_name, change) => {
    const made = await openStore();
    appendSingles(made, lastBatch(made, 1), 5);
    saveSnapshot(made, 5, [Buffer.from("x")], { compactTo: 4 });
    await made.close();
    await tamper(change);
    await expect(openStore({ born: true })).rejects.toMatchObject({ code: "ERR_STORAGE_CORRUPT" });
  });

  it("does not open when all entries behind the compacted ones are lost, but not their term", async () => {
    const made = await openStore();
    const last = appendSingles(made, lastBatch(made, 1), 5);
    saveSnapshot(made, 6, [Buffer.from("x")], { compactTo: 6 });
    saveBatches(made, batchAfter(last, { term: 2 }));
    await made.close();
    await tamper(({ log }) => log.removeSync(7));
    await expect(openStore({ born: true })).rejects.toMatchObject({ code: "ERR_STORAGE_CORRUPT" });
  });

  it("reports a changed or missing chunk by its number, and reads its neighbours", async () => {
    const made = await openStore();
    saveSnapshot(
      made,
      1,
      ["a", "b", "c", "d"].map((text) => Buffer.from(text)),
    );
    await made.close();
    await tamper(({ snapshot }) => {
      flipByte(snapshot, 1, 4);
      snapshot.removeSync(2);
    });
    const store = await openStore({ born: true });
    for (const [chunk, what] of [
      [1, "fails its checksum"],
      [2, "is missing"],
    ] as const) {
      expect(() => store.readChunk(1, chunk)).toThrow(
        expect.objectContaining({
          code: "ERR_STORAGE_CORRUPT",
          message: expect.stringContaining(`chunk ${chunk} of the snapshot of 1 ${what}`),
        }),
      );
    }
    expect([0, 3].map((chunk) => Buffer.from(store.readChunk(1, chunk) ?? []).toString())).toEqual(["a", "d"]);
  });

  it("does not open, and is not made anew, when a log is there but nothing says whose it is", async () => {
    await closedStore();
    await tamper(({ meta }) => meta.removeSync("format"));
    await expect(openStore()).rejects.toMatchObject({ code: "ERR_STORAGE_CORRUPT" });
  });

  it("does not open when a newer version wrote it", async () => {
    await closedStore();
    await tamper(({ meta }) => meta.putSync("format", encodeRecord("meta", "format", 2)));
    await expect(openStore({ born: true })).rejects.toMatchObject({
      code: "ERR_STORAGE_LOST",
      message: expect.stringContaining("newer version"),
    });
  });

  it.each([
    ["holds something else", () => Buffer.alloc(32_768, "not a database ")],
    ["was cut off within its first page", (bytes: Buffer) => bytes.subarray(0, 100)],
    ["was cut off behind its first page", (bytes: Buffer) => bytes.subarray(0, pageSize(bytes))],
    ["has lost its second page", (bytes: Buffer) => bytes.fill(0, pageSize(bytes), 2 * pageSize(bytes))],
  ])("does not open, nor end the process, when its file %s", async (_name, change) => {
    await closedStore();
    const file = join(options.path, "data.mdb");
    writeFileSync(file, change(readFileSync(file)));
    await expect(openStore({ born: true })).rejects.toMatchObject({ code: "ERR_STORAGE_CORRUPT" });
  });

  it("is made anew when a crash left its file empty before it was born", async () => {
    mkdirSync(options.path);
    writeFileSync(join(options.path, "data.mdb"), "");
    expect((await openStore()).state.used).toBe(false);
  });
});

describe("a store on disk", () => {
  it("does not touch the disk when it should be there and is not", async () => {
    await expect(openStore({ born: true })).rejects.toMatchObject({ code: "ERR_STORAGE_LOST" });
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it("is lost when its file is there but empty of records", async () => {
    await tamper(() => {});
    await expect(openStore({ born: true })).rejects.toMatchObject({ code: "ERR_STORAGE_LOST" });
  });

  it("says why it cannot be made", async () => {
    const file = join(folder.path, "file");
    writeFileSync(file, "");
    await expect(openStore({ path: join(file, "peer") })).rejects.toMatchObject({
      code: "ERR_STORAGE_FAILED",
      message: expect.stringContaining(join(file, "peer")),
      cause: expect.objectContaining({ code: "ENOTDIR" }),
    });
  });

  it("stays inside its folder when the folder's name has a dot", async () => {
    await openStore({ path: join(folder.path, "peer.1") });
    expect(readdirSync(folder.path)).toEqual(["peer.1"]);
    expect(readdirSync(join(folder.path, "peer.1")).sort()).toEqual(["data.mdb", "lock.mdb", "turns"]);
  });

  it("keeps the durability it is given from one opening to the next", async () => {
    for (const durability of ["disk", "process", "disk"] as const) {
      const store = await openStore({ durability, born: false });
      appendSingles(store, lastBatch(store, store.state.lastIndex), 3);
      await store.close();
    }
    expect((await openStore({ born: true })).state.lastIndex).toBe(10);
  });

  it("runs every sweep, save, read and close inside its gate", async () => {
    let calls = 0;
    const gate: Gate = {
      run(native) {
        calls++;
        return native();
      },
    };
    const during = async (action: () => unknown) => {
      const before = calls;
      await action();
      return calls - before;
    };
    let store: LmdbStore | undefined;
    expect(await during(async () => (store = await openStore({ gate })))).toBeGreaterThan(0);
    expect(await during(() => store?.sweep())).toBeGreaterThan(0);
    expect(await during(() => store && saveBatches(store, batchAfter(bootstrapBatch(OPTIONS.configuration))))).toBe(1);
    expect(await during(() => store?.read(1, 1e9))).toBe(3);
    const chunks = [Buffer.from("x")];
    const save = { ...EMPTY_SAVE, chunks: numbered(chunks), snapshot: infoOf(2, 0, chunks) };
    expect(await during(() => store?.save(save))).toBe(1);
    expect(await during(() => store?.readChunk(2, 0))).toBe(1);
    expect(await during(() => store?.close())).toBe(1);
  });

  it("gives its readers back: more openings than there are slots for readers", async () => {
    await closedStore();
    for (let opening = 2; opening < 200; opening++) {
      const store = await LmdbStore.open({ ...options, born: true });
      expect(store.state.incarnation).toBe(opening);
      store.read(1, 1e9);
      await store.close();
    }
  });

  it("gives everything back when it does not open", async () => {
    await closedStore();
    const identity = { ...OPTIONS.identity, store: "another" };
    for (let attempt = 0; attempt < 200; attempt++) {
      await expect(LmdbStore.open({ ...options, identity })).rejects.toMatchObject({ code: "ERR_STORAGE_LOST" });
    }
    expect((await openStore({ born: true })).state.incarnation).toBe(2);
  });

  it("keeps its order where indices outgrow 32 bits", async () => {
    const start = 2 ** 32 - 3;
    let store = await openStore();
    installSnapshot(store, start - 1, 1, [Buffer.from("x")]);
    const first = stampBatch(packEntries(EntryKind.command, [Buffer.from("x")]), {
      firstIndex: start,
      term: 1,
      time: 0,
    });
    saveBatches(store, first);
    const indices = (batches: readonly Batch[]) => batches.map(({ firstIndex }) => firstIndex - start);
    appendSingles(store, first, 5, 2);
    expect(indices(store.read(start, 1e9))).toEqual([0, 1, 2, 3, 4, 5]);
    store.save({ ...EMPTY_SAVE, truncateFrom: start + 2 });
    appendSingles(store, lastBatch(store, start + 1), 3, 3);
    await store.close();
    store = await openStore({ born: true });
    expect(store.state).toMatchObject({ firstIndex: start, lastIndex: start + 4 });
    expect(store.state.terms).toEqual([
      { firstIndex: start - 1, term: 1 },
      { firstIndex: start + 1, term: 2 },
      { firstIndex: start + 2, term: 3 },
    ]);
    expect(indices(store.read(start + 1, 1e9))).toEqual([1, 2, 3, 4]);
  });

  it("keeps to a file of the size of what it holds while it appends 200 MB and compacts them", async () => {
    const MIB = 1 << 20;
    const store = await openStore();
    const chunks = Array.from({ length: 40 }, (_, seed) => new Uint8Array(MIB / 4).fill(seed));
    let last = lastBatch(store, 1);
    let written = 0;
    let largest = 0;
    while (written < 200 * MIB) {
      for (const chunk of numbered(chunks)) {
        // Some 256 KiB of log in batches of all sizes go with each chunk, so that what becomes free is in pieces.
        for (let size = MIB / 8; size >= 64; size /= 2) {
          last = batchAfter(last, { term: 1, data: "x".repeat(size) });
          saveBatches(store, last);
          written += size;
        }
        store.save({ ...EMPTY_SAVE, chunks: [chunk] });
        written += chunk.data.byteLength;
      }
      // Ten MiB of snapshot and as much of log are in use, and as much again is left over.
      store.save({ ...EMPTY_SAVE, snapshot: infoOf(last.lastIndex, 1, chunks), compactTo: last.lastIndex });
      largest = Math.max(largest, statSync(join(options.path, "data.mdb")).size);
    }
    expect(largest).toBeLessThan(80 * MIB);
    await store.close();
    const found = await openStore({ born: true });
    expect(found.state).toMatchObject({ firstIndex: last.lastIndex + 1, lastIndex: last.lastIndex });
    expect([...found.readSnapshot()].every((chunk, at) => Buffer.compare(chunk, chunks[at] ?? chunk) === 0)).toBe(true);
  });

  it("opens a log of 20,000 records without reading it", async () => {
    const store = await openStore();
    let last = lastBatch(store, 1);
    const batches = Array.from({ length: 20_000 }, () => {
      last = batchAfter(last, { term: 1 });
      return last;
    });
    saveBatches(store, ...batches);
    await store.close();
    let calls = 0;
    const gate: Gate = {
      run(native) {
        calls++;
        return native();
      },
    };
    const found = await openStore({ born: true, gate });
    expect(found.state.lastIndex).toBe(20_001);
    expect(calls).toBeLessThan(30);
  });
});
