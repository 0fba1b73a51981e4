import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { machine, numbers, quantile, startSpan, table } from "./harness.ts";

/*
 * Commands a second in a closed loop: so many clients, each with one command outstanding. The clients are promises of
 * the app's thread, as they are in an app, and so their cost is part of the figure.
 *
 *     npx tsx bench/throughput.ts --peers 3 --outstanding 1,64,1000,4000 --bytes 256 --durability disk --runs 5
 *
 * `--dist` takes the built package (npm run build) instead of the source.
 */
const { values: args } = parseArgs({
  options: {
    peers: { type: "string", default: "3" },
    outstanding: { type: "string", default: "1,64,1000,4000" },
    /** Of a value. */
    bytes: { type: "string", default: "256" },
    durability: { type: "string", default: "disk" },
    /** Of each run, after as long a warm-up of a quarter of it. */
    seconds: { type: "string", default: "4" },
    runs: { type: "string", default: "5" },
    dist: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const KEYS = 1_000;
const seconds = Number(args.seconds);
const [peers = 3] = numbers(args.peers);
const [bytes = 256] = numbers(args.bytes);
const durability = args.durability === "process" ? "process" : "disk";
const source = args.dist ? new URL("../dist/index.js", import.meta.url) : new URL("../src/index.ts", import.meta.url);
const { Supervisor } = (await import(source.href)) as typeof import("../src/index.ts");

interface Run {
  readonly commits: number;
  readonly latencies: readonly number[];
  readonly cpuMicros: number;
}

async function run(outstanding: number): Promise<Run> {
  await using supervisor = await Supervisor.start({ peers, durability });
  const value = "x".repeat(bytes);
  let isOver = false;
  let done = 0;
  let latencies: number[] = [];
  const client = async (id: number) => {
    for (let round = 0; !isOver; round++) {
      const from = performance.now();
      await supervisor.propose({ op: "put", key: `k${(id * 31 + round) % KEYS}`, value });
      latencies.push(performance.now() - from);
      done++;
    }
  };
  const clients = Array.from({ length: outstanding }, (_, id) => client(id));
  await new Promise((resolve) => setTimeout(resolve, seconds * 250));
  latencies = [];
  done = 0;
  const stop = startSpan();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const span = stop();
  const measured = { commits: done / span.seconds, latencies, cpuMicros: (span.cpuSeconds * 1e6) / done };
  isOver = true;
  await Promise.all(clients);
  return measured;
}

const rows: string[][] = [["outstanding", "commits/s", "spread", "p50 ms", "p99 ms", "CPU µs a command", "RSS MiB"]];
const report: object[] = [];
for (const outstanding of numbers(args.outstanding)) {
  const runs: Run[] = [];
  for (let at = 0; at < Number(args.runs); at++) runs.push(await run(outstanding));
  const commits = runs.map((one) => one.commits);
  const latencies = runs.flatMap((one) => one.latencies);
  const cpu = quantile(
    runs.map((one) => one.cpuMicros),
    0.5,
  );
  const rss = process.memoryUsage.rss() / 2 ** 20;
  const [median, low, high] = [quantile(commits, 0.5), Math.min(...commits), Math.max(...commits)];
  report.push({ outstanding, commits, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), cpuMicros: cpu });
  rows.push([
    String(outstanding),
    median.toFixed(0),
    `${low.toFixed(0)}–${high.toFixed(0)}`,
    quantile(latencies, 0.5).toFixed(2),
    quantile(latencies, 0.99).toFixed(2),
    cpu.toFixed(1),
    rss.toFixed(0),
  ]);
}
const what = `${peers} peers, values of ${bytes} bytes, durability "${durability}", medians of ${args.runs} runs of ${seconds} s`;
if (args.json) console.log(JSON.stringify({ machine: machine(), what, results: report }, undefined, 2));
else console.log(`${machine()}\n${what}\n\n${table(rows)}`);
