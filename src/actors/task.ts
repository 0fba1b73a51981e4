import type { MessagePort } from "node:worker_threads";
import { spawnThread } from "./thread.ts";

/** One end of a `MessageChannel`. */
export type Port = MessagePort;

/** What the thread of a task is started with. */
export interface TaskData {
  /** Its path below the source's folder, without its ending. */
  readonly module: string;
  readonly data: unknown;
}

/**
 * Runs a function in a thread of its own, which ends when the function is done, and never before: it may open LMDB.
 * @param module the path, below the source's folder and without its ending, of the module whose default export takes `data`.
 * @param transfer ports in `data`.
 * @returns what the function returned. Both are cloned. @throws what it throws.
 */
export function runTask<Result>(module: string, data: unknown, transfer: readonly Port[] = []): Promise<Result> {
  const worker = spawnThread("task-thread", {
    name: `flotilla ${module}`,
    workerData: { module, data } satisfies TaskData,
    transferList: [...transfer],
  });
  return new Promise((resolve, reject) => {
    let settle = (code: number) => reject(new Error(`the thread of ${module} ended with exit code ${code}`));
    worker.once("message", (result: Result) => {
      settle = () => resolve(result);
    });
    worker.once("error", reject);
    worker.once("exit", (code) => settle(code));
  });
}
