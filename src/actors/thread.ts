import { Worker, type WorkerOptions } from "node:worker_threads";
import { asModule, isSource, loaderForThreads } from "./loader.ts";

/**
 * Starts one of this folder's modules as a thread: the `.js` in the built package, the `.ts` under tsx and vitest.
 * Where Node does not take types away by itself, the thread registers tsx first.
 */
export function spawnThread(module: "supervisor-thread" | "peer" | "task-thread", options: WorkerOptions): Worker {
  const url = new URL(`./${module}.${isSource ? "ts" : "js"}`, import.meta.url);
  const loader = loaderForThreads();
  if (loader === undefined) return new Worker(url, options);
  return new Worker(asModule(`${loader} await import(${JSON.stringify(url.href)});`), options);
}
