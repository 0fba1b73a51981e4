import { expect, it } from "vitest";
import { chaos } from "../soak/chaos.ts";

it.each([
  ["in memory", false],
  ["in the stores", true],
])(
  "with the map %s, stays linearizable and comes to the same state everywhere under faults of all kinds",
  async (_, durable) => {
    const figures = await chaos({ minutes: 8 / 60, seed: 1, dist: false, out: undefined, durable });
    expect(figures["get, ok"]).toBeGreaterThan(0);
    expect(figures["append, ok"]).toBeGreaterThan(0);
  },
  300_000,
);
