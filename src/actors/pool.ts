import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import { asModule, isSource, loaderForThreads } from "./loader.ts";

/** Threads that work through a list of tasks. */
export interface Pool<Task, Result> {
  /** @throws what the task throws; an AbortError when the signal is aborted, and the thread is ended then. */
  run(task: Task, signal: AbortSignal | undefined): Promise<Result>;
  /** Ends the threads, whatever they do. */
  destroy(): Promise<void>;
}

/**
 * A pool of threads for work that only computes. Its threads are killed when they are not needed any more: nothing that
 * opens LMDB may run in them.
 * @param module the URL, without its ending, of the module whose default export takes a task and returns its result.
 * Both are cloned.
 * @param youngGenerationMb how much new objects may take in each thread before the garbage collector looks at them.
 */
export function startPool<Task, Result>(module: URL, threads: number, youngGenerationMb?: number): Pool<Task, Result> {
  const loader = loaderForThreads();
  const pool = new Piscina<Task, Result>({
    filename: fileURLToPath(`${module.href}.${isSource ? "ts" : "js"}`),
    minThreads: threads,
    maxThreads: threads,
    ...(youngGenerationMb === undefined ? {} : { resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb } }),
    ...(loader === undefined ? {} : { execArgv: ["--import", asModule(loader).href] }),
  });
  return {
    run: (task, signal) => pool.run(task, signal === undefined ? {} : { signal }),
    destroy: () => pool.destroy(),
  };
}
