import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Numbered } from "../../src/actors/numbered.ts";

describe("numbered items", () => {
  it("get ascending numbers from 1 on, and are taken out once", () => {
    const items = new Numbered<string>();
    expect([items.next, items.add("a"), items.add("b"), items.next, items.size]).toEqual([1, 1, 2, 3, 2]);
    expect([items.get(1), items.take(1), items.take(1), items.get(1), items.size]).toEqual([
      "a",
      "a",
      undefined,
      undefined,
      1,
    ]);
    expect([items.get(0), items.get(99), items.get(-1), items.take(1_000_000)]).toEqual(Array(4).fill(undefined));
  });

  it("are what a Map by number would hold, in any order of coming and going", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: -2_000, max: -1 }))),
        (steps) => {
          const items = new Numbered<number>();
          const twin = new Map<number, number>();
          for (const step of steps) {
            for (let count = 0; count < step; count++) twin.set(items.next, items.add(items.next));
            expect(items.take(-step)).toBe(twin.get(-step));
            twin.delete(-step);
            const [first] = twin.keys();
            if (first !== undefined && step % 2 === 0) twin.delete(items.take(first) ?? 0);
            if (step % 3 === 0) {
              const [lowest] = twin.values();
              expect(items.takeFirst()).toBe(lowest);
              if (lowest !== undefined) twin.delete(lowest);
            }
            expect(items.size).toBe(twin.size);
          }
          expect(items.values()).toEqual([...twin.values()]);
          items.clear();
          expect([items.size, items.values()]).toEqual([0, []]);
        },
      ),
    );
  });
});
