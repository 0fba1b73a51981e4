import fc from "fast-check";
import { expect, test } from "vitest";
import { SortedKeys } from "../../src/raft/sorted-keys.ts";

test("are those of a sorted array, however many come and go, from any key on", () => {
  const step = fc.record({ key: fc.integer({ min: 0, max: 3_000 }), isGone: fc.boolean() });
  fc.assert(
    fc.property(
      fc.nat(2_000),
      fc.array(step, { maxLength: 2_000, size: "max" }),
      fc.nat(3_000),
      (count, steps, from) => {
        const twin = new Set(Array.from({ length: count }, (_, at) => String(at)));
        const keys = new SortedKeys(twin);
        for (const { key, isGone } of steps) {
          const name = String(key);
          if (isGone) {
            keys.delete(name);
            twin.delete(name);
          } else if (!twin.has(name)) {
            keys.add(name);
            twin.add(name);
          }
        }
        const expected = [...twin].sort().filter((key) => key >= String(from));
        expect([...keys.from(String(from))]).toEqual(expected);
      },
    ),
    { numRuns: 30 },
  );
});
