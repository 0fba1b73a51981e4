import fc from "fast-check";
import { expect, it } from "vitest";
import { Snapshotter } from "../../src/actors/snapshotter.ts";
import type { StateMachine } from "../../src/machine/state-machine.ts";
import type { SnapshotInfo } from "../../src/raft/effects.ts";

const HEAD = { index: 7, term: 2, time: 1, configuration: { voters: ["a"] }, version: 0 };

function machineOf(pieces: Iterable<Uint8Array>): StateMachine {
  return { apply: () => 0, query: () => 0, snapshot: () => pieces, restore: () => {} };
}

/** Copies what is staged, as a save does, and keeps the time. */
function taker() {
  const staged: Uint8Array[] = [];
  const completed: SnapshotInfo[] = [];
  return {
    staged,
    completed,
    stageChunk(number: number, data: Uint8Array): boolean {
      expect(number).toBe(staged.length);
      staged.push(data.slice());
      return true;
    },
    completeSnapshot: (info: SnapshotInfo) => void completed.push(info),
  };
}

it("cuts pieces of any size into chunks of one size, with nothing lost and nothing twice", () => {
  const sizes = fc.array(fc.oneof(fc.nat(1_000), fc.nat(700_000), fc.constantFrom(0, 128 << 10, 256 << 10)), {
    maxLength: 4,
  });
  fc.assert(
    fc.property(sizes, (lengths) => {
      let next = 0;
      const pieces = lengths.map((length) => Uint8Array.from({ length }, () => next++ % 251));
      const to = taker();
      const snapshotter = new Snapshotter(machineOf(pieces), HEAD);
      while (!snapshotter.step(to, () => 0));
      expect(Buffer.concat(to.staged).equals(Buffer.concat(pieces))).toBe(true);
      expect(to.staged.slice(0, -1).every(({ byteLength }) => byteLength === 128 << 10)).toBe(true);
      const bytes = lengths.reduce((sum, length) => sum + length, 0);
      expect(to.completed).toEqual([{ ...HEAD, chunks: to.staged.length, bytes }]);
    }),
    { numRuns: 15 },
  );
});

it("rests four times as long as a turn took in which it did something, and no longer for turns in which it rested", () => {
  const to = taker();
  const pieces = Array.from({ length: 3 }, () => new Uint8Array(128 << 10));
  const snapshotter = new Snapshotter(machineOf(pieces), HEAD);
  const turn = (from: number, tookMs: number) => {
    snapshotter.step(to, () => from);
    snapshotter.rest(from + tookMs, tookMs);
    return to.staged.length;
  };
  expect(turn(100, 10)).toBe(1);
  expect(snapshotter.wakeAt).toBe(150);
  for (const now of [115, 125, 135]) expect(turn(now, 10)).toBe(1);
  expect(snapshotter.wakeAt).toBe(150);
  expect(turn(156, 1)).toBe(2);
  expect(snapshotter.wakeAt).toBe(161);
});
