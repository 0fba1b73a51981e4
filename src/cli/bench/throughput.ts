import type { Durability } from "../../storage/store.ts";
import {
  type Bench,
  type BenchContext,
  DURABILITIES,
  MOST_BYTES,
  MOST_OUTSTANDING,
  MOST_PEERS,
  type OptionValues,
  repeat,
  TIMES,
  timesOf,
} from "./bench.ts";
import { startCluster } from "./cluster.ts";
import type { BenchResult } from "./document.ts";
import { figures } from "./figures.ts";
import { type Latencies, together } from "./latencies.ts";
import { closedLoop, generatorMicros } from "./loops.ts";

/** Keys that are written to, so that the state does not grow. */
export const KEYS = 1_000;

/** What a closed loop is run on. */
export interface Load {
  readonly peers: number;
  readonly bytes: number;
  readonly outstanding: number;
  readonly durability: Durability;
}

/** What the others are at while one of them is varied. */
const BASE: Load = { peers: 3, bytes: 256, outstanding: 1_000, durability: "disk" };

/** Commands a second in a closed loop. */
export const throughput: Bench = {
  name: "throughput",
  summary: "commands a second in a closed loop, over outstanding commands, sizes, peers and durabilities",
  options: {
    peers: { default: "1,3,5,7", quick: "1,3", help: "numbers of peers" },
    outstanding: { default: "1,64,1000,4000", quick: "1,64,1000", help: "numbers of clients, each with one command" },
    bytes: { default: "16,256,4096,65536", quick: "256", help: "sizes of the values" },
    durability: { default: "disk,process", quick: "disk,process", help: "disk, process or both" },
    ...TIMES,
  },
  prepare(options) {
    const times = timesOf(options);
    const all = loads(options);
    return async function* (context) {
      for (const load of all) yield await measure(context, load, times);
    };
  },
};

/**
 * What is run: each list that was given with each other one; but what was left to the defaults is varied alone, around
 * the base, since all of it with all takes hours.
 */
export function loads(options: OptionValues): Load[] {
  const lists = {
    peers: options.integers("peers", 1, MOST_PEERS),
    bytes: options.integers("bytes", 1, MOST_BYTES),
    outstanding: options.integers("outstanding", 1, MOST_OUTSTANDING),
    durability: options.choices("durability", DURABILITIES),
  };
  const axes = ["outstanding", "bytes", "peers", "durability"] as const;
  if (axes.some((axis) => options.isGiven(axis))) {
    const take = <Axis extends keyof Load>(axis: Axis): readonly Load[Axis][] => {
      const isWanted = options.isGiven(axis) || axis === "outstanding";
      return isWanted ? (lists[axis] as unknown as readonly Load[Axis][]) : [BASE[axis]];
    };
    return take("durability").flatMap((durability) =>
      take("peers").flatMap((peers) =>
        take("bytes").flatMap((bytes) =>
          take("outstanding").map((outstanding) => ({ peers, bytes, outstanding, durability })),
        ),
      ),
    );
  }
  const varied = [
    ...lists.durability.flatMap((durability) =>
      lists.outstanding.map((outstanding) => ({ ...BASE, durability, outstanding })),
    ),
    ...lists.bytes.map((bytes) => ({ ...BASE, bytes })),
    ...lists.peers.map((peers) => ({ ...BASE, peers })),
  ];
  const once = new Map(
    varied.map((load) => [JSON.stringify([load.peers, load.bytes, load.outstanding, load.durability]), load]),
  );
  return [...once.values()];
}

/** The closed loop of one load, some times. */
async function measure(
  context: BenchContext,
  load: Load,
  { seconds, runs }: { readonly seconds: number; readonly runs: number },
): Promise<BenchResult> {
  const generator = await generatorMicros(load.outstanding, context.signal);
  const all = await repeat(context, `throughput: ${describe(load)}`, runs, () =>
    runLoad(context, load, seconds, generator),
  );
  return loadResult("throughput", load, all);
}

/** A load in words. */
export function describe({ peers, bytes, outstanding, durability }: Load): string {
  return `${peers} peers, ${bytes} B, ${outstanding} outstanding, ${durability}`;
}

/** What one run of a load gave. */
export interface LoadRun {
  readonly figures: Readonly<Record<string, number | undefined>>;
  readonly latencies: Latencies;
}

/** Several runs as one result. */
export function loadResult(bench: string, load: Load, runs: readonly LoadRun[]): BenchResult {
  return {
    bench,
    series: "flotilla",
    parameters: { ...load },
    figures: figures(runs.map((run) => run.figures)),
    distribution: together(runs.map(({ latencies }) => latencies)),
  };
}

/**
 * Starts a cluster, runs the closed loop of one load on it, and stops it.
 * @param generator what the loop itself takes of the CPU, in µs a command; see `generatorMicros`.
 */
export async function runLoad(context: BenchContext, load: Load, seconds: number, generator: number): Promise<LoadRun> {
  const { peers, bytes, outstanding, durability } = load;
  const value = "x".repeat(bytes);
  await using cluster = await startCluster(context, {
    peers,
    durability,
    // Room for all that is outstanding at once.
    maxPendingBytes: Math.max(64 << 20, 2 * outstanding * (bytes + 64)),
  });
  const { supervisor } = cluster;
  let transactions = 0;
  const { span, done, failures, latencies } = await closedLoop(
    (client, round) => supervisor.propose({ op: "put", key: `k${(client * 31 + round) % KEYS}`, value }),
    {
      outstanding,
      seconds,
      signal: context.signal,
      onBegin: () => {
        transactions = cluster.transactions();
      },
      onEnd: () => {
        transactions = cluster.transactions() - transactions;
      },
    },
  );
  const share = (cpuSeconds: number) => (100 * cpuSeconds) / span.cpuSeconds;
  return {
    latencies,
    figures: {
      "commits/s": done / span.seconds,
      "p50 ms": latencies.quantile(0.5),
      "p99 ms": latencies.quantile(0.99),
      "p99.9 ms": latencies.quantile(0.999),
      [durability === "disk" ? "fsyncs/s" : "transactions/s"]: transactions / span.seconds,
      "CPU µs a command": (span.cpuSeconds * 1e6) / done,
      "cores busy": span.cpuSeconds / span.seconds,
      "app's thread %": span.appCpuSeconds === undefined ? undefined : share(span.appCpuSeconds),
      "generator %": share((generator * done) / 1e6),
      "RSS MB": span.rssMb,
      failed: failures,
    },
  };
}
