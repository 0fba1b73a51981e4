import { parentPort, workerData } from "node:worker_threads";
import { isSource } from "./loader.ts";
import type { TaskData } from "./task.ts";

// The thread of a task: see task.ts.

const { module, data } = workerData as TaskData;
const url = new URL(`../${module}.${isSource ? "ts" : "js"}`, import.meta.url);
const { default: run } = (await import(url.href)) as { default: (data: unknown) => unknown };
parentPort?.postMessage(await run(data));
