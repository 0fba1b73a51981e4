import { performance } from "node:perf_hooks";
import type { ClusterEvents } from "../../../actors/event-feed.ts";
import type { Peer } from "../../../actors/peer-handle.ts";
import type { Supervisor } from "../../../actors/supervisor.ts";
import { type BenchContext, repeat } from "../bench.ts";
import { type BenchCluster, startCluster, until } from "../cluster.ts";
import type { BenchResult } from "../document.ts";
import { figures } from "../figures.ts";
import { fill } from "../fill.ts";
import { clusterOptions, type RecoverySetting } from "./setting.ts";

/** Keys that a log is about, so that the state stays small. */
const KEYS = 1_000;
/** Small, since it is the number of entries that counts. */
const LOG_VALUE_BYTES = 16;
const LONG_MS = 600_000;

/** Restarts of a peer whose log gets longer and longer, without a snapshot. */
export async function* restartsOfLogs(
  context: BenchContext,
  setting: RecoverySetting,
  lengths: readonly number[],
): AsyncGenerator<BenchResult> {
  await using cluster = await startCluster(context, clusterOptions(setting));
  let length = 0;
  for (const entries of [...lengths].sort((a, b) => a - b)) {
    context.progress(`recovery: a log of ${entries} entries is written`);
    const commands = entries - length;
    await fill(context, cluster.supervisor, { keys: KEYS, bytes: LOG_VALUE_BYTES, commands });
    length = entries;
    const { machine, durability } = setting;
    const parameters = { part: "log", machine, durability, entries, keys: KEYS, bytes: LOG_VALUE_BYTES };
    yield await restarts(context, cluster, setting, parameters);
  }
}

/** Restarts of a peer whose state gets larger and larger, from a snapshot and an empty log. */
export async function* restartsOfStates(
  context: BenchContext,
  setting: RecoverySetting,
  sizes: readonly number[],
): AsyncGenerator<BenchResult> {
  const { machine, durability, bytes } = setting;
  await using cluster = await startCluster(context, clusterOptions(setting));
  for (const keys of [...sizes].sort((a, b) => a - b)) {
    context.progress(`recovery: a state of ${keys} keys is written`);
    await fill(context, cluster.supervisor, { keys, bytes });
    await Promise.all(cluster.supervisor.peers.map((peer) => peer.snapshot()));
    yield await restarts(context, cluster, setting, { part: "state", machine, durability, entries: 0, keys, bytes });
  }
}

async function restarts(
  context: BenchContext,
  cluster: BenchCluster,
  setting: RecoverySetting,
  parameters: BenchResult["parameters"],
): Promise<BenchResult> {
  const { part, machine } = parameters;
  const title = `recovery: restarts, ${machine} map, ${part === "log" ? "entries" : "keys"} ${parameters[part === "log" ? "entries" : "keys"]}`;
  const { supervisor } = cluster;
  const runs = await repeat(context, title, setting.runs, async () => {
    const leader = await supervisor.leader({ signal: context.signal });
    const follower = supervisor.peers.find(({ id }) => id !== leader.id) ?? leader;
    const times = await restart(context, supervisor, follower);
    return {
      ...times,
      "log MB": (await follower.status()).logBytes / 1e6,
      "RSS MB": process.memoryUsage.rss() / 2 ** 20,
    };
  });
  return {
    bench: "recovery",
    series: "flotilla",
    parameters,
    figures: figures(runs),
    notes: [
      "A follower's thread is ended where it stands. Counted from its exit: until the next one takes part (it votes and acknowledges entries), and until it has applied all that was committed.",
    ],
  };
}

async function restart(context: BenchContext, supervisor: Supervisor, peer: Peer) {
  const { commitIndex, incarnation } = await peer.status();
  const controller = new AbortController();
  const events = supervisor.events({ signal: AbortSignal.any([context.signal, controller.signal]) });
  try {
    await peer.crash();
    const from = performance.now();
    const takesPartMs = (await nextUp(events, peer)) - from;
    const hasAll = async () => {
      const status = await peer.status();
      return status.incarnation > incarnation && status.lastApplied >= commitIndex;
    };
    await until(context, `${peer.id} has applied all`, hasAll, LONG_MS);
    return { "takes part ms": takesPartMs, "applied all ms": performance.now() - from };
  } finally {
    controller.abort();
  }
}

/** @returns when the peer takes part again. */
async function nextUp(events: ClusterEvents, { id }: Peer): Promise<number> {
  for await (const event of events) {
    if (!("peer" in event) || event.peer !== id) continue;
    if (event.type === "given-up") throw event.error;
    if (event.type === "wedged") break;
    if (event.type === "up") return performance.now();
  }
  throw new Error(`${id} did not come up`);
}
