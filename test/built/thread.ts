import { Worker, type WorkerOptions } from "node:worker_threads";
import { inject } from "vitest";

/** Takes the place of src/actors/thread.ts. */
export function spawnThread(module: string, options: WorkerOptions): Worker {
  return new Worker(new URL(`src/actors/${module}.js`, inject("built")), options);
}
