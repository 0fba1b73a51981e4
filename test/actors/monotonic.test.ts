import { expect, test } from "vitest";
import { offsetBetween } from "../../src/actors/monotonic.ts";

/** Two clocks of one time, which goes on by `steps` milliseconds with each reading, and then by hardly any. */
function clocks(steps: readonly number[]) {
  const left = [...steps];
  let time = 50;
  const read = () => {
    time += left.shift() ?? 0.001;
    return time;
  };
  return { shared: () => read() + 1_000, own: read };
}

test("the offset between two clocks is right though the thread stood still while they were read", () => {
  for (const steps of [[], [0, 7.6], [0, 0, 7.6], [0, 7.6, 0, 0, 0, 9], [0.1, 0.1, 0.1, 0.2, 0.1, 0.1]]) {
    const { shared, own } = clocks(steps);
    expect(offsetBetween(shared, own)).toBeCloseTo(1_000, 1);
  }
});

test("two clocks that are never read close together are read for so long, and no longer", () => {
  const { shared, own } = clocks(new Array<number>(1_000).fill(1));
  expect(Math.abs(offsetBetween(shared, own) - 1_000)).toBeLessThanOrEqual(1);
  expect(own()).toBeLessThan(200);
});
