import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nextSnapshot } from "../../src/actors/own-snapshots.ts";

describe("When a peer's next snapshot is due", () => {
  it("the peers take turns, evenly over the entries between two snapshots of one", () => {
    const due = (last: number) => [0, 1, 2].map((position) => nextSnapshot(last, 30, position, 3));
    expect(due(0)).toEqual([30, 10, 20]);
    expect(due(30)).toEqual([60, 40, 50]);
  });

  it("one that came late, or from the leader, does not shift those that follow", () => {
    expect(nextSnapshot(13, 30, 1, 3)).toBe(40);
    expect(nextSnapshot(39, 30, 1, 3)).toBe(40);
    expect(nextSnapshot(40, 30, 1, 3)).toBe(70);
  });

  it("is never more entries away than asked for, and always at the same place", () => {
    const one = fc.record({
      last: fc.nat(),
      every: fc.integer({ min: 1, max: 10_000 }),
      peers: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(one, fc.nat(8), ({ last, every, peers }, drawn) => {
        const position = drawn % peers;
        const next = nextSnapshot(last, every, position, peers);
        expect(next).toBeGreaterThan(last);
        expect(next - last).toBeLessThanOrEqual(every);
        expect(next % every).toBe(Math.floor((position * every) / peers));
      }),
    );
  });
});
