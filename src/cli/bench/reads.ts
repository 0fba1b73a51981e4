import type { Supervisor } from "../../actors/supervisor.ts";
import type { Durability } from "../../storage/store.ts";
import { type Bench, type BenchContext, repeat, SIZES, TIMES, type Times } from "./bench.ts";
import { startCluster } from "./cluster.ts";
import type { BenchResult } from "./document.ts";
import { figures } from "./figures.ts";
import { fill } from "./fill.ts";
import { together } from "./latencies.ts";
import { type Call, closedLoop, closedLoopMicros, failureNotes } from "./loops.ts";
import { clientShare } from "./meter.ts";

const KEYS = 1_000;
/** Of calls in the mixed load, one is a command. */
const READS_TO_A_WRITE = 9;

type Read = (query: { readonly op: "get"; readonly key: string }, client: number) => Promise<unknown>;

interface Way {
  /** Whether the leader has to make sure that it still leads. */
  readonly hasRounds: boolean;
  readonly read: (supervisor: Supervisor) => Promise<Read>;
}

const NAMES = ["leader", "followers", "lease", "local", "mixed"] as const;
type WayName = (typeof NAMES)[number];

const fromLeader: Way["read"] = async (supervisor) => {
  const leader = await supervisor.leader();
  return (query) => leader.query(query);
};

const WAYS: Readonly<Record<WayName, Way>> = {
  leader: { hasRounds: true, read: fromLeader },
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
      (supervisor.peers[client % supervisor.peers.length] ?? supervisor).query(query, { consistency: "local" }),
  },
  // Linearizable reads by the leader, and now and then a command.
  mixed: { hasRounds: false, read: fromLeader },
};

/** Reads a second in a closed loop. */
export const reads: Bench = {
  name: "reads",
  summary:
    "reads a second in a closed loop: linearizable by leader and followers, lease, local; mixed with commands 9:1",
  options: {
    ways: { default: NAMES.join(), quick: NAMES.join(), help: "ways to read" },
    outstanding: { default: "1,64,1000", quick: "1,64,1000", help: "numbers of clients, each with one read" },
    ...SIZES,
    durability: { default: "disk", quick: "disk", help: "of the commands of the mixed load: disk or process" },
    ...TIMES,
  },
  prepare(options) {
    const setting = {
      durability: options.durability(),
      peers: options.peers(),
      bytes: options.bytes(),
      ...options.times(),
    };
    const ways = options.choices("ways", NAMES);
    const all = options.crowds();
    return async function* (context) {
      for (const way of ways) {
        if (way === "followers" && setting.peers === 1) {
          context.skip("followers: one peer has none");
          continue;
        }
        for (const outstanding of all) yield await measure(context, { ...setting, way, outstanding });
      }
    };
  },
};

interface Setting extends Times {
  readonly way: WayName;
  readonly outstanding: number;
  readonly durability: Durability;
  readonly peers: number;
  readonly bytes: number;
}

async function measure(context: BenchContext, setting: Setting): Promise<BenchResult> {
  const { way, outstanding, peers, bytes, durability } = setting;
  const runs = await repeat(context, `reads: ${way}, ${outstanding} outstanding`, setting.runs, () =>
    runOnce(context, setting),
  );
  return {
    bench: "reads",
    series: "flotilla",
    parameters: { way, outstanding, peers, bytes, durability },
    figures: figures(runs.map((run) => run.figures)),
    distribution: together(runs.map(({ latencies }) => latencies)),
    notes: [
      ...failureNotes(runs),
      'Reads a round: how many linearizable reads one round of confirmations has served; heartbeats are counted as rounds, too. Nobody writes, but in "mixed", where one call in ten is a command.',
    ],
  };
}

async function runOnce(context: BenchContext, setting: Setting) {
  const { way, outstanding, peers, bytes, durability, seconds, warmUpSeconds } = setting;
  const generatorMicros = await closedLoopMicros(outstanding, context.signal);
  await using cluster = await startCluster(context, { peers, durability });
  const { supervisor } = cluster;
  const value = "x".repeat(bytes);
  await fill(context, supervisor, { keys: KEYS, bytes });
  const read = await WAYS[way].read(supervisor);
  const call: Call = (client, round) => {
    const key = `key${(client * 31 + round) % KEYS}`;
    const isWrite = way === "mixed" && (client + round) % (READS_TO_A_WRITE + 1) === 0;
    return isWrite ? supervisor.propose({ op: "put", key, value }) : read({ op: "get", key }, client);
  };
  const appends = async () => (await supervisor.counters()).byType.AppendEntries;
  let sent = 0;
  const run = await closedLoop(call, {
    outstanding,
    seconds,
    warmUpSeconds,
    signal: context.signal,
    onBegin: async () => {
      sent = await appends();
    },
    onEnd: async () => {
      sent = (await appends()) - sent;
    },
  });
  const { span, done, failures, failure, latencies } = run;
  const rounds = sent / Math.max(1, peers - 1);
  return {
    latencies,
    failure,
    figures: {
      [way === "mixed" ? "calls/s" : "reads/s"]: done / span.seconds,
      "p50 ms": latencies.quantile(0.5),
      "p99 ms": latencies.quantile(0.99),
      "p99.9 ms": latencies.quantile(0.999),
      "reads a round": WAYS[way].hasRounds && rounds > 0 ? done / rounds : undefined,
      "CPU µs a call": (span.cpuSeconds * 1e6) / done,
      ...clientShare(span, done, generatorMicros),
      "RSS MB": span.rssMb,
      failed: failures,
    },
  };
}
