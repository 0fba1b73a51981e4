import type { BenchContext } from "../bench.ts";
import { startCluster } from "../cluster.ts";
import { fill } from "../fill.ts";
import { closedLoop } from "../loops.ts";
import type { Contest, ContestRun } from "./rival.ts";

const KEYS = 1_000;

/** The same closed loop for flotilla: three peers, durable, the clients in the app's thread. */
export async function runFlotilla(
  context: BenchContext,
  { operation, outstanding, bytes, seconds, warmUpSeconds }: Contest,
): Promise<ContestRun> {
  await using cluster = await startCluster(context, {
    peers: 3,
    durability: "disk",
    maxPendingBytes: Math.max(64 << 20, 2 * outstanding * (bytes + 64)),
  });
  const { supervisor } = cluster;
  const leader = await supervisor.leader();
  const value = "x".repeat(bytes);
  const key = (client: number, round: number) => `key${(client * 31 + round) % KEYS}`;
  if (operation === "read") {
    await fill(context, supervisor, { keys: KEYS, bytes });
  }
  const { span, done, failures, failure, latencies } = await closedLoop(
    (client, round) =>
      operation === "put"
        ? supervisor.propose({ op: "put", key: key(client, round), value })
        : leader.query({ op: "get", key: key(client, round) }),
    { outstanding, seconds, warmUpSeconds, signal: context.signal },
  );
  const { seconds: took, cpuSeconds, clientCpuSeconds } = span;
  return { done, failures, failure, latencies, seconds: took, cpuSeconds, clientCpuSeconds };
}
