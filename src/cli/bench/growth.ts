import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { durableKeyValueMap } from "../../machine/durable-key-value.ts";
import type { Durability } from "../../storage/store.ts";
import { type Bench, type BenchContext, type MachineKind, repeat, TIMES, type Times } from "./bench.ts";
import { type BenchCluster, startCluster } from "./cluster.ts";
import type { BenchResult } from "./document.ts";
import { figures } from "./figures.ts";
import { fill } from "./fill.ts";
import { together } from "./latencies.ts";
import { closedLoop, closedLoopMicros, failureNotes } from "./loops.ts";
import { clientShare, startSpan } from "./meter.ts";

const KEYS = 1_000;

/** What a command costs as things get large. */
export const growth: Bench = {
  name: "growth",
  summary: "what a command costs as the log, the state, the peers and the clients grow; and what an idle cluster costs",
  options: {
    parts: { default: "log,state,peers,clients,idle", quick: "log,state,peers,clients,idle", help: "what grows" },
    entries: { default: "10000,100000,1000000,10000000", quick: "10000,100000", help: "lengths of the log" },
    keys: { default: "1000,10000,100000,1000000", quick: "1000,10000,100000", help: "sizes of the state" },
    peers: { default: "1,3,5,7,9", quick: "1,3,5", help: "numbers of peers" },
    clients: {
      default: "1,10,100,1000,10000",
      quick: "1,10,100,1000",
      help: "numbers of clients, each with one command",
    },
    machine: { default: "memory,durable", quick: "memory", help: "the map in memory, the durable one, or both" },
    outstanding: { default: "64", quick: "64", help: "commands outstanding, but where clients grow" },
    bytes: { default: "256", quick: "256", help: "size of the values" },
    durability: { default: "disk", quick: "disk", help: "disk or process" },
    "snapshot-every": { default: "0", quick: "0", help: "entries between snapshots; 0: none" },
    ...TIMES,
  },
  prepare(options) {
    const parts = options.choices("parts", ["log", "state", "peers", "clients", "idle"]);
    const setting: Setting = {
      machine: "memory",
      durability: options.durability(),
      bytes: options.bytes(),
      outstanding: options.integer("outstanding", 1, 100_000),
      snapshotEvery: options.integer("snapshot-every", 0),
      ...options.times(),
    };
    const machines = options.machines();
    const entries = options.integers("entries");
    const keys = options.integers("keys");
    const counts = options.peerCounts();
    const crowds = options.crowds("clients");
    return async function* (context) {
      for (const machine of machines) {
        if (parts.includes("log")) yield* grow(context, { ...setting, machine }, "log", entries);
        if (parts.includes("state")) yield* grow(context, { ...setting, machine }, "state", keys);
      }
      if (parts.includes("peers")) {
        for (const peers of counts) yield await apart(context, setting, "peers", peers);
      }
      if (parts.includes("clients")) {
        for (const clients of crowds) {
          yield await apart(context, { ...setting, outstanding: clients }, "clients", clients);
        }
      }
      if (parts.includes("idle")) {
        for (const peers of counts) yield await idle(context, setting, peers);
      }
    };
  },
};

interface Setting extends Times {
  readonly machine: MachineKind;
  readonly durability: Durability;
  readonly bytes: number;
  readonly outstanding: number;
  readonly snapshotEvery: number;
}

/** A cluster of its own for each size: the log grows while it is measured, and far beyond a small size. */
async function* grow(
  context: BenchContext,
  setting: Setting,
  part: "log" | "state",
  sizes: readonly number[],
): AsyncGenerator<BenchResult> {
  const [smallest, ...larger] = [...sizes].sort((a, b) => a - b);
  if (smallest === undefined) return;
  {
    await using cluster = await grown(context, setting, part, smallest);
    yield await cost(context, cluster, setting, part);
  }
  for (const size of larger) {
    await using cluster = await grown(context, setting, part, size);
    await using small = await grown(context, setting, part, smallest);
    yield await cost(context, cluster, setting, part, small);
  }
}

/** A cluster that has come to a size. */
interface Grown extends BenchCluster {
  readonly size: number;
  readonly keys: number;
}

/** Starts one, and fills it until its log or its state has that size. */
async function grown(context: BenchContext, setting: Setting, part: "log" | "state", size: number): Promise<Grown> {
  const cluster = await start(context, setting, 3);
  try {
    context.progress(`growth: ${part} grows to ${size}, ${setting.machine} map`);
    const keys = part === "state" ? size : KEYS;
    await fill(context, cluster.supervisor, { keys, bytes: setting.bytes, commands: size });
    return { ...cluster, size, keys };
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

/** A cluster of its own for a size. */
async function apart(
  context: BenchContext,
  setting: Setting,
  part: "peers" | "clients",
  size: number,
): Promise<BenchResult> {
  await using cluster = await start(context, setting, part === "peers" ? size : 3);
  return await cost(context, { ...cluster, size, keys: KEYS }, setting, part);
}

function start(context: BenchContext, setting: Setting, peers: number): Promise<BenchCluster> {
  const { durability, machine, snapshotEvery } = setting;
  const isDurable = machine === "durable";
  return startCluster(context, {
    peers,
    durability,
    snapshotEvery,
    ...(isDurable ? { machine: durableKeyValueMap } : {}),
  });
}

/** @param small measured in turns with the cluster, for the ratio of the two: what a machine does varies from minute to minute. */
async function cost(
  context: BenchContext,
  cluster: Grown,
  setting: Setting,
  part: string,
  small?: Grown,
): Promise<BenchResult> {
  const { machine, durability, bytes, outstanding, seconds, warmUpSeconds } = setting;
  const { size } = cluster;
  const value = "x".repeat(bytes);
  const generatorMicros = await closedLoopMicros(outstanding, context.signal);
  const puts = async ({ supervisor, keys }: Grown) => {
    const run = await closedLoop(
      (client, round) => supervisor.propose({ op: "put", key: `key${(client * 7_919 + round) % keys}`, value }),
      { outstanding, seconds, warmUpSeconds, signal: context.signal },
    );
    return { ...run, micros: (run.span.cpuSeconds * 1e6) / run.done, rate: run.done / run.span.seconds };
  };
  const runs = await repeat(context, `growth: ${part} ${size}, ${machine} map`, setting.runs, async () => {
    const beside = small && (await puts(small));
    const run = await puts(cluster);
    const { lastIndex } = await (await cluster.supervisor.leader()).status();
    return { ...run, beside, diskMb: cluster.diskMb(), lastIndex };
  });
  return {
    bench: "growth",
    series: machine === "durable" ? "flotilla, durable map" : "flotilla",
    parameters: { part, size, durability, outstanding, bytes },
    figures: figures(
      runs.map(({ span, done, failures, latencies, micros, rate, beside, diskMb, lastIndex }) => ({
        "CPU µs a command": micros,
        "commits/s": rate,
        ...(beside && {
          [`CPU × that of ${small?.size}`]: micros / beside.micros,
          [`commits × those of ${small?.size}`]: rate / beside.rate,
        }),
        "p50 ms": latencies.quantile(0.5),
        "p99 ms": latencies.quantile(0.99),
        "RSS MB": span.rssMb,
        "disk MB": diskMb,
        "last index": lastIndex,
        ...clientShare(span, done, generatorMicros),
        failed: failures,
      })),
    ),
    distribution: together(runs.map(({ latencies }) => latencies)),
    notes: [
      ...failureNotes(runs),
      "Log and state are of the given size when the first run begins. The log goes on growing, from run to run; how far, the last index at the end of each tells. The ratios are to a new cluster of the smallest size, measured in turns. RSS is that of the process, with that cluster, and with what the pages of LMDB's maps take of the system's cache.",
    ],
  };
}

async function idle(context: BenchContext, setting: Setting, peers: number): Promise<BenchResult> {
  await using cluster = await start(context, setting, peers);
  await sleep(500, undefined, { signal: context.signal });
  const runs = await repeat(context, `growth: ${peers} idle peers`, setting.runs, async () => {
    const stop = startSpan();
    const before = sleeps();
    await sleep(setting.seconds * 1_000, undefined, { signal: context.signal });
    const { cpuSeconds, seconds, rssMb } = stop();
    const after = sleeps();
    return {
      "% of a core": (100 * cpuSeconds) / seconds,
      "wake-ups/s": before === undefined || after === undefined ? undefined : (after - before) / seconds,
      "RSS MB": rssMb,
      "disk MB": cluster.diskMb(),
    };
  });
  return { bench: "growth", series: "flotilla", parameters: { part: "idle", peers }, figures: figures(runs) };
}

/** How often the threads of this process have gone to sleep so far, which is how often they were woken up; undefined but on Linux. */
function sleeps(): number | undefined {
  try {
    let sum = 0;
    for (const task of readdirSync("/proc/self/task")) {
      const status = readFileSync(`/proc/self/task/${task}/status`, "utf8");
      sum += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    }
    return sum;
  } catch {
    return undefined;
  }
}
