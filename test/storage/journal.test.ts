import { cpSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EMPTY_SAVE } from "../../src/raft/effects.ts";
import { decodeRecord, encodeRecord } from "../../src/storage/codec.ts";
import { plainEntries } from "../../src/storage/conformance/subject.ts";
import { LmdbStore, noGate, type StoreOptions } from "../../src/storage/index.ts";
import { JOURNAL_BYTES } from "../../src/storage/journal-file.ts";
import {
  BLOCK_BYTES,
  decodeJournalRecord,
  encodeJournalRecord,
  ID_BYTES,
  JOURNAL_FORMAT,
  type JournalRecord,
  readJournal,
} from "../../src/storage/journal-format.ts";
import type { RecordWrite } from "../../src/storage/records.ts";
import { appendSingles, batchAfter, lastBatch } from "./fixtures/batches.ts";
import { OPTIONS } from "./fixtures/options.ts";
import { temporaryFolder } from "./fixtures/stores.ts";
import { withTables } from "./fixtures/tables.ts";

const ID = new Uint8Array(ID_BYTES).fill(7);
const HEX = Buffer.from(ID).toString("hex");

/** A journal of 16 blocks. */
function emptyJournal(): Uint8Array {
  return new Uint8Array(16 * BLOCK_BYTES);
}

/** One write that says which record it is in. */
function written(number: number, byteLength = 10): RecordWrite[] {
  return [{ table: "log", key: number, value: new Uint8Array(byteLength).fill(number), append: true }];
}

/** Writes records one behind the other from the first block on. @returns where the last one begins. */
function fill(journal: Uint8Array, numbers: readonly number[], byteLength?: number): number {
  let at = 0;
  let next = 0;
  for (const number of numbers) {
    at = next;
    const record = encodeJournalRecord(journal, at, ID, number, written(number, byteLength));
    if (record === undefined) throw new Error("no room");
    next = record.end;
  }
  return at;
}

/** What is in a journal beside which there is no value file. */
function read(journal: Uint8Array, id: string, taken: number): JournalRecord[] {
  return readJournal(journal, [], { id, taken, values: { files: [], at: 0 } });
}

function keysIn(journal: Uint8Array, taken: number): (string | number)[] {
  return read(journal, HEX, taken).flatMap(({ writes }) => writes.map(({ key }) => key));
}

describe("a record of the journal", () => {
  const numbered = fc.record({
    table: fc.constantFrom("log", "terms", "snapshot"),
    key: fc.nat(Number.MAX_SAFE_INTEGER),
    value: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
    append: fc.boolean(),
  });
  const named = fc.record({
    table: fc.constantFrom("meta", "machine"),
    key: fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: "binary", maxLength: 40 })),
    value: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
    append: fc.constant(false),
  });

  it("is read as it was written, whatever is in it", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(numbered, named), { maxLength: 20 }), fc.nat(5), (writes, block) => {
        const journal = emptyJournal();
        const encoded = encodeJournalRecord(journal, block * BLOCK_BYTES, ID, 9, writes as RecordWrite[]);
        const decoded = decodeJournalRecord(journal, block * BLOCK_BYTES, ID);
        expect(decoded).toEqual({ number: 9, writes, long: [], end: encoded?.end });
        expect(encoded?.writes.map(({ value }) => value)).toEqual(writes.map(({ value }) => value));
      }),
    );
  });

  it("is refused when there is no room for it, up to the last byte", () => {
    const overhead = 28 + 1 + 8 + 4;
    const journal = emptyJournal();
    const at = 15 * BLOCK_BYTES;
    expect(encodeJournalRecord(journal, at, ID, 1, written(1, BLOCK_BYTES - overhead))?.end).toBe(16 * BLOCK_BYTES);
    expect(encodeJournalRecord(journal, at, ID, 1, written(1, BLOCK_BYTES - overhead + 1))).toBeUndefined();
    expect(encodeJournalRecord(journal, 16 * BLOCK_BYTES, ID, 1, [])).toBeUndefined();
  });

  it("is not taken for sound with any of its bytes changed", () => {
    const journal = emptyJournal();
    fill(journal, [1], 100);
    const length = 28 + 1 + 8 + 4 + 100;
    for (let at = 0; at < length; at++) {
      const changed = journal.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      expect(decodeJournalRecord(changed, 0, ID)).toBeUndefined();
    }
  });
});

describe("a journal", () => {
  it("ends before a record that was cut off anywhere", () => {
    const before = emptyJournal();
    fill(before, [1, 2]);
    const whole = before.slice();
    const from = fill(whole, [1, 2, 3], 10_000);
    for (let cut = 0; cut < 10_000; cut += 97) {
      const torn = before.slice();
      torn.set(whole.subarray(0, from + cut));
      expect(keysIn(torn, 0)).toEqual([1, 2]);
    }
    expect(keysIn(whole, 0)).toEqual([1, 2, 3]);
  });

  it("ends where what is left of the last round begins", () => {
    const journal = emptyJournal();
    fill(journal, [1, 2, 3, 4, 5, 6]);
    expect(keysIn(journal, 6)).toEqual([]);
    fill(journal, [7, 8]);
    expect(keysIn(journal, 6)).toEqual([7, 8]);
  });

  it.each([
    ["is broken", (journal: Uint8Array) => journal.fill(0, BLOCK_BYTES, BLOCK_BYTES + 5), 0],
    ["is of the last round", (journal: Uint8Array) => journal.copyWithin(BLOCK_BYTES, 0, BLOCK_BYTES), 0],
    ["was begun anew behind what the tables have", (journal: Uint8Array) => fill(journal, [4, 5]), 2],
  ])("is broken when a record %s and later ones are there", (_name, change, taken) => {
    const journal = emptyJournal();
    fill(journal, [1, 2, 3]);
    change(journal);
    expect(() => keysIn(journal, taken)).toThrow(
      expect.objectContaining({ code: "ERR_STORAGE_CORRUPT", message: expect.stringContaining("missing or broken") }),
    );
  });

  it("holds nothing of one with another id", () => {
    const journal = emptyJournal();
    fill(journal, [1, 2, 3]);
    expect(read(journal, "0011223344556677", 0)).toEqual([]);
  });
});

describe("a store with a journal", () => {
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

  async function open(at = path, change: Partial<StoreOptions & { durability: "process" }> = {}): Promise<LmdbStore> {
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

  /** What is left of a store whose entries are in its journal alone. */
  async function crashed(): Promise<string> {
    const store = await open();
    appendSingles(store, lastBatch(store, 1), 5);
    const copy = left();
    expect(await withTables(copy, ({ log }) => log.getKeysCount())).toBe(0);
    return copy;
  }

  it("has a journal of the same length from the beginning to the end", async () => {
    const store = await open();
    const size = () => statSync(join(path, "journal")).size;
    expect(size()).toBe(JOURNAL_BYTES);
    appendSingles(store, lastBatch(store, 1), 100);
    await store.close();
    expect(size()).toBe(JOURNAL_BYTES);
  });

  it("finds after a crash what is in its journal alone", async () => {
    const copy = await crashed();
    expect((await open(copy, { born: true })).state).toMatchObject({ lastIndex: 6, incarnation: 2 });
  });

  it("finds it too when it goes on with durability `process`, and then needs its journal no more", async () => {
    const copy = await crashed();
    const store = await open(copy, { born: true, durability: "process" });
    rmSync(join(copy, "journal"));
    await store.close();
    expect((await open(copy, { born: true })).state).toMatchObject({ lastIndex: 6, incarnation: 3 });
  });

  it("needs no journal once it was closed, and takes none for its own that is left over", async () => {
    const copy = await crashed();
    for (const store of stores.splice(0)) await store.close();
    cpSync(join(copy, "journal"), join(path, "journal"));
    const store = await open(path, { born: true });
    expect(store.state.lastIndex).toBe(6);
    await store.close();
    rmSync(join(path, "journal"));
    expect((await open(path, { born: true })).state).toMatchObject({ lastIndex: 6, incarnation: 3 });
  });

  it.each([
    ["is gone", (file: string) => rmSync(file)],
    ["was cut off", (file: string) => truncateSync(file, JOURNAL_BYTES / 2)],
    [
      "has a changed byte before its last record",
      (file: string) => {
        const bytes = readFileSync(file);
        bytes[2 * BLOCK_BYTES + 30] = (bytes[2 * BLOCK_BYTES + 30] ?? 0) ^ 1;
        writeFileSync(file, bytes);
      },
    ],
  ])("does not open after a crash when its journal %s", async (_name, change) => {
    const copy = await crashed();
    change(join(copy, "journal"));
    await expect(open(copy, { born: true })).rejects.toMatchObject({ code: "ERR_STORAGE_CORRUPT" });
  });

  /** A save that goes past the journal, with which all that waits there goes into the tables. */
  function takeOver(store: LmdbStore): void {
    const records = [{ key: "k", value: Buffer.alloc(JOURNAL_BYTES / 2) }];
    store.save(EMPTY_SAVE, { applied: { index: 1, time: 0, version: 1 }, records });
  }

  it.each([0, 3])(
    "does not open with the tables of a time before its journal began anew, with %i saves in it",
    async (count) => {
      const store = await open();
      takeOver(store);
      const before = left();
      appendSingles(store, lastBatch(store, 1), count);
      takeOver(store);
      appendSingles(store, lastBatch(store, 1 + count), 2);
      const after = left();
      cpSync(join(after, "journal"), join(before, "journal"));
      expect((await open(after, { born: true })).state.lastIndex).toBe(3 + count);
      await expect(open(before, { born: true })).rejects.toMatchObject({ code: "ERR_STORAGE_CORRUPT" });
    },
  );

  it("leaves a journal of another format to the version that wrote it", async () => {
    const copy = await crashed();
    const pointer = await withTables(copy, ({ meta }) => {
      const found = decodeRecord("meta", "journal", meta.get("journal") ?? new Uint8Array()) as object;
      meta.putSync("journal", encodeRecord("meta", "journal", { ...found, format: JOURNAL_FORMAT + 1 }));
      return found;
    });
    await expect(open(copy, { born: true })).rejects.toMatchObject({
      code: "ERR_STORAGE_LOST",
      message: expect.stringContaining(`in format ${JOURNAL_FORMAT + 1}`),
    });
    await withTables(copy, ({ meta }) => meta.putSync("journal", encodeRecord("meta", "journal", pointer)));
    expect((await open(copy, { born: true })).state.lastIndex).toBe(6);
  });

  it("is whole after a crash between any two saves, while its journal fills and begins anew", async () => {
    const store = await open();
    let last = lastBatch(store, 1);
    // A save takes a block at least: more than two rounds.
    const saves = (2.5 * JOURNAL_BYTES) / BLOCK_BYTES;
    for (let save = 1; save <= saves; save++) {
      last = batchAfter(last, { term: Math.ceil(save / 100), data: `entry ${last.lastIndex + 1}` });
      store.save({ ...EMPTY_SAVE, hardState: { currentTerm: save, votedFor: "b" }, batches: [last] });
      if (save % 151 !== 0) continue;
      const found = await open(left(), { born: true });
      expect(found.state).toMatchObject({ lastIndex: last.lastIndex, hardState: { currentTerm: save, votedFor: "b" } });
      expect(plainEntries(found.read(1, 1e9))).toEqual(plainEntries(store.read(1, 1e9)));
      expect(plainEntries(store.read(last.lastIndex, 1))).toEqual(plainEntries([last]));
    }
  });
});
