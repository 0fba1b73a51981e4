import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { ring } from "../../../actors/bell.ts";
import { type Port, runTask } from "../../../actors/task.ts";
import { encode } from "../../../machine/codec.ts";
import { EntryKind, packEntries } from "../../../raft/entry.ts";
import type { BenchContext } from "../bench.ts";
import { Latencies } from "../latencies.ts";
import { KEYS, type Load, type LoadRun } from "../load.ts";
import type { Stretch } from "../loops.ts";
import { startSpan } from "../meter.ts";
import type { PipelineReply, PipelineRequest, PipelineTask, PipelineWrites } from "./pipeline-protocol.ts";

const TASK = "cli/bench/limit/pipeline-task";
const MOST_BYTES = 1 << 20;

/** Runs the closed loop of a load through the bare pipeline: threads, ports and writes as a cluster has them, and no Raft. */
export async function runPipeline(
  context: BenchContext,
  load: Load,
  stretch: Stretch,
  writes: PipelineWrites,
): Promise<LoadRun> {
  const folder = await mkdtemp(join(context.folder, "pipeline-"));
  try {
    const threads = startThreads(folder, load, writes);
    const client = new Client(load, threads.client, () => ring(threads.bells, 0));
    try {
      const early = threads.ended.then(() => Promise.reject(new Error("the pipeline ended early")));
      return await Promise.race([client.run(context.signal, stretch), early]);
    } finally {
      client.stop();
      Atomics.store(threads.bells, load.peers, 1);
      for (let peer = 0; peer < load.peers; peer++) ring(threads.bells, peer);
      await threads.settled;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function startThreads(folder: string, { peers, durability }: Load, writes: PipelineWrites) {
  const bells = new SharedArrayBuffer((peers + 1) * Int32Array.BYTES_PER_ELEMENT);
  const client = new MessageChannel();
  const links = Array.from({ length: peers }, () => new MessageChannel());
  const tasks = links.map(({ port2: router }, position) => {
    const role = position === 0 ? ("leader" as const) : ("follower" as const);
    const port = position === 0 ? client.port2 : undefined;
    const path = join(folder, `p${position + 1}`);
    const task: PipelineTask = { role, position, peers, path, durability, writes, router, client: port, bells };
    return runTask<void>(TASK, task, port === undefined ? [router] : [router, port]);
  });
  const ports = links.map(({ port1 }) => port1);
  tasks.push(runTask<void>(TASK, { role: "router", ports, bells } satisfies PipelineTask, ports));
  const ended = Promise.all(tasks);
  ended.catch(() => {});
  return { bells: new Int32Array(bells), client: client.port1 as Port, ended, settled: Promise.allSettled(tasks) };
}

/** Keeps so many commands outstanding; without a promise for each, as no benchmark of a limit should be one of promises. */
class Client {
  readonly #port: Port;
  readonly #ring: () => void;
  readonly #outstanding: number;
  readonly #commands: readonly Uint8Array[];
  /** What is under way, in the order in which it will be answered. */
  readonly #sent: { count: number; readonly at: number }[] = [];
  #next = 0;
  #latencies = new Latencies();
  #isOver = false;

  constructor({ bytes, outstanding }: Load, port: Port, ringLeader: () => void) {
    this.#port = port;
    this.#ring = ringLeader;
    this.#outstanding = outstanding;
    const value = "x".repeat(bytes);
    this.#commands = Array.from({ length: Math.min(KEYS, Math.ceil(MOST_BYTES / bytes)) }, (_, at) =>
      encode({ op: "put", key: `k${at}`, value }, "command", Number.MAX_SAFE_INTEGER),
    );
  }

  async run(signal: AbortSignal, { warmUpSeconds, seconds }: Stretch): Promise<LoadRun> {
    this.#port.on("message", (reply: PipelineReply) => {
      if (reply === "ready") this.#send(this.#outstanding);
      else this.#onCommitted(reply);
    });
    await sleep(warmUpSeconds * 1_000, undefined, { signal });
    while (this.#latencies.count === 0 && !this.#isOver) await sleep(10, undefined, { signal });
    this.#latencies = new Latencies();
    const stop = startSpan();
    await sleep(seconds * 1_000, undefined, { signal });
    const [span, latencies] = [stop(), this.#latencies];
    return {
      latencies,
      figures: {
        "commits/s": latencies.count / span.seconds,
        "p50 ms": latencies.quantile(0.5),
        "p99 ms": latencies.quantile(0.99),
        "CPU µs a command": (span.cpuSeconds * 1e6) / latencies.count,
        "cores busy": span.cpuSeconds / span.seconds,
        "app's thread busy %": span.clientCpuSeconds && (100 * span.clientCpuSeconds) / span.seconds,
        "app's thread %": span.clientCpuSeconds && (100 * span.clientCpuSeconds) / span.cpuSeconds,
        "RSS MB": span.rssMb,
      },
    };
  }

  stop(): void {
    this.#isOver = true;
    this.#port.close();
  }

  #onCommitted(count: number): void {
    const now = performance.now();
    for (let left = count; left > 0; ) {
      const [first] = this.#sent;
      if (first === undefined) break;
      const answered = Math.min(left, first.count);
      for (let at = 0; at < answered; at++) this.#latencies.record(now - first.at);
      left -= answered;
      first.count -= answered;
      if (first.count === 0) this.#sent.shift();
    }
    if (!this.#isOver) this.#send(count);
  }

  #send(count: number): void {
    const data = Array.from({ length: count }, () => {
      this.#next = (this.#next + 1) % this.#commands.length;
      return this.#commands[this.#next] ?? new Uint8Array();
    });
    this.#sent.push({ count, at: performance.now() });
    const request: PipelineRequest = { packed: packEntries(EntryKind.command, data) };
    this.#port.postMessage(request, [request.packed.buffer as ArrayBuffer]);
    this.#ring();
  }
}
