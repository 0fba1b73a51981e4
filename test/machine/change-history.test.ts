import { describe, expect, test } from "vitest";
import { ChangeHistory } from "../../src/machine/change-history.ts";
import { packRecord } from "../../src/machine/key-value-record.ts";
import { Chunk } from "../../src/machine/record-arena.ts";
import { joinRecords } from "../../src/machine/records.ts";
import { bufferBytes } from "./fixtures/buffer-bytes.ts";

const MIB = 1 << 20;
const all = () => true;

describe("the history of changes", () => {
  test("lets go of the values of changes that it has dropped, long before it has dropped many", () => {
    const history = new ChangeHistory(0);
    const before = bufferBytes();
    for (let index = 1; index <= 200; index++) {
      history.add(index, { key: "k", value: new Uint8Array(MIB), version: index });
    }
    expect((bufferBytes() - before) / MIB).toBeLessThan(100);
    const { firstIndex } = history.since(199, all, 10);
    expect(firstIndex).toBe(194);
    expect(history.since(firstIndex - 1, all, 10).changes.map(({ index }) => index)).toEqual([
      194, 195, 196, 197, 198, 199, 200,
    ]);
  });

  test("drops small changes by what they take, too", () => {
    const history = new ChangeHistory(0, 1_000_000);
    for (let index = 1; index <= 200_000; index++) history.add(index, { key: "k", value: 1, version: index });
    const { firstIndex } = history.since(200_000, all, 10);
    expect(200_001 - firstIndex).toBeGreaterThan(10_000);
    expect(200_001 - firstIndex).toBeLessThan((8 * MIB) / 100);
  });

  test("counts two bytes for each character of a text", () => {
    const history = new ChangeHistory(0);
    for (let index = 1; index <= 20; index++) history.add(index, { key: "k", value: "x".repeat(MIB), version: index });
    expect(history.since(19, all, 10).firstIndex).toBe(18);
  });

  test("tells of what was written as a record what it tells of a value, and counts its bytes", () => {
    const record = Buffer.from(packRecord({ key: "k", version: 4, value: ["v"] }));
    const chunk = new Chunk(Buffer.concat([...joinRecords([record])]), 4);
    const history = new ChangeHistory(0);
    history.addRecord(7, chunk, 4);
    history.add(8, { key: "k", value: 2, version: 5 });
    expect(history.since(0, all, 10).changes).toEqual([
      { index: 7, key: "k", value: ["v"], version: 4 },
      { index: 8, key: "k", value: 2, version: 5 },
    ]);
    const largest = packRecord({ key: "k", version: 1, value: "x".repeat(MIB) });
    const large = new Chunk(Buffer.concat([...joinRecords([largest])]), 4);
    for (let index = 9; index <= 28; index++) history.addRecord(index, large, 4);
    expect(history.since(27, all, 10).firstIndex).toBe(22);
    expect([chunk.isRead, large.isRead]).toEqual([false, true]);
  });

  test.each([0, 1, 2, 3, 7, 8, 50])(
    "keeps the latest %i changes, in order, and lets go of all others",
    (maxChanges) => {
      const record = packRecord({ key: "k", version: 4, value: "v" });
      const chunk = new Chunk(Buffer.concat([...joinRecords([record])]), 4);
      const history = new ChangeHistory(0, maxChanges);
      for (let index = 1; index <= 200; index++) {
        if (index % 3 === 0) history.addRecord(index, chunk, 4);
        else history.add(index, { key: "k", value: index, version: index });
        const kept = Math.min(index, maxChanges);
        const { firstIndex, changes } = history.since(index - kept, all, 1_000);
        expect([firstIndex, changes.map((change) => change.index)]).toEqual([
          index - kept + 1,
          Array.from({ length: kept }, (_, at) => index - kept + 1 + at),
        ]);
        if (kept > 1) expect(history.since(index - 1, all, 1_000).changes).toHaveLength(1);
      }
      for (let index = 201; index <= 200 + maxChanges; index++) history.add(index, { key: "k", value: 1, version: 1 });
      expect(chunk.isRead).toBe(false);
    },
  );

  test("keeps the latest change however large it is, and only that then", () => {
    const history = new ChangeHistory(0);
    history.add(1, { key: "small", value: 1, version: 1 });
    history.add(2, { key: "large", value: "x".repeat(5 * MIB), version: 1 });
    expect(history.since(1, all, 10)).toMatchObject({ firstIndex: 2, changes: [{ key: "large" }] });
    history.add(3, { key: "small", value: 2, version: 2 });
    expect(history.since(2, all, 10)).toMatchObject({ firstIndex: 3, changes: [{ key: "small" }] });
  });

  test.each([Number.NaN, -1, 1.5, "5"])("cannot keep %s changes", (maxChanges) => {
    expect(() => new ChangeHistory(0, maxChanges as number)).toThrow("maxChanges: expected a whole number, 0 or more");
  });
});
