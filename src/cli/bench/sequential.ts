import { KvClient } from "../../kv/client.ts";
import type { Durability } from "../../storage/store.ts";
import { type Bench, type BenchContext, repeat } from "./bench.ts";
import { startCluster } from "./cluster.ts";
import type { BenchResult } from "./document.ts";
import { figure, figures } from "./figures.ts";
import { Latencies, together } from "./latencies.ts";
import { startSpan } from "./meter.ts";

/** Of MIT's own solution, without and with snapshots; it wrote nothing to a disk (handout of 2022). */
const MIT_MS = { plain: 15.7, snapshots: 3.2 };
/** Before any is counted. */
const WARM_UP = 100;

/** What one client waits for that appends to one key, each append after the answer to the one before. */
export const sequential: Bench = {
  name: "sequential",
  summary: "what one client of flotilla/kv waits for: the lab's Speed tests, on disk",
  options: {
    appends: { default: "1000", quick: "200", help: "one after the other" },
    "snapshot-every": { default: "0,1000", quick: "0,1000", help: "entries between snapshots; 0: none" },
    peers: { default: "3", quick: "3", help: "number of peers" },
    durability: { default: "disk,process", quick: "disk", help: "disk, process or both" },
    runs: { default: "5", quick: "1", help: "of each" },
  },
  prepare(options) {
    const setting = {
      peers: options.peers(),
      appends: options.integer("appends"),
      runs: options.integer("runs"),
    };
    const durabilities = options.durabilities();
    const intervals = options.integers("snapshot-every", 0);
    return async function* (context) {
      for (const durability of durabilities) {
        for (const snapshotEvery of intervals) {
          yield await measure(context, { ...setting, durability, snapshotEvery });
        }
      }
    };
  },
};

interface Setting {
  readonly peers: number;
  readonly appends: number;
  readonly runs: number;
  readonly durability: Durability;
  readonly snapshotEvery: number;
}

async function measure(context: BenchContext, setting: Setting): Promise<BenchResult> {
  const { peers, appends, durability, snapshotEvery } = setting;
  const runs = await repeat(context, `sequential: ${durability}, snapshots every ${snapshotEvery}`, setting.runs, () =>
    runOnce(context, setting),
  );
  return {
    bench: "sequential",
    series: "flotilla",
    parameters: { peers, appends, durability, "snapshots every": snapshotEvery },
    figures: {
      ...figures(runs.map((run) => run.figures)),
      "MIT ms": figure([snapshotEvery > 0 ? MIT_MS.snapshots : MIT_MS.plain]),
    },
    distribution: together(runs.map(({ latencies }) => latencies)),
    notes: [
      "MIT's figures are those of its own solution in the lab's handout of 2022, on its machine; it wrote nothing to a disk.",
    ],
  };
}

async function runOnce(context: BenchContext, { peers, appends, durability, snapshotEvery }: Setting) {
  await using cluster = await startCluster(context, { peers, durability, snapshotEvery });
  const { supervisor } = cluster;
  const kv = new KvClient(supervisor);
  for (let at = 0; at < WARM_UP; at++) await kv.append("warm", `x 0 ${at} y`);
  const { rpcs: before } = await supervisor.counters();
  const latencies = new Latencies();
  const stop = startSpan();
  for (let at = 0; at < appends; at++) {
    context.signal.throwIfAborted();
    const from = performance.now();
    await kv.append("x", `x 0 ${at} y`);
    latencies.record(performance.now() - from);
  }
  const span = stop();
  const { rpcs } = await supervisor.counters();
  return {
    latencies,
    figures: {
      "p50 ms": latencies.quantile(0.5),
      "mean ms": (span.seconds * 1_000) / appends,
      "p99 ms": latencies.quantile(0.99),
      "RPCs an append": (rpcs - before) / appends,
      "CPU µs an append": (span.cpuSeconds * 1e6) / appends,
      "app's thread %": span.clientCpuSeconds && (100 * span.clientCpuSeconds) / span.cpuSeconds,
    },
  };
}
