import { Worker } from "node:worker_threads";
import { inject } from "vitest";

/** Takes the place of test/storage/fixtures/thread.ts. */
export function startThread(name: string, workerData: unknown): Worker {
  return new Worker(new URL(`test/storage/fixtures/${name}.js`, inject("built")), { workerData });
}
