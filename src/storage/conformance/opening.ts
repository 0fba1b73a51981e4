import assert from "node:assert/strict";
import { EMPTY_SAVE } from "../../raft/effects.ts";
import { bootstrapBatch } from "../../raft/entry.ts";
import { assertRejects, BORN, type CaseBody, dataOf, plainEntries, Subject, UNBORN } from "./subject.ts";

/** Birth, identity and incarnations. */
export const openingCases: readonly CaseBody[] = [
  {
    name: "begins with the configuration as the only entry, in term 0",
    async body(fixture) {
      const store = await fixture.open(UNBORN);
      const bootstrap = bootstrapBatch(UNBORN.configuration);
      assert.deepEqual(store.state, {
        incarnation: 1,
        used: false,
        applied: undefined,
        hardState: { currentTerm: 0, votedFor: undefined },
        configuration: UNBORN.configuration,
        snapshot: undefined,
        firstIndex: 1,
        lastIndex: 1,
        lastTime: 0,
        terms: [{ firstIndex: 1, term: 0 }],
        firstPosition: 0,
        endPosition: bootstrap.bytes.byteLength,
      });
      assert.deepEqual(plainEntries(store.read(1, 1)), plainEntries([bootstrap]));
    },
  },
  {
    name: "counts every opening as an incarnation, after a crash and after a close",
    async body(fixture) {
      const first = await fixture.open(UNBORN);
      const second = await fixture.reopen(BORN);
      await second.close();
      const third = await fixture.open(BORN);
      assert.deepEqual(
        [first, second, third].map(({ state }) => [state.incarnation, state.used]),
        [
          [1, false],
          [2, true],
          [3, true],
        ],
      );
    },
  },
  {
    name: "uses a store that was made just before a crash",
    async body(fixture) {
      await fixture.open(UNBORN);
      const { state } = await fixture.reopen(UNBORN);
      assert.equal(state.incarnation, 2);
      assert.equal(state.lastIndex, 1);
    },
  },
  {
    name: "keeps the hard state and the entries of one save together",
    async body(fixture) {
      const subject = new Subject(await fixture.open(UNBORN));
      subject.append([[dataOf(1, 10), dataOf(2, 0)]], { term: 3, hardState: { currentTerm: 3, votedFor: "b" } });
      subject.store = await fixture.reopen(BORN);
      assert.deepEqual(subject.store.state.hardState, { currentTerm: 3, votedFor: "b" });
      subject.check({ fresh: true });
    },
  },
  {
    name: "forgets a vote when the next term is saved without one",
    async body(fixture) {
      const store = await fixture.open(UNBORN);
      store.save({ ...EMPTY_SAVE, hardState: { currentTerm: 1, votedFor: "a" } });
      store.save({ ...EMPTY_SAVE, hardState: { currentTerm: 2, votedFor: undefined } });
      const { state } = await fixture.reopen(BORN);
      assert.deepEqual(state.hardState, { currentTerm: 2, votedFor: undefined });
    },
  },
  {
    name: "does nothing for a save of nothing",
    async body(fixture) {
      const subject = new Subject(await fixture.open(UNBORN));
      subject.store.save(EMPTY_SAVE);
      subject.store = await fixture.reopen(BORN);
      subject.check({ fresh: true });
    },
  },
  {
    name: "is lost when it should be there and is not",
    async body(fixture) {
      await assertRejects(fixture.open(BORN), "ERR_STORAGE_LOST", '"a"');
    },
  },
  {
    name: "is still lost when it is looked for again",
    async body(fixture) {
      await assertRejects(fixture.open(BORN), "ERR_STORAGE_LOST");
      await assertRejects(fixture.open(BORN), "ERR_STORAGE_LOST");
    },
  },
  ...(["cluster", "peer", "store"] as const).map(
    (part): CaseBody => ({
      name: `is lost when another ${part} is found in its place, and leaves that one alone`,
      async body(fixture) {
        const store = await fixture.open(UNBORN);
        await store.close();
        for (const options of [BORN, UNBORN]) {
          const identity = { ...options.identity, [part]: "another" };
          const { [part]: stored } = options.identity;
          const attempt = fixture.open({ ...options, identity });
          await assertRejects(attempt, "ERR_STORAGE_LOST", `"another"`, `"${stored}"`);
        }
        assert.equal((await fixture.open(BORN)).state.incarnation, 2);
      },
    }),
  ),
  {
    name: "refuses voters that it was not made for, and names both lists",
    async body(fixture) {
      await (await fixture.open(UNBORN)).close();
      const configuration = { voters: ["a", "b"] };
      const attempt = fixture.open({ ...BORN, configuration });
      await assertRejects(attempt, "ERR_INVALID_OPTION", '["a","b"]', '["a","b","c"]');
    },
  },
  {
    name: "takes the voters in any order",
    async body(fixture) {
      await (await fixture.open(UNBORN)).close();
      const { state } = await fixture.open({ ...BORN, configuration: { voters: ["c", "a", "b"] } });
      assert.deepEqual(state.configuration, UNBORN.configuration);
    },
  },
  {
    name: "can be closed twice",
    async body(fixture) {
      const store = await fixture.open(UNBORN);
      await store.close();
      await store.close();
    },
  },
];
