import { setTimeout as sleep } from "node:timers/promises";
import { durableKeyValueMap } from "../../machine/durable-key-value.ts";
import type { Durability } from "../../storage/store.ts";
import { type Bench, type BenchContext, type MachineKind, repeat, SIZES, TIMES, type Times } from "./bench.ts";
import { startCluster } from "./cluster.ts";
import type { BenchResult } from "./document.ts";
import { figures } from "./figures.ts";
import { fill, MAP_ENTRY_BYTES } from "./fill.ts";
import { type Latencies, together } from "./latencies.ts";
import { failureNotes, openLoop, openLoopMicros, type Stretch } from "./loops.ts";
import { clientShare } from "./meter.ts";

/** How long a cluster that was filled is left alone: what that left to the garbage collectors is not to be measured. */
const REST_MS = 1_000;
const PATIENT = { timeoutMs: 120_000 };

/** An open loop, with and without snapshots. */
export const latency: Bench = {
  name: "latency",
  summary: "latencies in an open loop at fixed rates, while all peers take snapshots and while they do not",
  options: {
    rate: { default: "1000,10000,50000", quick: "1000,10000", help: "commands a second" },
    ...SIZES,
    durability: { default: "disk", quick: "disk", help: "disk, process or both" },
    "state-mb": { default: "100", quick: "10", help: "size of the state that snapshots are taken of" },
    machine: { default: "memory,durable", quick: "memory", help: "the map in memory, the durable one, or both" },
    ...TIMES,
  },
  prepare(options) {
    const times = options.times();
    const peers = options.peers();
    const bytes = options.bytes();
    const stateMb = options.number("state-mb", 0.001, 10_000);
    const durabilities = options.durabilities();
    const machines = options.machines();
    const rates = options.integers("rate", 1, 1e6);
    return async function* (context) {
      for (const durability of durabilities) {
        for (const machine of machines) {
          for (const rate of rates) {
            yield* measure(context, { rate, peers, bytes, durability, machine, stateMb }, times);
          }
        }
      }
    };
  },
};

interface Setting {
  readonly rate: number;
  readonly peers: number;
  readonly bytes: number;
  readonly durability: Durability;
  readonly machine: MachineKind;
  readonly stateMb: number;
}

/** What one phase of one run gave. */
interface Phase {
  readonly figures: Readonly<Record<string, number | undefined>>;
  readonly latencies: Latencies;
  readonly failure: string | undefined;
}

async function* measure(
  context: BenchContext,
  setting: Setting,
  { runs, ...stretch }: Times,
): AsyncGenerator<BenchResult> {
  const { rate, durability, machine, stateMb } = setting;
  const title = `latency: ${rate} a second, ${stateMb} MB in the ${machine} map, ${durability}`;
  const all = await repeat(context, title, runs, () => runOnce(context, setting, stretch));
  for (const snapshots of ["none", "all the time"] as const) {
    const phases = all.map((run) => run[snapshots]);
    yield {
      bench: "latency",
      series: "flotilla",
      parameters: { ...setting, snapshots },
      figures: figures(phases.map((phase) => phase.figures)),
      distribution: together(phases.map(({ latencies }) => latencies)),
      notes: [
        ...failureNotes(phases),
        "Latencies count from when a command was due. The loop's own lateness is a part of them: the clients are in the app's thread, which also makes the commands and takes the answers. It makes what is due once a millisecond, which alone is half a millisecond in the mean.",
      ],
    };
  }
}

async function runOnce(
  context: BenchContext,
  { rate, peers, bytes, durability, machine, stateMb }: Setting,
  stretch: Stretch,
): Promise<Record<"none" | "all the time", Phase>> {
  const generatorMicros = await openLoopMicros(rate, context.signal);
  await using cluster = await startCluster(context, {
    peers,
    durability,
    snapshotEvery: 0,
    ...(machine === "durable" ? { machine: durableKeyValueMap } : {}),
  });
  const { supervisor } = cluster;
  const keys = Math.max(1, Math.ceil((stateMb * 1e6) / (bytes + MAP_ENTRY_BYTES)));
  await fill(context, supervisor, { keys, bytes });
  await sleep(REST_MS, undefined, { signal: context.signal });
  const value = "x".repeat(bytes);
  const phase = async (): Promise<Phase> => {
    const call = () => supervisor.propose({ op: "put", key: `key${Math.floor(Math.random() * keys)}`, value }, PATIENT);
    const run = await openLoop(call, { rate, ...stretch, signal: context.signal });
    return {
      latencies: run.latencies,
      failure: run.failure,
      figures: {
        ...run.latencies.summary(),
        "done/s": run.done / run.span.seconds,
        "loop late p50 ms": run.lateness.quantile(0.5),
        "loop late p99 ms": run.lateness.quantile(0.99),
        "unanswered at the end": run.unanswered,
        "CPU µs a command": (run.span.cpuSeconds * 1e6) / run.done,
        ...clientShare(run.span, run.done, generatorMicros),
        "RSS MB": run.span.rssMb,
        failed: run.failures,
      },
    };
  };
  const quiet = await phase();
  let isOver = false;
  let taken = 0;
  const takers = supervisor.peers.map(async (peer) => {
    while (!isOver) {
      await peer.snapshot();
      taken++;
      // There is something to take another one of only when something was applied.
      await sleep(10);
    }
  });
  const settled = Promise.allSettled(takers);
  const busy = await phase().finally(async () => {
    isOver = true;
    await settled;
  });
  // Where one was refused, nothing was measured.
  await Promise.all(takers);
  return { none: quiet, "all the time": { ...busy, figures: { ...busy.figures, snapshots: taken / peers } } };
}
