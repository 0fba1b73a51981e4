import { Worker, type WorkerOptions } from "node:worker_threads";

const isSource = import.meta.url.endsWith(".ts");

/**
 * Starts one of this folder's modules as a thread: the `.js` in the built package, the `.ts` under tsx and vitest.
 * Where Node does not take types away by itself, the thread registers tsx first; a thread inherits no loader.
 */
export function spawnThread(module: "supervisor-thread" | "peer", options: WorkerOptions): Worker {
  const url = new URL(`./${module}.${isSource ? "ts" : "js"}`, import.meta.url);
  if (!isSource || "typescript" in process.features) return new Worker(url, options);
  const tsx = JSON.stringify(import.meta.resolve("tsx/esm/api"));
  const boot = `import { register } from ${tsx}; register(); await import(${JSON.stringify(url.href)});`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(boot)}`), options);
}
