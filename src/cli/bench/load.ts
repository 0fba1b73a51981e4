import type { Supervisor } from "../../actors/supervisor.ts";
import { KvClient } from "../../kv/client.ts";
import type { Durability } from "../../storage/store.ts";
import type { BenchContext } from "./bench.ts";
import { startCluster } from "./cluster.ts";
import type { Latencies } from "./latencies.ts";
import { closedLoop, closedLoopMicros, type Stretch } from "./loops.ts";
import { clientShare } from "./meter.ts";

/** Keys that are written to, so that the state does not grow. */
export const KEYS = 1_000;

/** Who carries commands: the supervisor, each once at most; a session, each exactly once; or the client of the key-value map. */
export const WAYS = ["supervisor", "session", "kv"] as const;
export type Way = (typeof WAYS)[number];

/** What a closed loop is run on. */
export interface Load {
  readonly peers: number;
  readonly bytes: number;
  readonly outstanding: number;
  readonly durability: Durability;
  /** Default: the supervisor. */
  readonly by?: Way;
}

/** What one run of a load gave. */
export interface LoadRun {
  readonly figures: Readonly<Record<string, number | undefined>>;
  readonly latencies: Latencies;
  /** Of the commands that failed, what the first said. */
  readonly failure?: string | undefined;
}

/** Starts a cluster, runs the closed loop of one load on it, and stops it. Its clients are in the thread that calls this. */
export async function runLoad(
  context: Pick<BenchContext, "folder" | "signal">,
  load: Load,
  stretch: Stretch,
): Promise<LoadRun> {
  const { peers, bytes, outstanding, durability } = load;
  const { by = "supervisor" } = load;
  const value = "x".repeat(bytes);
  const generatorMicros = await closedLoopMicros(outstanding, context.signal);
  await using cluster = await startCluster(context, {
    peers,
    durability,
    // Room for all that is outstanding at once.
    maxPendingBytes: Math.max(64 << 20, 2 * outstanding * (bytes + 64)),
  });
  const put = putter(cluster.supervisor, by);
  let before: number | undefined;
  let after: number | undefined;
  const { span, done, failures, failure, latencies } = await closedLoop(
    (client, round) => put(`k${(client * 31 + round) % KEYS}`, value),
    {
      outstanding,
      ...stretch,
      signal: context.signal,
      onBegin: () => {
        before = cluster.writes();
      },
      onEnd: () => {
        after = cluster.writes();
      },
    },
  );
  const writes = before === undefined || after === undefined ? undefined : after - before;
  return {
    latencies,
    failure,
    figures: {
      "commits/s": done / span.seconds,
      "p50 ms": latencies.quantile(0.5),
      "p99 ms": latencies.quantile(0.99),
      "p99.9 ms": latencies.quantile(0.999),
      [durability === "disk" ? "fsyncs/s" : "transactions/s"]: writes && writes / span.seconds,
      "CPU µs a command": (span.cpuSeconds * 1e6) / done,
      "cores busy": span.cpuSeconds / span.seconds,
      ...clientShare(span, done, generatorMicros),
      "RSS MB": span.rssMb,
      failed: failures,
    },
  };
}

/** One session, or one client of the map, for all that is outstanding, as in an app. */
function putter(supervisor: Supervisor, by: Way): (key: string, value: string) => Promise<unknown> {
  switch (by) {
    case "supervisor":
      return (key, value) => supervisor.propose({ op: "put", key, value });
    case "session": {
      const session = supervisor.session();
      return (key, value) => session.propose({ op: "put", key, value });
    }
    case "kv": {
      const kv = new KvClient(supervisor);
      return (key, value) => kv.put(key, value);
    }
  }
}
