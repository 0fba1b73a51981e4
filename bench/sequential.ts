import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { machine, numbers, quantile, startSpan, table } from "./harness.ts";

/*
 * What one client waits for that appends to one key, each append after the answer to the one before: the lab's Speed
 * tests, on disk. MIT's own solution took 15.7 ms each, and 3.2 ms with snapshots, and wrote nothing to a disk
 * (handout of 2022); the target is 3 ms.
 *
 *     npx tsx bench/sequential.ts --peers 3 --appends 1000 --durability disk,process --snapshot-every 0,1000 --runs 5
 *
 * `--dist` takes the built package (npm run build) instead of the source.
 */
const { values: args } = parseArgs({
  options: {
    peers: { type: "string", default: "3" },
    appends: { type: "string", default: "1000" },
    durability: { type: "string", default: "disk,process" },
    /** Entries between snapshots. */
    "snapshot-every": { type: "string", default: "0,1000" },
    runs: { type: "string", default: "5" },
    dist: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const TARGET_MS = 3;
const MIT_MS = { plain: 15.7, snapshots: 3.2 };
/** Before any is counted. */
const WARM_UP = 100;
const [peers = 3] = numbers(args.peers);
const [appends = 1_000] = numbers(args.appends);
const source = (name: string) => new URL(args.dist ? `../dist/${name}.js` : `../src/${name}.ts`, import.meta.url).href;
const { Supervisor } = (await import(source("index"))) as typeof import("../src/index.ts");
const { KvClient } = (await import(source("kv"))) as typeof import("../src/kv.ts");

interface Run {
  readonly latencies: readonly number[];
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rpcs: number;
}

async function run(durability: "disk" | "process", snapshotEvery: number): Promise<Run> {
  await using supervisor = await Supervisor.start({ peers, durability, snapshotEvery });
  const kv = new KvClient(supervisor);
  for (let at = 0; at < WARM_UP; at++) await kv.append("warm", `x 0 ${at} y`);
  const { rpcs: before } = await supervisor.counters();
  const latencies: number[] = [];
  const stop = startSpan();
  for (let at = 0; at < appends; at++) {
    const from = performance.now();
    await kv.append("x", `x 0 ${at} y`);
    latencies.push(performance.now() - from);
  }
  const span = stop();
  const { rpcs } = await supervisor.counters();
  return { latencies, ...span, rpcs: rpcs - before };
}

const rows: string[][] = [
  ["durability", "snapshots", "median ms", "spread", "mean ms", "p99 ms", "RPCs an append", "CPU µs", "MIT ms"],
];
const report: object[] = [];
for (const durability of args.durability.split(",")) {
  if (durability !== "disk" && durability !== "process") throw new Error(`"${durability}": expected disk or process`);
  for (const every of args["snapshot-every"].split(",").map(Number)) {
    const runs: Run[] = [];
    for (let at = 0; at < Number(args.runs); at++) runs.push(await run(durability, every));
    const median = (of: (one: Run) => number) => quantile(runs.map(of), 0.5);
    const medians = runs.map(({ latencies }) => quantile(latencies, 0.5));
    const figures = {
      median: quantile(medians, 0.5),
      mean: median(({ seconds }) => (seconds * 1_000) / appends),
      p99: quantile(
        runs.flatMap(({ latencies }) => latencies),
        0.99,
      ),
      rpcs: median(({ rpcs }) => rpcs / appends),
      cpuMicros: median(({ cpuSeconds }) => (cpuSeconds * 1e6) / appends),
    };
    const mit = every > 0 ? MIT_MS.snapshots : MIT_MS.plain;
    report.push({ durability, snapshotEvery: every, medians, ...figures, mit });
    rows.push([
      durability,
      every > 0 ? `every ${every}` : "none",
      figures.median.toFixed(2),
      `${Math.min(...medians).toFixed(2)}–${Math.max(...medians).toFixed(2)}`,
      figures.mean.toFixed(2),
      figures.p99.toFixed(2),
      figures.rpcs.toFixed(1),
      figures.cpuMicros.toFixed(0),
      mit.toFixed(1),
    ]);
  }
}
const what = `${peers} peers, ${appends} appends one after the other, medians of ${args.runs} runs; the target is ${TARGET_MS} ms`;
if (args.json) console.log(JSON.stringify({ machine: machine(), what, results: report }, undefined, 2));
else console.log(`${machine()}\n${what}\n\n${table(rows)}`);
