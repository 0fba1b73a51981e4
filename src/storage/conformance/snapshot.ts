import assert from "node:assert/strict";
import { InvariantError } from "../../raft/errors.ts";
import { CHUNKS, checkThoroughly, takeSnapshot, withLog } from "./snapshot-steps.ts";
import { BORN, begin, type CaseBody, crashAndCheck, dataOf, free } from "./subject.ts";

/** Setting snapshots aside, putting them in force, reading them, and being rid of them. */
export const snapshotCases: readonly CaseBody[] = [
  {
    name: "reads a snapshot back that was set aside over several saves, and knows none before",
    async body(fixture) {
      const subject = await withLog(fixture);
      subject.append([[dataOf(7, 7)]], { chunks: subject.numbered(CHUNKS.slice(0, 2)) });
      subject.append([], { chunks: subject.numbered(CHUNKS.slice(2)) });
      subject.check({ fresh: false });
      assert.equal(subject.store.readChunk(13, 0), undefined);
      subject.append([[dataOf(8, 8)]], { snapshot: subject.infoOf(CHUNKS, 13) });
      await checkThoroughly(fixture, subject);
      assert.deepEqual(
        CHUNKS.map((_, chunk) => subject.store.readChunk(13, chunk)?.byteLength),
        CHUNKS.map(({ byteLength }) => byteLength),
      );
    },
  },
  {
    name: "answers for the snapshot in force alone",
    async body(fixture) {
      const subject = await withLog(fixture);
      takeSnapshot(subject, 6);
      takeSnapshot(subject, 8, undefined, [dataOf(9, 9)]);
      subject.append([], { chunks: subject.numbered(CHUNKS) });
      const lengths = [6, 7, 8, 9].map((index) => subject.store.readChunk(index, 0)?.byteLength);
      assert.deepEqual(lengths, [undefined, undefined, 9, undefined]);
      assert.throws(() => subject.store.readChunk(8, 1), InvariantError);
    },
  },
  {
    name: "hands out chunks that are the caller's to change, and keeps copies",
    async body(fixture) {
      const subject = await withLog(fixture);
      const chunks = CHUNKS.map((chunk) => chunk.slice());
      takeSnapshot(subject, 13, undefined, chunks);
      for (const chunk of [...chunks, ...subject.store.readSnapshot()]) chunk.fill(0xff);
      subject.check({ fresh: false });
    },
  },
  {
    name: "hands out each chunk in a buffer of its own, which the caller may free",
    async body(fixture) {
      const subject = await withLog(fixture);
      takeSnapshot(subject, 13, undefined, CHUNKS);
      const [first, ...others] = subject.store.readSnapshot();
      assert.ok(first !== undefined && others.length > 0);
      const before = first.slice();
      for (const chunk of others) free(chunk);
      assert.deepEqual(first, before);
      subject.check({ fresh: false });
    },
  },
  {
    name: "takes chunks of more than a mebibyte in one save, of the usual size and others",
    async body(fixture) {
      const subject = await withLog(fixture);
      const sizes = [128 << 10, 128 << 10, 300 << 10, 1, 128 << 10, 500 << 10, 128 << 10, 7];
      takeSnapshot(
        subject,
        6,
        undefined,
        sizes.map((size, at) => dataOf(at, size)),
      );
      await crashAndCheck(fixture, subject);
      takeSnapshot(subject, 13);
      await checkThoroughly(fixture, subject);
    },
  },
  {
    name: "replaces one snapshot by the next, again and again",
    async body(fixture) {
      const subject = await withLog(fixture);
      for (let index = 1; index <= 13; index++) {
        takeSnapshot(subject, index, undefined, [dataOf(index, 50), dataOf(index + 1, 1_000)]);
        subject.check({ fresh: false });
        if (index % 3 === 0) await crashAndCheck(fixture, subject);
      }
      await checkThoroughly(fixture, subject);
    },
  },
  {
    name: "ends the reading of a snapshot that was replaced meanwhile",
    async body(fixture) {
      const subject = await withLog(fixture);
      takeSnapshot(subject, 6);
      const chunks = subject.store.readSnapshot()[Symbol.iterator]();
      chunks.next();
      takeSnapshot(subject, 7);
      assert.throws(() => chunks.next(), InvariantError);
    },
  },
  {
    name: "begins anew with chunk 0, and drops what was set aside before",
    async body(fixture) {
      const subject = await withLog(fixture);
      for (let attempt = 1; attempt <= 5; attempt++) {
        subject.append([], { chunks: subject.numbered([dataOf(attempt, 100), dataOf(attempt, 200)], 0) });
      }
      subject.append([], { chunks: subject.numbered([dataOf(9, 9)]) });
      subject.append([], { snapshot: subject.infoOf() });
      assert.equal(subject.chunks.length, 3);
      await checkThoroughly(fixture, subject);
    },
  },
  {
    name: "begins anew in the middle of a save",
    async body(fixture) {
      const subject = await withLog(fixture);
      const chunks = [...subject.numbered(CHUNKS, 0), ...subject.numbered([dataOf(9, 9), dataOf(8, 8)], 0)];
      subject.append([], { chunks, snapshot: subject.infoOf([dataOf(9, 9), dataOf(8, 8)]) });
      await checkThoroughly(fixture, subject);
    },
  },
  {
    name: "forgets what was set aside when it crashes or closes, and begins anew",
    async body(fixture) {
      const subject = await withLog(fixture);
      takeSnapshot(subject, 5);
      for (const seed of [1, 2]) {
        subject.append([], { chunks: subject.numbered([dataOf(seed, 500), dataOf(seed, 600)]) });
        await crashAndCheck(fixture, subject);
        subject.append([], { chunks: subject.numbered([dataOf(seed, 700)]) });
        await subject.store.close();
        subject.reopened(await fixture.open(BORN));
      }
      takeSnapshot(subject, 6);
      await checkThoroughly(fixture, subject);
    },
  },
  {
    name: "sweeps step by step what 2,000 compacted entries and 200 chunks leave over",
    async body(fixture) {
      const subject = await withLog(fixture);
      const batches = Array.from({ length: 2_000 }, (_, seed) => [dataOf(seed, 16)]);
      for (const term of [3, 4]) subject.append(batches, { term });
      const chunks = Array.from({ length: 200 }, (_, seed) => dataOf(seed, 300));
      takeSnapshot(subject, 2_000, undefined, chunks);
      subject.append([], { chunks: subject.numbered(chunks) });
      await crashAndCheck(fixture, subject);
      takeSnapshot(subject, 2_013, 2_012);
      const before = subject.sweep();
      assert.ok(before > 1, "it takes more than one step");
      subject.check({ fresh: false });
      assert.equal(subject.sweep(), 1, "nothing is left");
      await crashAndCheck(fixture, subject);
      assert.equal(subject.sweep(), 1, "nothing is left after a crash");
    },
  },
  {
    name: "has nothing to sweep when it is new",
    async body(fixture) {
      const subject = await begin(fixture);
      assert.equal(subject.store.sweep(), false);
      await crashAndCheck(fixture, subject);
    },
  },
];
