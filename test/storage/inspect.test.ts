import { once } from "node:events";
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { EMPTY_SAVE } from "../../src/raft/effects.ts";
import { forEachEntry } from "../../src/raft/entry.ts";
import { seededRandom } from "../../src/raft/random.ts";
import { LmdbStore, type LmdbStoreOptions, noGate } from "../../src/storage/index.ts";
import { inspectRecords } from "../../src/storage/inspect.ts";
import { inspectStore } from "../../src/storage/inspect-store.ts";
import { metaWrite } from "../../src/storage/layout.ts";
import { openForReading } from "../../src/storage/lmdb-reader.ts";
import { checkPages } from "../../src/storage/pages.ts";
import { readStore } from "../../src/storage/read-store.ts";
import type { Durability } from "../../src/storage/store.ts";
import type { EntryReport, ReadingDepth, StoreReport } from "../../src/storage/store-report.ts";
import { appendSingles, batchAfter, lastBatch, numbered, saveBatches, saveSnapshot } from "./fixtures/batches.ts";
import { flipBits } from "./fixtures/flip-bits.ts";
import { OPTIONS } from "./fixtures/options.ts";
import { temporaryFolder } from "./fixtures/stores.ts";
import { type Tables, withTables } from "./fixtures/tables.ts";
import { startThread } from "./fixtures/thread.ts";

function folder(): string {
  const { path, remove } = temporaryFolder();
  onTestFinished(remove);
  return path;
}

function open(path: string, change: Partial<LmdbStoreOptions> = {}): Promise<LmdbStore> {
  return LmdbStore.open({ ...OPTIONS, path, durability: "process", gate: noGate, ...change });
}

const CHUNKS = [Buffer.alloc(5_000, "a"), Buffer.alloc(20_000, "b"), Buffer.from("c")];

/** Terms 1 and 3, batches of many sizes, a snapshot of entry 40, a log from 31 on, and some left over of both. */
async function fill(path: string, durability: Durability = "process"): Promise<LmdbStore> {
  const store = await open(path, { durability });
  store.save({ ...EMPTY_SAVE, hardState: { currentTerm: 3, votedFor: "b" } });
  let last = appendSingles(store, lastBatch(store, 1), 29, 1);
  last = appendSingles(store, last, 20, 3);
  saveSnapshot(store, 20, [Buffer.from("old")]);
  saveSnapshot(store, 40, CHUNKS, { compactTo: 30 });
  for (const size of [10, 3_000, 100_000]) {
    last = batchAfter(last, { count: 3, data: "x".repeat(size) });
    saveBatches(store, last);
  }
  store.save({ ...EMPTY_SAVE, chunks: numbered([Buffer.from("set aside")]) });
  return store;
}

let original: string;
beforeAll(async () => {
  const { path, remove } = temporaryFolder();
  original = path;
  const store = await fill(path);
  await store.close();
  return remove;
});

/** A copy of the store, which was closed, with something done to it. */
function copied(change: (path: string) => void = () => {}): string {
  const path = join(folder(), "store");
  cpSync(original, path, { recursive: true });
  change(path);
  return path;
}

const FOUND = {
  format: 1,
  identity: OPTIONS.identity,
  incarnation: 1,
  hardState: { currentTerm: 3, votedFor: "b" },
  configuration: OPTIONS.configuration,
  log: {
    firstIndex: 31,
    lastIndex: 59,
    terms: [
      { firstIndex: 2, term: 1 },
      { firstIndex: 31, term: 3 },
    ],
    batches: 23,
  },
  snapshot: { index: 40, term: 3, chunks: 3, bytes: 25_001, version: 1 },
  problems: [],
  remarks: [],
};

/** All that a generator returns, without its pauses. */
function finish<Result>(steps: Generator<unknown, Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Reads the records in this process: for a store whose pages are sound. */
async function inspectHere(path: string, depth: ReadingDepth = "all"): Promise<StoreReport> {
  const records = await openForReading(path);
  try {
    return finish(inspectRecords(records, { depth }));
  } finally {
    await records.close();
  }
}

describe("an inspection", () => {
  it("tells what is in a store that nobody has open", async () => {
    const report = await inspectStore(copied());
    expect(report).toMatchObject(FOUND);
    expect(report.records.bad).toBe(0);
    expect(report.records.good).toBeGreaterThan(7 + 23 + 2 + 3);
  });

  it("goes through a durable machine's state too, what is in use of it and what is not", async () => {
    const path = folder();
    const store = await fill(path);
    const applied = { index: 55, time: 9, version: 4 };
    const records = (prefix: string, count: number) =>
      Array.from({ length: count }, (_, at) => ({ key: `${prefix}${at}`, value: Buffer.from("value") }));
    store.save(EMPTY_SAVE, { applied, records: records("old", 300) });
    const before = await inspectHere(path);
    store.machine.replace(records("new", 2_500), { ...applied, index: 56 });
    await store.close();
    const report = await inspectStore(path);
    expect(report).toMatchObject({ applied: { ...applied, index: 56 }, problems: [], records: { bad: 0 } });
    expect(report.records.good).toBe(before.records.good + 2_500);
    expect(report.records.unused).toBe(before.records.unused + 300);
    await withTables(path, ({ machine }) => {
      const key = Buffer.from("bnew7");
      const record = Buffer.from(machine.get(key) ?? []);
      record[5] = (record[5] ?? 0) ^ 1;
      machine.putSync(key, record);
    });
    const broken = await inspectStore(path);
    expect(broken.records.bad).toBe(1);
    expect(broken.problems.join()).toContain('the record bnew7 of "machine" fails its checksum');
  });

  it("tells the same of one that is open, and is written meanwhile", async () => {
    const path = folder();
    const store = await fill(path);
    onTestFinished(() => store.close());
    const before = lastBatch(store, 59);
    let last = before;
    const timer = setInterval(() => {
      last = batchAfter(last);
      saveBatches(store, last);
    }, 1);
    onTestFinished(() => clearInterval(timer));
    const report = await inspectStore(path);
    clearInterval(timer);
    expect(report.problems).toEqual([]);
    expect(report).toMatchObject({ hardState: FOUND.hardState, snapshot: FOUND.snapshot });
    expect(report.log?.firstIndex).toBe(31);
    expect(report.log?.lastIndex).toBeGreaterThanOrEqual(59);
    expect(last.lastIndex).toBeGreaterThan(before.lastIndex);
    expect(store.read(last.lastIndex, 1)[0]?.lastIndex).toBe(last.lastIndex);
  });

  /** A store with the entries 60..62 in its journal alone, which is open; and what a crash would leave of it now. */
  async function journaled(): Promise<{ path: string; crashed: string }> {
    const path = folder();
    await (await fill(path, "disk")).close();
    const store = await open(path, { durability: "disk", born: true });
    onTestFinished(() => store.close());
    appendSingles(store, lastBatch(store, 59), 3, 3);
    const crashed = join(folder(), "crashed");
    cpSync(path, crashed, { recursive: true });
    return { path, crashed };
  }
  const WITH_JOURNAL = { ...FOUND, incarnation: 2, log: { ...FOUND.log, lastIndex: 62, batches: 26 } };

  it("tells what a store has in its journal alone, while it is open and after a crash", async () => {
    const { path, crashed } = await journaled();
    expect(await inspectStore(path)).toMatchObject(WITH_JOURNAL);
    expect(await inspectStore(crashed)).toMatchObject(WITH_JOURNAL);
    rmSync(join(crashed, "lock.mdb"));
    expect(await inspectStore(crashed)).toMatchObject(WITH_JOURNAL);
    const journal = readFileSync(join(crashed, "journal"));
    expect(await readStore({ path: crashed, depth: "all", write: "disk" })).toMatchObject(WITH_JOURNAL);
    // Whoever opens the store takes it over, and not who only looks whether that is possible.
    expect(readFileSync(join(crashed, "journal")).equals(journal)).toBe(true);
    expect(await inspectStore(crashed)).toMatchObject(WITH_JOURNAL);
  });

  it("says that the journal is broken, and tells what is in the tables", async () => {
    const { crashed } = await journaled();
    rmSync(join(crashed, "journal"));
    for (const write of [undefined, "disk"] as const) {
      const report = await readStore({ path: crashed, depth: "all", write });
      expect(report).toMatchObject({ ...FOUND, problems: [expect.stringContaining("its journal is not there")] });
    }
  });

  it("takes the meta pages as of one moment while somebody writes them", async () => {
    const path = copied();
    const { transaction } = finish(checkPages(path, "metas"));
    const file = join(path, "data.mdb");
    const pageSize = readFileSync(file).readUInt32LE(48);
    const writer = startThread("meta-writer", { file, pageSize, from: transaction + 1 });
    onTestFinished(async () => {
      await writer.terminate();
    });
    await once(writer, "online");
    const seen = new Set<number>();
    while (seen.size < 1_000) {
      const report = finish(checkPages(path, "metas"));
      expect(report.problems).toEqual([]);
      seen.add(report.transaction);
    }
  });

  it("hands out the entries that are asked for, and no others", async () => {
    const entries: EntryReport[] = [];
    await inspectStore(copied(), { entries: [49, 54], onEntries: (some) => entries.push(...some) });
    expect(entries.map(({ index, term, data }) => [index, term, data.byteLength])).toEqual([
      [49, 3, 1],
      [50, 3, 1],
      [51, 3, 10],
      [52, 3, 10],
      [53, 3, 10],
      [54, 3, 3_000],
    ]);
  });

  it("changes no file, and makes none where there is no lock file", async () => {
    const path = copied((copy) => rmSync(join(copy, "lock.mdb")));
    const before = readFileSync(join(path, "data.mdb"));
    expect(await inspectStore(path)).toMatchObject(FOUND);
    expect(readdirSync(path)).toEqual(["data.mdb", "turns"]);
    expect(readFileSync(join(path, "data.mdb")).equals(before)).toBe(true);
  });

  it("does not guess at a newer format", async () => {
    const path = copied();
    const { key, value } = metaWrite("format", 2);
    await withTables(path, ({ meta }) => meta.putSync(key, value ?? Buffer.alloc(0)));
    const report = await inspectHere(path);
    expect(report).toMatchObject({ format: 2, problems: [], remarks: [expect.stringContaining("newer")] });
  });

  it("ends with its signal", async () => {
    const abort = new AbortController();
    const reading = inspectStore(copied(), { signal: abort.signal });
    abort.abort();
    await expect(reading).rejects.toMatchObject({ code: "ERR_ABORTED" });
    await expect(inspectStore(copied(), { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "ERR_ABORTED",
    });
  });
});

describe("what is wrong with a file", () => {
  it.each<[string, (path: string) => void, RegExp]>([
    [
      "it is something else",
      (path) => writeFileSync(join(path, "data.mdb"), "x".repeat(10_000)),
      /not (those of )?a database/,
    ],
    ["it was cut off", (path) => truncateSync(join(path, "data.mdb"), 20_000), /pages from/],
    ["it was cut off early", (path) => truncateSync(join(path, "data.mdb"), 100), /not (those of )?a database/],
  ])("is told, and ends nothing: %s", async (_what, change, problem) => {
    for (const write of [undefined, "disk"] as const) {
      const { problems } = await readStore({ path: copied(change), depth: "all", write });
      expect(problems[0]).toMatch(problem);
    }
  });

  it.each<[string, (path: string) => void, string]>([
    ["it is not there", (path) => rmSync(join(path, "data.mdb")), "there is no data file"],
    ["it is empty", (path) => truncateSync(join(path, "data.mdb")), "the data file is empty"],
  ])("is no damage for who would use it, to whom it is lost: %s", async (_what, change, why) => {
    expect((await inspectStore(copied(change))).problems).toEqual([why]);
    const report = await readStore({ path: copied(change), depth: "all", write: "disk" });
    expect(report).toMatchObject({ problems: [], remarks: [why] });
  });

  const bytesAt = (at: number, change: (bytes: Buffer) => void) => (path: string) => {
    const bytes = readFileSync(join(path, "data.mdb"));
    change(bytes.subarray(at));
    writeFileSync(join(path, "data.mdb"), bytes);
  };
  const PAGE = 4_096;
  it.each<[string, (path: string) => void, RegExp]>([
    // The last transaction would be forgotten without a trace.
    ["an older meta page seems newer", bytesAt(152, (meta) => swapNewer(meta)), /do not follow each other/],
    ["the meta pages differ in flags", bytesAt(PAGE + 52, (meta) => meta.writeUInt16LE(0x1008)), /differ in freeFlags/],
    [
      "a meta page speaks of more than a file can have",
      bytesAt(PAGE + 44, (m) => m.writeUInt32LE(2 ** 30)),
      /speaks of/,
    ],
  ])("is seen in its meta pages: %s", (_what, change, problem) => {
    for (const depth of ["all", "metas"] as const) {
      expect(finish(checkPages(copied(change), depth)).problems.join()).toMatch(problem);
    }
  });

  function swapNewer(transaction: Buffer): void {
    const [first, second] = [transaction.readUInt32LE(0), transaction.readUInt32LE(PAGE)];
    transaction.writeUInt32LE(Math.max(first, second) + 2 ** 20, first < second ? 0 : PAGE);
  }
});

describe("what is wrong with a record", () => {
  const SOME = Buffer.from("zzzzzzzz");
  it.each<[string, (tables: Tables) => unknown, RegExp]>([
    ["a checksum in the log", ({ log }) => log.putSync(45, changed(log.get(45))), /entry 45 fails its checksum/],
    ["a batch that is gone", ({ log }) => log.removeSync(45), /entries 45..45 of the log are missing/],
    ["a batch in another's place", ({ log }) => log.putSync(45, log.get(46) ?? SOME), /entry 45 holds 46..46/],
    ["the last batch gone, as a torn tail", ({ log }) => log.removeSync(31), /entry 31 of the log is missing/],
    ["a chunk's checksum", ({ snapshot }) => snapshot.putSync(2, SOME), /chunk 1 of the snapshot of 40 fails/],
    ["a chunk that is gone", ({ snapshot }) => snapshot.removeSync(3), /has 2 chunks/],
    ["a run of terms", ({ terms }) => terms.removeSync(31), /do not fit/],
    ["the vote", ({ meta }) => meta.putSync("hardState", SOME), /"hardState" of "meta" fails its checksum/],
    ["the snapshot's record", ({ meta }) => meta.removeSync("snapshot"), /"snapshot" is missing/],
    ["a record that is not in use any more", ({ log }) => log.putSync(29, changed(log.get(29))), /fails its checksum/],
  ])("is named: %s", async (_what, change, problem) => {
    const path = copied();
    await withTables(path, change);
    const { problems } = await inspectHere(path);
    expect(problems.join("\n")).toMatch(problem);
  });

  it("does not keep the rest from being read", async () => {
    const path = copied();
    await withTables(path, ({ log }) => log.putSync(45, SOME));
    const report = await inspectHere(path);
    expect(report).toMatchObject({ hardState: FOUND.hardState, log: { firstIndex: 31, lastIndex: 59, batches: 22 } });
    expect(report.records.bad).toBe(1);
  });

  it("is not looked for everywhere when only the ends are read", async () => {
    const path = copied();
    await withTables(path, ({ log }) => log.removeSync(45));
    const report = await inspectHere(path, "ends");
    expect(report).toMatchObject({ problems: [], log: { firstIndex: 31, lastIndex: 59 } });
    await withTables(path, ({ log }) => log.removeSync(31));
    expect((await inspectHere(path, "ends")).problems).not.toEqual([]);
  });

  function changed(record: Uint8Array | undefined): Uint8Array {
    const copy = Buffer.from(record ?? []);
    copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1;
    return copy;
  }
});

describe("a file with flipped bits", () => {
  it.each([1, 2, 5, 20, 200])("%i of them: what is found sound holds what it held", async (count) => {
    const path = copied((copy) => flipBits(join(copy, "data.mdb"), count, count));
    const { problems } = await readStore({ path, depth: "all", write: "process" });
    if (problems.length > 0) return;
    const store = await open(path, { born: true });
    const state = { ...store.state, incarnation: 1 };
    const entries = entriesOf(store);
    const chunks = [...store.readSnapshot()];
    await store.close();
    const sound = await open(copied(), { born: true });
    expect(state).toEqual({ ...sound.state, incarnation: 1 });
    expect(entries).toEqual(entriesOf(sound));
    expect(chunks).toEqual([...sound.readSnapshot()]);
    await sound.close();
  });

  function entriesOf(store: LmdbStore): string[] {
    const entries: string[] = [];
    for (const batch of store.read(store.state.firstIndex, Number.POSITIVE_INFINITY)) {
      forEachEntry(batch, 1, (index, kind, data) => {
        entries.push(`${index} ${batch.term} ${kind} ${Buffer.from(data).toString("base64")}`);
      });
    }
    return entries;
  }

  it("never keeps its pages from being looked at", () => {
    let sound = 0;
    for (let seed = 1; seed <= 200; seed++) {
      const path = copied((copy) => flipBits(join(copy, "data.mdb"), 1 + (seed % 40), seed));
      const { problems } = finish(checkPages(path, "all"));
      if (problems.length === 0) sound++;
    }
    expect(sound).toBeLessThan(200);
  });
});

describe("the pages of a store", () => {
  it("are found sound whatever it has been through", async () => {
    const path = folder();
    const random = seededRandom(1);
    for (let life = 0; life < 3; life++) {
      const store = await open(path, { born: life > 0 });
      const { lastIndex, snapshot } = store.state;
      let last = lastBatch(store, lastIndex);
      let covered = snapshot?.index ?? 0;
      for (let step = 0; step < 150; step++) {
        const size = random() < 0.1 ? 20_000 : 200;
        last = batchAfter(last, { count: 1 + Math.floor(random() * 5), data: "x".repeat(random() * size) });
        saveBatches(store, last);
        if (random() < 0.05) {
          const chunks = Array.from({ length: 1 + Math.floor(random() * 10) }, () => Buffer.alloc(random() * 30_000));
          saveSnapshot(store, last.lastIndex, chunks, { compactTo: covered === 0 ? undefined : covered });
          covered = last.lastIndex;
        }
        if (random() < 0.05) store.sweep();
        if (step % 10 === 0) expect(finish(checkPages(path, "all")).problems).toEqual([]);
      }
      await store.close();
    }
    expect(await inspectHere(path)).toMatchObject({ problems: [] });
  });
});
