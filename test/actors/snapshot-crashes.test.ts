import { expect, it } from "vitest";
import { snapshotCrashes } from "../soak/snapshot-crashes.ts";

it("loses no acknowledged command and applies none twice while peers crash in the middle of snapshots", async () => {
  const figures = await snapshotCrashes({ times: 5, seed: 1, dist: false });
  expect(figures.crashes).toBeGreaterThanOrEqual(5);
  expect(figures["snapshots taken"]).toBeGreaterThan(0);
  expect(figures["snapshots installed"]).toBeGreaterThan(0);
});
