import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { runTask } from "../../actors/task.ts";
import type { Durability } from "../../storage/store.ts";
import { type Bench, type BenchContext, repeat, TIMES, type Times } from "./bench.ts";
import type { BenchResult } from "./document.ts";
import { figures } from "./figures.ts";
import { together } from "./latencies.ts";
import type { DiskFigures, DiskTask } from "./limit/disk-task.ts";
import type { HopFigures, HopTask } from "./limit/hop-task.ts";
import { runPipeline } from "./limit/pipeline.ts";
import type { Load } from "./load.ts";
import { type LoadThread, startLoadThread } from "./load-thread.ts";
import { describe, loadResult } from "./throughput.ts";

/** Beside what is in a value, a command takes about so much. */
const COMMAND_BYTES = 24;
const BATCHES = [1, 64, 1_000];

/** What this machine allows. */
export const limit: Bench = {
  name: "limit",
  summary: "what this machine allows: fsyncs, commits of LMDB, hops between threads, a pipeline without Raft",
  options: {
    peers: { default: "3", quick: "3", help: "of the pipeline, and of the cluster beside it" },
    outstanding: { default: "1,64,1000,4000", quick: "1,64,1000", help: "commands under way" },
    bytes: { default: "256", quick: "256", help: "size of the values" },
    durability: { default: "disk", quick: "disk", help: "disk, process or both" },
    ...TIMES,
  },
  prepare(options) {
    const times = options.times();
    const peers = options.peers();
    const durabilities = options.durabilities();
    const sizes = options.byteSizes();
    const all = options.crowds();
    return async function* (context) {
      await using thread = startLoadThread();
      if (durabilities.includes("disk")) {
        for (const writers of new Set([1, peers])) yield await syncs(context, writers, times);
      }
      for (const way of ["bell", "loop"] as const) yield await hops(context, way, times);
      for (const durability of durabilities) {
        for (const bytes of sizes) {
          for (const environments of new Set([1, peers])) {
            for (const commands of BATCHES) {
              yield await commits(context, { environments, commands, bytes, durability }, times);
            }
          }
          for (const outstanding of all)
            yield* compare(context, thread, { peers, bytes, outstanding, durability }, times);
        }
      }
    };
  },
};

async function syncs(context: BenchContext, writers: number, times: Times): Promise<BenchResult> {
  const bytes = 4_096;
  const runs = await repeat(context, `limit: fdatasync, ${writers} at once`, times.runs, () =>
    writeAtOnce(context, writers, { kind: "sync", durability: "disk", bytes, seconds: times.seconds }),
  );
  return {
    bench: "limit",
    series: "fdatasync",
    parameters: { bytes, writers },
    figures: figures(runs.map(asFigures)),
  };
}

async function commits(
  context: BenchContext,
  what: {
    readonly environments: number;
    readonly commands: number;
    readonly bytes: number;
    readonly durability: Durability;
  },
  times: Times,
): Promise<BenchResult> {
  const { environments, commands, bytes, durability } = what;
  const size = commands * (bytes + COMMAND_BYTES);
  const title = `limit: LMDB, ${environments} at once, ${commands} commands of ${bytes} B a transaction, ${durability}`;
  const runs = await repeat(context, title, times.runs, () =>
    writeAtOnce(context, environments, { kind: "commit", durability, bytes: size, seconds: times.seconds }),
  );
  return {
    bench: "limit",
    series: "LMDB",
    parameters: { bytes, durability, writers: environments, "commands a write": commands },
    figures: figures(
      runs.map((run) => ({
        ...asFigures(run),
        "commands/s of each": (run.writes * commands) / run.seconds / environments,
      })),
    ),
  };
}

function asFigures({ writes, seconds, p50, p99 }: DiskFigures) {
  return { "writes/s": writes / seconds, "p50 ms": p50, "p99 ms": p99 };
}

/** Several threads at once, each with a file of its own, from the moment when all are ready. */
async function writeAtOnce(
  { folder }: BenchContext,
  writers: number,
  task: Omit<DiskTask, "path" | "start">,
): Promise<DiskFigures> {
  const directory = await mkdtemp(join(folder, "limit-"));
  try {
    const start = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
    const all = Array.from({ length: writers }, (_, at) =>
      runTask<DiskFigures>("cli/bench/limit/disk-task", {
        ...task,
        path: join(directory, `${at}`),
        start,
      } satisfies DiskTask),
    );
    const words = new Int32Array(start);
    const ended = Promise.all(all);
    let isOver = false;
    // One that cannot begin is not waited for; those that can, begin, and end before their folder goes.
    Promise.allSettled([ended]).then(() => {
      isOver = true;
    });
    while (Atomics.load(words, 0) < writers && !isOver) await new Promise((resolve) => setTimeout(resolve, 1));
    Atomics.store(words, 1, 1);
    Atomics.notify(words, 1);
    await Promise.allSettled(all);
    const done = await ended;
    return {
      writes: done.reduce((sum, { writes }) => sum + writes, 0),
      seconds: Math.max(...done.map(({ seconds }) => seconds)),
      p50: Math.max(...done.map(({ p50 }) => p50)),
      p99: Math.max(...done.map(({ p99 }) => p99)),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function hops(context: BenchContext, way: HopTask["way"], times: Times): Promise<BenchResult> {
  const title = `limit: messages between threads, ${way}`;
  const runs = await repeat(context, title, times.runs, async () => {
    const { port1, port2 } = new MessageChannel();
    const bells = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
    const start = (role: HopTask["role"], port: HopTask["port"]) =>
      runTask<HopFigures>(
        "cli/bench/limit/hop-task",
        { role, way, port, bells, seconds: times.seconds } satisfies HopTask,
        [port],
      );
    const [ping] = await Promise.all([start("ping", port1), start("pong", port2)]);
    return ping;
  });
  return {
    bench: "limit",
    series: way === "bell" ? "there and back, woken by a bell" : "there and back, through event loops",
    parameters: { bytes: 64 },
    figures: figures(runs.map(({ p50, p99 }) => ({ "p50 ms": p50, "p99 ms": p99 }))),
  };
}

/** The two pipelines and the cluster in turn, so that what else the machine does meets both. */
async function* compare(
  context: BenchContext,
  thread: LoadThread,
  load: Load,
  times: Times,
): AsyncGenerator<BenchResult> {
  const runs = await repeat(context, `limit: pipeline and cluster, ${describe(load)}`, times.runs, async () => ({
    bare: await runPipeline(context, load, times, "transactions"),
    // Only a store whose saves are to reach the disk has one.
    journal: load.durability === "disk" ? await runPipeline(context, load, times, "journal") : undefined,
    cluster: await thread.run(context, load, times),
  }));
  for (const [series, of] of [
    ["bare pipeline", runs.map(({ bare }) => bare)],
    ["bare pipeline, journal", runs.map(({ journal }) => journal).filter((run) => run !== undefined)],
  ] as const) {
    if (of.length === 0) continue;
    yield {
      bench: "limit",
      series,
      parameters: { ...load },
      figures: figures(of.map((run) => run.figures)),
      distribution: together(of.map(({ latencies }) => latencies)),
    };
  }
  const result = loadResult(
    "limit",
    load,
    runs.map(({ cluster }) => cluster),
  );
  yield {
    ...result,
    figures: {
      ...result.figures,
      ...figures(
        runs.map(({ bare, journal, cluster }) => ({
          "throughput / pipeline": ratio(cluster.figures["commits/s"], bare.figures["commits/s"]),
          "p50 / pipeline": ratio(cluster.figures["p50 ms"], bare.figures["p50 ms"]),
          "throughput / journal": ratio(cluster.figures["commits/s"], journal?.figures["commits/s"]),
          "p50 / journal": ratio(cluster.figures["p50 ms"], journal?.figures["p50 ms"]),
        })),
      ),
    },
    notes: [
      ...(result.notes ?? []),
      "The bare pipeline has the cluster's threads, ports and packed messages, and writes transactions of LMDB, or records of the journal that a store has in front of it. It elects, checks, applies and keeps nothing, and its client has no promise a command.",
    ],
  };
}

function ratio(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one / other;
}
