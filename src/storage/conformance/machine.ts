import assert from "node:assert/strict";
import { EMPTY_SAVE } from "../../raft/effects.ts";
import type { FrozenTable } from "../records.ts";
import type { MachineTable, Store } from "../store.ts";
import { withLog } from "./snapshot-steps.ts";
import { begin, type CaseBody, crashAndCheck, dataOf, type Subject } from "./subject.ts";

/** Keys of all kinds, in the order of their UTF-16 units: there a pair of units comes before the last of the single ones. */
const KEYS = [
  "",
  "\0",
  "a",
  "a\0",
  "aa",
  "b",
  "bytes\u007f",
  "é",
  "日本",
  "\ud7ff",
  "\ud83d\ude00",
  "\ue000",
  "\uffff",
];
const ALL = { from: "", to: "\uffff\uffff", limit: 1_000 };

/** What a table holds, as text. */
function contentOf(table: Pick<FrozenTable, "page">): [key: string, value: string][] {
  const content: [string, string][] = [];
  for (let from = ALL.from; ; ) {
    const page = table.page({ ...ALL, from, limit: 3 });
    for (const { key, value } of page) content.push([key, textOf(value)]);
    const last = page.at(-1);
    if (last === undefined) return content;
    from = `${last.key}\0`;
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

/** Saves a change, which the subject expects from now on. */
function change(subject: Subject, index: number, records: Readonly<Record<string, string | undefined>>): void {
  const applied = { index, time: 1_000 + index, version: 2 };
  const list = Object.entries(records).map(([key, value]) => ({
    key,
    value: value === undefined ? undefined : Buffer.from(value, "latin1"),
  }));
  subject.store.save(EMPTY_SAVE, { applied, records: list });
  subject.applied = applied;
}

function* recordsOf(content: readonly (readonly [key: string, value: Uint8Array])[]) {
  for (const [key, value] of content) yield { key, value };
}

/** The state of a durable machine. */
export const machineCases: readonly CaseBody[] = [
  {
    name: "has no state of a machine at first",
    async body(fixture) {
      const { store } = await begin(fixture);
      assert.equal(store.state.applied, undefined);
      assert.equal(store.machine.get("a"), undefined);
      assert.deepEqual(contentOf(store.machine), []);
    },
  },
  {
    name: "keeps a machine's values under keys of all kinds, in the order of their units, over a crash",
    async body(fixture) {
      const subject = await withLog(fixture);
      change(subject, 5, Object.fromEntries([...KEYS].reverse().map((key, at) => [key, `value ${at}`])));
      const expected = KEYS.map((key, at): [string, string] => [key, `value ${KEYS.length - 1 - at}`]);
      assert.deepEqual(contentOf(subject.store.machine), expected);
      await crashAndCheck(fixture, subject);
      assert.deepEqual(contentOf(subject.store.machine), expected);
      for (const [key, value] of expected) assert.equal(textOf(subject.store.machine.get(key) ?? dataOf(0, 0)), value);
    },
  },
  {
    name: "hands out a machine's values of a range, the first of them",
    async body(fixture) {
      const subject = await withLog(fixture);
      change(subject, 1, { a: "1", b: "2", c: "3", d: "4" });
      const keys = (range: Parameters<MachineTable["page"]>[0]) =>
        subject.store.machine.page(range).map(({ key }) => key);
      assert.deepEqual(keys({ from: "b", to: "d", limit: 9 }), ["b", "c"]);
      assert.deepEqual(keys({ from: "aa", to: "z", limit: 2 }), ["b", "c"]);
      assert.deepEqual(keys({ from: "e", to: "z", limit: 2 }), []);
      assert.deepEqual(keys({ from: "c", to: "b", limit: 2 }), []);
    },
  },
  {
    name: "cuts a page of large values, and none so far that it is empty",
    async body(fixture) {
      const subject = await withLog(fixture);
      const records = ["a", "b", "c"].map((key) => ({ key, value: dataOf(1, 900_000) }));
      const applied = { index: 2, time: 0, version: 0 };
      subject.store.save(EMPTY_SAVE, { applied, records });
      const lengths = [];
      for (const { from } of [{ from: "a" }, { from: "c" }]) {
        lengths.push(subject.store.machine.page({ ...ALL, from }).map(({ value }) => value.byteLength));
      }
      assert.deepEqual(lengths, [[900_000, 900_000], [900_000]]);
    },
  },
  {
    name: "changes and removes a machine's values together with the log, and is not troubled by one that is not there",
    async body(fixture) {
      const subject = await withLog(fixture);
      change(subject, 3, { a: "1", b: "2", c: "3" });
      const applied = { index: 9, time: 77, version: 3 };
      const records = [
        { key: "a", value: undefined },
        { key: "b", value: Buffer.from("new") },
        { key: "never", value: undefined },
      ];
      const batch = subject.prepare([dataOf(4, 4)], subject.lastTerm);
      subject.store.save({ ...EMPTY_SAVE, batches: [batch] }, { applied, records });
      subject.applied = applied;
      await crashAndCheck(fixture, subject);
      assert.deepEqual(contentOf(subject.store.machine), [
        ["b", "new"],
        ["c", "3"],
      ]);
    },
  },
  {
    name: "shows a frozen state as it was, while it goes on changing, until it is released",
    async body(fixture) {
      const subject = await withLog(fixture);
      change(subject, 2, { a: "1", b: "2", c: "3" });
      const frozen = subject.store.machine.freeze();
      const before = contentOf(frozen);
      for (let index = 3; index <= 9; index++)
        change(subject, index, { a: `${index}`, b: undefined, [`d${index}`]: "x" });
      assert.deepEqual(contentOf(frozen), before);
      assert.equal(textOf(subject.store.machine.get("a") ?? dataOf(0, 0)), "9");
      frozen.release();
      frozen.release();
      assert.deepEqual(contentOf(subject.store.machine).slice(0, 2), [
        ["a", "9"],
        ["c", "3"],
      ]);
      subject.store.machine.freeze();
      await subject.store.close();
    },
  },
  {
    name: "replaces a machine's whole state, however large, and sweeps the one before",
    async body(fixture) {
      const subject = await withLog(fixture);
      change(subject, 4, Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`old ${at}`, "x"])));
      const content = Array.from({ length: 40 }, (_, at) => [`new ${at}`, dataOf(at, 100_000)] as const);
      const applied = { index: 11, time: 5, version: 7 };
      for (const round of [1, 2]) {
        subject.store.machine.replace(recordsOf(content), { ...applied, time: round });
        subject.applied = { ...applied, time: round };
        subject.sweep();
        await crashAndCheck(fixture, subject);
        const expected = content.map(([key, value]) => [key, textOf(value)]).sort();
        assert.deepEqual(contentOf(subject.store.machine).sort(), expected);
      }
    },
  },
  {
    name: "keeps a machine's state when what was to replace it breaks off, and takes another",
    async body(fixture) {
      const subject = await withLog(fixture);
      change(subject, 4, { a: "1" });
      function* broken() {
        yield* recordsOf(Array.from({ length: 30 }, (_, at) => [`lost ${at}`, dataOf(at, 100_000)] as const));
        throw new Error("broken off");
      }
      const applied = { index: 11, time: 5, version: 7 };
      assert.throws(() => subject.store.machine.replace(broken(), applied), /broken off/);
      assert.deepEqual(contentOf(subject.store.machine), [["a", "1"]]);
      change(subject, 5, { b: "2" });
      await crashAndCheck(fixture, subject);
      const kept = [
        ["a", "1"],
        ["b", "2"],
      ];
      assert.deepEqual(contentOf(subject.store.machine), kept);
      assert.throws(() => subject.store.machine.replace(broken(), applied), /broken off/);
      subject.store.machine.replace(recordsOf([["z", dataOf(1, 1)]]), applied);
      subject.applied = applied;
      await crashAndCheck(fixture, subject);
      assert.deepEqual(
        contentOf(subject.store.machine).map(([key]) => key),
        ["z"],
      );
    },
  },
  {
    name: "takes a machine's state to no earlier entry",
    async body(fixture) {
      const subject = await withLog(fixture);
      change(subject, 7, { a: "1" });
      const applied = { index: 6, time: 0, version: 0 };
      assert.throws(() => (subject.store as Store).save(EMPTY_SAVE, { applied, records: [] }));
    },
  },
];
