import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pack } from "../../src/machine/codec.ts";
import { findRecords, joinRecords } from "../../src/machine/records.ts";
import { RestoredCells } from "../../src/machine/restored-cells.ts";

/** Short and long, of ASCII and not, and some of which one is longer than the other by a character alone. */
const keys = fc.oneof(
  fc.string({ minLength: 1, maxLength: 3 }),
  fc.string({ minLength: 1, maxLength: 3, unit: "binary" }),
  fc.string({ minLength: 29, maxLength: 34, unit: fc.constantFrom("a", "é") }),
);

function restored(records: readonly (readonly [key: unknown, ...rest: unknown[]])[]): RestoredCells {
  const cells = new RestoredCells(records.length);
  const chunks = joinRecords(records.map((record) => pack(record)));
  for (const place of findRecords(chunks)) cells.add(place);
  return cells;
}

function entries(cells: RestoredCells) {
  return Array.from(cells.all(), ({ key, value, version }) => [key, value, version]);
}

describe("restored cells", () => {
  test("do what a Map does whose keys are there already: get, replace in their places, remove", () => {
    const acts = fc.record({ what: fc.constantFrom("set", "delete"), at: fc.nat(), value: fc.nat() });
    fc.assert(
      fc.property(fc.uniqueArray(keys), fc.array(keys), fc.array(acts), (there, others, all) => {
        const cells = restored(there.map((key, at) => [key, at, 1]));
        const left = new Map(there.map((key, at) => [key, at]));
        for (const { what, at, value } of all) {
          const key = there[at % there.length] ?? "";
          if (what === "delete") expect(cells.delete(key)).toBe(left.delete(key));
          else {
            expect(cells.set(key, { key, value, version: 1 })).toBe(left.has(key));
            if (left.has(key)) left.set(key, value);
          }
        }
        for (const key of [...there, ...others]) expect(cells.get(key)?.value).toBe(left.get(key));
        expect(cells.size).toBe(left.size);
        expect(entries(cells)).toEqual(Array.from(left, ([key, value]) => [key, value, 1]));
      }),
    );
  });

  test("are found among tens of thousands", () => {
    const cells = restored(Array.from({ length: 50_000 }, (_, at) => [`key${at}`, at, 1]));
    const numbers = Array.from({ length: 50_000 }, (_, at) => at);
    const removed = numbers.filter((at) => at % 2 === 0 && cells.delete(`key${at}`));
    expect(removed.length).toBe(25_000);
    expect(cells.size).toBe(25_000);
    expect(numbers.filter((at) => cells.get(`key${at}`)?.value === at)).toEqual(numbers.filter((at) => at % 2 === 1));
  });

  test("are seen as they were, whatever is written or removed while they are pulled", () => {
    const cells = restored([
      ["a", "old", 1],
      ["b", "old", 7],
      ["c", "old", 1],
    ]);
    cells.set("c", { key: "c", value: "newer", version: 2 });
    const all = cells.all();
    cells.delete("a");
    cells.set("b", { key: "b", value: "new", version: 8 });
    cells.delete("c");
    expect(Array.from(all, ({ key, value, version }) => [key, value, version])).toEqual([
      ["a", "old", 1],
      ["b", "old", 7],
      ["c", "newer", 2],
    ]);
    expect(entries(cells)).toEqual([["b", "new", 8]]);
  });

  test("have their record at hand in today's format, and version 1 without a record in the first", () => {
    const cells = restored([
      ["today", { some: "value" }, 3],
      ["first", "value"],
    ]);
    expect(cells.get("today")?.record?.()).toEqual(new Uint8Array(pack(["today", { some: "value" }, 3])));
    expect(cells.get("first")?.record?.()).toBeUndefined();
    expect(cells.get("first")?.entry?.()).toEqual({ key: "first", value: "value", version: 1 });
  });

  test("refuse two records of one key, what is no record, and more than there should be", () => {
    for (const key of ["a", "é", "a long key, of more bytes than 31 are"]) {
      const twice = [
        [key, 1, 1],
        [key, 2, 1],
      ] as const;
      expect(() => restored(twice)).toThrow("two records with the key");
    }
    expect(() => restored([[1, 2, 3]])).toThrow("a record with the key 1");
    const cells = new RestoredCells(1);
    expect(() => cells.add({ bytes: pack("text"), start: 0, end: 5 })).toThrow("no encoded array");
    const bytes = pack(["a", 1, 1]);
    cells.add({ bytes, start: 0, end: bytes.byteLength });
    expect(() => cells.add({ bytes, start: 0, end: bytes.byteLength })).toThrow("more records than the 1");
  });
});
