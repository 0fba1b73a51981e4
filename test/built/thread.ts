import { existsSync } from "node:fs";
import { Worker, type WorkerOptions } from "node:worker_threads";
import { inject } from "vitest";

const ROOT = new URL("../../", import.meta.url).href;

/** Takes the place of src/actors/thread.ts. */
export function spawnThread(module: string, options: WorkerOptions): Worker {
  const url = new URL(`src/actors/${module}.js`, inject("built"));
  return new Worker(url, { ...options, workerData: withBuiltMachine(options.workerData) });
}

/** A state machine of ours comes as it is built too: each thread of a peer would register tsx to load it. */
function withBuiltMachine(data: { readonly machine?: { readonly module: string | undefined } }): unknown {
  const { machine } = data;
  if (!machine?.module?.startsWith(ROOT) || !machine.module.endsWith(".ts")) return data;
  const built = new URL(machine.module.slice(ROOT.length).replace(/\.ts$/, ".js"), inject("built"));
  return existsSync(built) ? { ...data, machine: { ...machine, module: built.href } } : data;
}
