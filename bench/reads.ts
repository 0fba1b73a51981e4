import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import type { Supervisor } from "../src/index.ts";
import { machine, numbers, quantile, startSpan, table } from "./harness.ts";

/*
 * Reads a second in a closed loop, on a cluster to which nobody writes: so many clients, each with one read outstanding,
 * in every way there is to read. "reads a round" says how many linearizable reads one round of confirmations has served;
 * heartbeats are counted as rounds, too. A read that fails, in an election say, is tried again, and counted.
 *
 *     npx tsx bench/reads.ts --peers 3 --outstanding 1,64,1000 --ways leader,followers,lease,local --runs 5
 *
 * `--dist` takes the built package (npm run build) instead of the source.
 */
const { values: args } = parseArgs({
  options: {
    peers: { type: "string", default: "3" },
    outstanding: { type: "string", default: "1,64,1000" },
    ways: { type: "string", default: "leader,followers,lease,local" },
    /** Of a value. */
    bytes: { type: "string", default: "256" },
    /** Of each run, after a warm-up of a quarter of it. */
    seconds: { type: "string", default: "4" },
    runs: { type: "string", default: "5" },
    dist: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const KEYS = 1_000;
/** Behind a read that has failed. */
const PAUSE_MS = 10;
const seconds = Number(args.seconds);
const [peers = 3] = numbers(args.peers);
const [bytes = 256] = numbers(args.bytes);
const source = args.dist ? new URL("../dist/index.js", import.meta.url) : new URL("../src/index.ts", import.meta.url);
const flotilla = (await import(source.href)) as typeof import("../src/index.ts");

type Query = { readonly op: "get"; readonly key: string };
type Read = (query: Query, client: number) => Promise<unknown>;

interface Way {
  /** Whether the leader has to make sure that it still leads. */
  readonly hasRounds: boolean;
  readonly read: (supervisor: Supervisor) => Promise<Read>;
}

const WAYS: Readonly<Record<string, Way>> = {
  leader: {
    hasRounds: true,
    read: async (supervisor) => {
      const leader = await supervisor.leader();
      return (query) => leader.query(query);
    },
  },
  followers: {
    hasRounds: true,
    read: async (supervisor) => {
      const { id } = await supervisor.leader();
      const followers = supervisor.peers.filter((peer) => peer.id !== id);
      return (query, client) => (followers[client % followers.length] ?? supervisor).query(query);
    },
  },
  lease: {
    hasRounds: false,
    read: async (supervisor) => (query) => supervisor.query(query, { consistency: "lease" }),
  },
  local: {
    hasRounds: false,
    read: async (supervisor) => (query, client) =>
      (supervisor.peers[client % peers] ?? supervisor).query(query, { consistency: "local" }),
  },
};

interface Run {
  readonly reads: number;
  readonly latencies: readonly number[];
  readonly cpuMicros: number;
  readonly perRound: number;
  readonly failures: number;
}

async function run({ read: prepare }: Way, outstanding: number): Promise<Run> {
  await using supervisor = await flotilla.Supervisor.start({ peers, durability: "process" });
  await fill(supervisor);
  const read = await prepare(supervisor);
  let isOver = false;
  let done = 0;
  let failures = 0;
  let latencies: number[] = [];
  const client = async (id: number) => {
    for (let round = 0; !isOver; round++) {
      const from = performance.now();
      try {
        await read({ op: "get", key: `k${(id * 31 + round) % KEYS}` }, id);
        latencies.push(performance.now() - from);
        done++;
      } catch {
        failures++;
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  };
  const clients = Array.from({ length: outstanding }, (_, id) => client(id));
  await new Promise((resolve) => setTimeout(resolve, seconds * 250));
  latencies = [];
  done = 0;
  failures = 0;
  const { byType: before } = await supervisor.counters();
  const stop = startSpan();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const span = stop();
  const [reads, seen, failed] = [done, latencies, failures];
  const { byType: after } = await supervisor.counters();
  const rounds = (after.AppendEntries - before.AppendEntries) / (peers - 1);
  isOver = true;
  await Promise.all(clients);
  const cpuMicros = (span.cpuSeconds * 1e6) / reads;
  return { reads: reads / span.seconds, latencies: seen, cpuMicros, perRound: reads / rounds, failures: failed };
}

async function fill(supervisor: Supervisor): Promise<void> {
  const value = "x".repeat(bytes);
  await Promise.all(Array.from({ length: KEYS }, (_, at) => supervisor.propose({ op: "put", key: `k${at}`, value })));
}

const rows: string[][] = [
  ["reads", "outstanding", "reads/s", "spread", "p50 ms", "p99 ms", "reads a round", "CPU µs", "failed"],
];
const report: object[] = [];
for (const name of args.ways.split(",")) {
  const way = WAYS[name];
  if (way === undefined) throw new Error(`"${name}" is no way to read: ${Object.keys(WAYS).join(", ")}`);
  for (const outstanding of numbers(args.outstanding)) {
    const runs: Run[] = [];
    for (let at = 0; at < Number(args.runs); at++) runs.push(await run(way, outstanding));
    const median = (of: (one: Run) => number) => quantile(runs.map(of), 0.5);
    const reads = runs.map((one) => one.reads);
    const latencies = runs.flatMap((one) => one.latencies);
    const [p50, p99] = [quantile(latencies, 0.5), quantile(latencies, 0.99)];
    const perRound = way.hasRounds ? median((one) => one.perRound) : undefined;
    const cpuMicros = median((one) => one.cpuMicros);
    const failures = runs.reduce((sum, one) => sum + one.failures, 0);
    report.push({ way: name, failures, outstanding, reads, p50, p99, perRound, cpuMicros });
    rows.push([
      name,
      String(outstanding),
      quantile(reads, 0.5).toFixed(0),
      `${Math.min(...reads).toFixed(0)}–${Math.max(...reads).toFixed(0)}`,
      p50.toFixed(3),
      p99.toFixed(3),
      perRound?.toFixed(1) ?? "-",
      cpuMicros.toFixed(1),
      String(failures),
    ]);
  }
}
const what = `${peers} peers, values of ${bytes} bytes, medians of ${args.runs} runs of ${seconds} s`;
if (args.json) console.log(JSON.stringify({ machine: machine(), what, results: report }, undefined, 2));
else console.log(`${machine()}\n${what}\n\n${table(rows)}`);
