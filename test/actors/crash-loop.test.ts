import { expect, it } from "vitest";
import { crashes } from "../soak/crashes.ts";

it("loses no acknowledged command and applies none twice while random peers crash under load", async () => {
  const figures = await crashes({ times: 30, seed: 1, dist: false });
  expect(figures.crashes).toBe(30);
  expect(figures.acknowledged).toBeGreaterThan(50);
});
