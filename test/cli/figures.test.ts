import { describe, expect, test } from "vitest";
import { Figures, median } from "../../src/cli/demo/figures.ts";

const crash = (peer: string) => ({ type: "crash", peer, incarnation: 1, requested: true, error: undefined }) as const;
const acked = (term: number) => ({ outcome: "acked", index: 1, term }) as const;

describe("the figures", () => {
  test("time a failover from the leader's death to the first acknowledgement of a later term", () => {
    const figures = new Figures();
    figures.onEvent({ type: "leader", peer: "p1", term: 4 });
    figures.onEvent(crash("p1"));
    figures.onAttempt(acked(4));
    expect(figures.failovers).toHaveLength(0);
    figures.onAttempt(acked(5));
    expect(figures.failovers).toHaveLength(1);
    figures.onAttempt(acked(5));
    expect(figures.failovers).toHaveLength(1);
  });

  test("do not time the death of a follower", () => {
    const figures = new Figures();
    figures.onEvent({ type: "leader", peer: "p1", term: 4 });
    figures.onEvent(crash("p2"));
    figures.onAttempt(acked(5));
    expect(figures.failovers).toHaveLength(0);
    expect(figures.crashes).toBe(1);
  });

  test("count the outcomes of commands", () => {
    const figures = new Figures();
    for (const attempt of [acked(1), acked(1), { outcome: "unknown" }, { outcome: "refused" }] as const) {
      figures.onAttempt(attempt);
    }
    expect(figures).toMatchObject({ acked: 2, unknown: 1, refused: 1 });
  });
});

test("the median is the middle one, or the mean of the two in the middle", () => {
  expect(median([])).toBeUndefined();
  expect(median([7])).toBe(7);
  expect(median([9, 1, 2])).toBe(2);
  expect(median([10, 1, 2, 4])).toBe(3);
});
