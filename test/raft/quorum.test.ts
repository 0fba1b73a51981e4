import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { majority, majorityIndex } from "../../src/raft/quorum.ts";

describe("quorums (§5.3)", () => {
  it("any two majorities have a voter in common, and no smaller number suffices", () => {
    for (let voters = 1; voters <= 20; voters++) {
      expect(2 * majority(voters)).toBeGreaterThan(voters);
      expect(2 * (majority(voters) - 1)).toBeLessThanOrEqual(voters);
    }
  });

  it("the majority index is the highest that a majority has reached", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 9 }), (matchIndexes) => {
        const reached = (index: number) => matchIndexes.filter((each) => each >= index).length;
        const found = majorityIndex(matchIndexes);
        expect(reached(found)).toBeGreaterThanOrEqual(majority(matchIndexes.length));
        expect(reached(found + 1)).toBeLessThan(majority(matchIndexes.length));
        const sorted = matchIndexes.toSorted((a, b) => b - a);
        expect(found).toBe(sorted[majority(matchIndexes.length) - 1]);
      }),
    );
  });

  it("does not reorder the numbers it is given", () => {
    const matchIndexes = Object.freeze([1, 3, 2]);
    expect(majorityIndex(matchIndexes)).toBe(2);
    expect(matchIndexes).toEqual([1, 3, 2]);
  });
});
