import assert from "node:assert/strict";
import { CHUNKS, checkThoroughly, install, takeSnapshot, withLog } from "./snapshot-steps.ts";
import { type CaseBody, crashAndCheck, dataOf } from "./subject.ts";

/** Logs that do not begin with the first entry: compacted, or begun anew behind a snapshot. */
export const compactionCases: readonly CaseBody[] = [
  ...[4, 7, 10, 13].map(
    (compactTo): CaseBody => ({
      name: `compacts a log of 13 entries to entry ${compactTo}, and appends to it`,
      async body(fixture) {
        const subject = await withLog(fixture);
        takeSnapshot(subject, 13, compactTo);
        await checkThoroughly(fixture, subject);
        subject.append([[dataOf(9, 30), dataOf(8, 3)]]);
        subject.append([[dataOf(7, 20)]], { term: 5 });
        await checkThoroughly(fixture, subject);
      },
    }),
  ),
  {
    name: "keeps a tail behind the snapshot's entry and before it",
    async body(fixture) {
      const subject = await withLog(fixture);
      takeSnapshot(subject, 9, 4);
      await checkThoroughly(fixture, subject);
      assert.deepEqual(subject.store.state.terms, [
        { firstIndex: 2, term: 1 },
        { firstIndex: 8, term: 2 },
      ]);
    },
  },
  {
    name: "tells the term before the log when all entries of it are gone",
    async body(fixture) {
      const subject = await withLog(fixture);
      takeSnapshot(subject, 9, 7);
      await checkThoroughly(fixture, subject);
      assert.deepEqual(subject.store.state.terms, [
        { firstIndex: 2, term: 1 },
        { firstIndex: 8, term: 2 },
      ]);
      takeSnapshot(subject, 10, 10);
      await checkThoroughly(fixture, subject);
      assert.deepEqual(subject.store.state.terms, [{ firstIndex: 8, term: 2 }]);
    },
  },
  {
    name: "appends to an empty log, drops all of it again, and still knows the term and time before",
    async body(fixture) {
      const subject = await withLog(fixture);
      takeSnapshot(subject, 13, 13);
      await checkThoroughly(fixture, subject);
      subject.append([[dataOf(9, 30), dataOf(8, 3)]], { term: 4 });
      subject.append([[dataOf(7, 30)]], { term: 5 });
      await checkThoroughly(fixture, subject);
      subject.append([], { truncateFrom: 14 });
      await checkThoroughly(fixture, subject);
      assert.deepEqual(subject.store.state.terms, [{ firstIndex: 8, term: 2 }]);
      subject.append([[dataOf(6, 6)]], { term: 6 });
      await checkThoroughly(fixture, subject);
      subject.append([[dataOf(5, 5)]], { truncateFrom: 14, term: 7 });
      await checkThoroughly(fixture, subject);
    },
  },
  {
    name: "takes a batch at any position behind an empty log",
    async body(fixture) {
      const subject = await withLog(fixture);
      takeSnapshot(subject, 13, 13);
      subject.base = { ...subject.base, position: subject.base.position + 1_000 };
      subject.append([[dataOf(1, 10)]]);
      subject.append([[dataOf(2, 10)]]);
      await checkThoroughly(fixture, subject);
    },
  },
  {
    name: "appends and compacts in one save, to the end of the batch it appends",
    async body(fixture) {
      const subject = await withLog(fixture);
      const data = [[dataOf(1, 10)], [dataOf(2, 10), dataOf(3, 10)]];
      subject.append(data, { chunks: subject.numbered(CHUNKS), snapshot: subject.infoOf(CHUNKS, 13), compactTo: 13 });
      await checkThoroughly(fixture, subject);
      const info = { ...subject.infoOf(CHUNKS), index: 18 };
      subject.append(data, { chunks: subject.numbered(CHUNKS), snapshot: info, compactTo: 17 });
      await checkThoroughly(fixture, subject);
    },
  },
  {
    name: "cuts a batch and compacts to the cut in one save",
    async body(fixture) {
      const subject = await withLog(fixture);
      takeSnapshot(subject, 9);
      subject.append([[dataOf(1, 10)]], { truncateFrom: 10, compactTo: 9, term: 3 });
      await checkThoroughly(fixture, subject);
      subject.append([], { truncateFrom: 10 });
      await checkThoroughly(fixture, subject);
    },
  },
  {
    name: "compacts to where it was compacted already",
    async body(fixture) {
      const subject = await withLog(fixture);
      takeSnapshot(subject, 13, 7);
      for (const compactTo of [7, 4, 1]) subject.append([], { compactTo });
      await checkThoroughly(fixture, subject);
    },
  },
  ...(
    [
      ["far behind its log", 40],
      ["right behind its log", 14],
      ["of the last entry", 13],
      ["in the middle of its log", 6],
      ["of its first entry", 1],
    ] as const
  ).map(
    ([where, index]): CaseBody => ({
      name: `installs a snapshot ${where}, and appends to it`,
      async body(fixture) {
        const subject = await withLog(fixture);
        install(subject, index, 3);
        await checkThoroughly(fixture, subject);
        for (const term of [3, 3, 4]) subject.append([[dataOf(index, 30), dataOf(term, 3)]], { term });
        await checkThoroughly(fixture, subject);
        subject.append([], { truncateFrom: index + 2 });
        await checkThoroughly(fixture, subject);
        subject.append([], { truncateFrom: index + 1 });
        await checkThoroughly(fixture, subject);
        assert.deepEqual(subject.store.state.terms, [{ firstIndex: index, term: 3 }]);
      },
    }),
  ),
  {
    name: "installs a snapshot of the last entry in place of one that began a term",
    async body(fixture) {
      const subject = await withLog(fixture);
      subject.append([[dataOf(1, 10)]], { term: 3 });
      install(subject, 14, 4);
      await checkThoroughly(fixture, subject);
    },
  },
  {
    name: "installs a snapshot and appends in the same save, over records of the same indices that are left over",
    async body(fixture) {
      const subject = await withLog(fixture);
      for (let seed = 0; seed < 500; seed++) subject.append([[dataOf(seed, 20)]]);
      // Nothing of the old log is removed yet.
      install(subject, 20, 3, [[dataOf(1, 40), dataOf(2, 40)], [dataOf(3, 40)]]);
      subject.check({ fresh: false });
      await crashAndCheck(fixture, subject);
      subject.append([[dataOf(4, 40), dataOf(5, 40)]], { truncateFrom: 22, term: 6 });
      await crashAndCheck(fixture, subject);
      install(subject, 21, 7, [[dataOf(6, 40)]]);
      await crashAndCheck(fixture, subject);
      takeSnapshot(subject, 22, 22);
      await checkThoroughly(fixture, subject);
    },
  },
];
