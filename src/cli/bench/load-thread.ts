import type { RecordableHistogram } from "node:perf_hooks";
import { type Port, runTask } from "../../actors/task.ts";
import type { BenchContext } from "./bench.ts";
import { Latencies } from "./latencies.ts";
import type { Load, LoadRun } from "./load.ts";
import type { Stretch } from "./loops.ts";

/** What the thread is started with. */
export interface LoadTask {
  readonly port: Port;
}

/** To the thread: one run at a time. */
export type LoadRequest =
  | { readonly kind: "run"; readonly load: Load; readonly stretch: Stretch; readonly folder: string }
  | { readonly kind: "abort" };

/** From the thread: what came of a run. */
export type LoadReply =
  | (Omit<LoadRun, "latencies"> & { readonly histogram: RecordableHistogram })
  | { readonly error: string };

/**
 * A thread with the clients of a load, and so with the supervisor that they call: nothing else runs in it that could be
 * taken for the cluster's latency, and what it takes of the CPU is the clients' alone.
 */
export interface LoadThread extends AsyncDisposable {
  /** Starts a cluster, runs the closed loop of one load on it, and stops it. */
  run(context: BenchContext, load: Load, stretch: Stretch): Promise<LoadRun>;
}

/**
 * Starts the thread, which is used for run after run: what its code is compiled to stays. It ends by itself and is never
 * killed, as a pool would kill its threads: a supervisor must not be lost so.
 */
export function startLoadThread(): LoadThread {
  const { port1, port2 } = new MessageChannel();
  const port: Port = port1;
  const ended = runTask<void>("cli/bench/load-task", { port: port2 } satisfies LoadTask, [port2]);
  const lost = ended.then(() => Promise.reject(new Error("the thread of the load ended before its run")));
  // Whoever waits for a run hears of it.
  lost.catch(() => {});
  const send = (request: LoadRequest) => port.postMessage(request);
  return {
    async run({ folder, signal }, load, stretch) {
      signal.throwIfAborted();
      const onAbort = () => send({ kind: "abort" });
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        const replied = new Promise<LoadReply>((resolve) => port.once("message", resolve));
        send({ kind: "run", load, stretch, folder });
        const reply = await Promise.race([replied, lost]);
        signal.throwIfAborted();
        if ("error" in reply) throw new Error(reply.error);
        const { histogram, ...run } = reply;
        return { ...run, latencies: Latencies.of(histogram) };
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    },
    async [Symbol.asyncDispose]() {
      port.close();
      await ended.catch(() => {});
    },
  };
}
