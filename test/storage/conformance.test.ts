import { describe, it } from "vitest";
import { storeConformance } from "../../src/storage/index.ts";
import { lmdbStores, memoryStores } from "./fixtures/stores.ts";

const SLOW_DISK_MS = 120_000;

describe.each([
  ["the store in memory", memoryStores],
  ["the store on disk", lmdbStores("disk")],
  ["the store on disk that outlives only its process", lmdbStores("process")],
])("%s", (_name, factory) => {
  for (const { name, run } of storeConformance(factory)) it(name, run, SLOW_DISK_MS);
});
