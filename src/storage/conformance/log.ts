import assert from "node:assert/strict";
import { EMPTY_SAVE } from "../../raft/effects.ts";
import { parseBatch } from "../../raft/entry.ts";
import { BORN, begin, type CaseBody, crashAndCheck, dataOf, free, plainEntries, type Subject } from "./subject.ts";

/** Entries 2..7 in two batches of three, of term 1. */
function appendTwoBatches(subject: Subject): void {
  subject.append([[1, 2, 3].map((seed) => dataOf(seed, 20)), [4, 5, 6].map((seed) => dataOf(seed, 30))], { term: 1 });
}

function truncationCase(name: string, truncateFrom: number): CaseBody {
  return {
    name,
    async body(fixture) {
      const subject = await begin(fixture);
      appendTwoBatches(subject);
      subject.append([], { truncateFrom });
      subject.check({ fresh: false });
      await crashAndCheck(fixture, subject);
      subject.append([[dataOf(9, 5)]], { term: 2 });
      subject.check({ fresh: false });
      await crashAndCheck(fixture, subject);
    },
  };
}

/** Appending, dropping and reading entries. */
export const logCases: readonly CaseBody[] = [
  {
    name: "reads back what was appended, before and after a crash",
    async body(fixture) {
      const subject = await begin(fixture);
      appendTwoBatches(subject);
      subject.check({ fresh: false });
      await crashAndCheck(fixture, subject);
    },
  },
  truncationCase("drops entries from within a batch on", 6),
  truncationCase("drops entries from the beginning of a batch on", 5),
  truncationCase("drops entries from within a batch and all batches behind it", 3),
  truncationCase("drops everything behind the first entry", 2),
  truncationCase("drops the last entry alone", 7),
  {
    name: "drops nothing when the log ends before the cut",
    async body(fixture) {
      const subject = await begin(fixture);
      appendTwoBatches(subject);
      subject.append([], { truncateFrom: 8 });
      await crashAndCheck(fixture, subject);
    },
  },
  {
    name: "drops and appends in one save",
    async body(fixture) {
      const subject = await begin(fixture);
      appendTwoBatches(subject);
      const hardState = { currentTerm: 4, votedFor: undefined };
      subject.append([[dataOf(7, 11)], [dataOf(8, 12), dataOf(9, 13)]], { truncateFrom: 3, term: 4, hardState });
      subject.check({ fresh: false });
      await crashAndCheck(fixture, subject);
      assert.deepEqual(subject.store.state.hardState, hardState);
    },
  },
  {
    name: "forgets the terms of dropped entries and learns the new ones",
    async body(fixture) {
      const subject = await begin(fixture);
      for (const term of [1, 2, 5]) subject.append([[dataOf(term, 8), dataOf(term, 9)]], { term });
      subject.append([[dataOf(6, 8)]], { truncateFrom: 5, term: 6 });
      await crashAndCheck(fixture, subject);
      assert.deepEqual(subject.store.state.terms, [
        { firstIndex: 1, term: 0 },
        { firstIndex: 2, term: 1 },
        { firstIndex: 4, term: 2 },
        { firstIndex: 5, term: 6 },
      ]);
    },
  },
  {
    name: "reads from the batch that holds the entry, and no earlier one",
    async body(fixture) {
      const subject = await begin(fixture);
      appendTwoBatches(subject);
      const firstIndices = [2, 3, 4, 5, 6, 7].map((from) => subject.store.read(from, 1)[0]?.firstIndex);
      assert.deepEqual(firstIndices, [2, 2, 2, 5, 5, 5]);
    },
  },
  {
    name: "reads at least one batch, and ends with the one that reaches the limit",
    async body(fixture) {
      const subject = await begin(fixture);
      for (let seed = 0; seed < 10; seed++) subject.append([[dataOf(seed, 100)]], { term: 1 });
      const size = subject.store.read(2, 1)[0]?.bytes.byteLength ?? 0;
      const counts = [0, 1, size, size + 1, 2 * size, 5 * size, 1e9].map((max) => subject.store.read(3, max).length);
      assert.deepEqual(counts, [1, 1, 1, 2, 2, 5, 9]);
    },
  },
  {
    name: "reads one batch at the end of the log",
    async body(fixture) {
      const subject = await begin(fixture);
      appendTwoBatches(subject);
      const batches = subject.store.read(7, 1e9);
      assert.deepEqual(plainEntries(batches), plainEntries(subject.batches.slice(-1)));
    },
  },
  {
    name: "hands out bytes that later reads and saves leave alone",
    async body(fixture) {
      const subject = await begin(fixture);
      appendTwoBatches(subject);
      const batches = subject.store.read(1, 1e9);
      const before = plainEntries(batches);
      subject.append([[dataOf(200, 40)]], { truncateFrom: 3, term: 2 });
      subject.store.read(1, 1e9);
      assert.deepEqual(plainEntries(batches), before);
    },
  },
  {
    name: "hands out bytes that are the caller's to change",
    async body(fixture) {
      const subject = await begin(fixture);
      appendTwoBatches(subject);
      for (const batch of subject.store.read(1, 1e9)) batch.bytes.fill(0xff);
      subject.check({ fresh: false });
    },
  },
  {
    name: "hands out each batch in a buffer of its own, which the caller may free",
    async body(fixture) {
      const subject = await begin(fixture);
      appendTwoBatches(subject);
      const [first, ...others] = subject.store.read(1, 1e9);
      const again = subject.store.read(1, 1e9);
      assert.ok(first !== undefined && others.length > 0);
      const before = plainEntries([first]);
      for (const { bytes } of [...others, ...again]) free(bytes);
      assert.deepEqual(plainEntries([first]), before);
      subject.check({ fresh: false });
    },
  },
  {
    name: "takes batches that lie in the middle of a larger buffer",
    async body(fixture) {
      const subject = await begin(fixture);
      const batch = subject.prepare([dataOf(1, 33)], 1);
      const message = new Uint8Array(batch.bytes.byteLength + 20).fill(0xee);
      message.set(batch.bytes, 7);
      subject.store.save({ ...EMPTY_SAVE, batches: [parseBatch(message, 7)] });
      assert.ok(message.subarray(0, 7).every((byte) => byte === 0xee));
      await crashAndCheck(fixture, subject);
    },
  },
  {
    name: "keeps a copy of a batch, and changes nothing in it but the checksum",
    async body(fixture) {
      const subject = await begin(fixture);
      const batch = subject.prepare([dataOf(1, 20), dataOf(2, 20)], 1);
      const before = batch.bytes.slice();
      subject.store.save({ ...EMPTY_SAVE, batches: [batch] });
      assert.deepEqual(batch.bytes.subarray(4), before.subarray(4));
      batch.bytes.fill(0xff);
      subject.check({ fresh: false });
    },
  },
  {
    name: "keeps entries of 1 MiB whole",
    async body(fixture) {
      const subject = await begin(fixture);
      subject.append([[dataOf(1, 1 << 20)], [dataOf(2, 5), dataOf(3, 1 << 20)]], { term: 1 });
      subject.append([], { truncateFrom: 4 });
      subject.append([[dataOf(4, (1 << 20) + 1)]]);
      subject.check({ fresh: false });
      await crashAndCheck(fixture, subject);
    },
  },
  {
    name: "keeps 5,000 batches that were saved one at a time",
    async body(fixture) {
      const subject = await begin(fixture);
      for (let seed = 0; seed < 5_000; seed++)
        subject.append([[dataOf(seed, 16)]], { term: 1 + Math.floor(seed / 1_000) });
      await crashAndCheck(fixture, subject);
      subject.append([], { truncateFrom: 2_500 });
      await crashAndCheck(fixture, subject);
      assert.equal((await fixture.reopen(BORN)).state.lastIndex, 2_499);
    },
  },
];
