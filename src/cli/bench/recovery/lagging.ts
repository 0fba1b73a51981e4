import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { Peer } from "../../../actors/peer-handle.ts";
import type { Supervisor } from "../../../actors/supervisor.ts";
import { type BenchContext, repeat } from "../bench.ts";
import { startCluster, until } from "../cluster.ts";
import type { BenchResult } from "../document.ts";
import { figures } from "../figures.ts";
import { fill, MAP_ENTRY_BYTES } from "../fill.ts";
import { closedLoop, openLoop } from "../loops.ts";
import { clusterOptions, type RecoverySetting } from "./setting.ts";

const KEYS = 1_000;
/** Outstanding, when it is found out what the cluster can do. */
const FULL_LOAD = 1_000;
const LONG_MS = 600_000;
const PATIENT = { timeoutMs: 120_000 };
const NOTE =
  "A follower was stopped and is started again, while commands come at the given rate in an open loop. Their latencies before (that follower away) and meanwhile are of all commands, counted from when each was due.";

/** A follower that was stopped gets what it has missed from the leader's log. */
export async function measureCatchUp(
  context: BenchContext,
  setting: RecoverySetting,
  missed: number,
): Promise<BenchResult> {
  const { machine, durability, bytes } = setting;
  const runs = await repeat(
    context,
    `recovery: catch-up by ${missed} entries, ${machine} map`,
    setting.runs,
    async () => {
      await using cluster = await startCluster(context, clusterOptions(setting));
      const { supervisor } = cluster;
      const follower = await stopFollower(supervisor);
      await fill(context, supervisor, { keys: KEYS, bytes, commands: missed });
      const load = await findLoad(context, supervisor, setting);
      const before = await load.alone();
      const { lastIndex: from } = await follower.status();
      let seconds = 0;
      let entries = 0;
      const during = await load.while(async () => {
        await follower.start();
        const startedAt = performance.now();
        const { commitIndex } = await (await supervisor.leader()).status();
        const hasAll = async () => (await follower.status()).lastApplied >= commitIndex;
        await until(context, `${follower.id} has caught up`, hasAll, LONG_MS);
        seconds = (performance.now() - startedAt) / 1_000;
        entries = commitIndex - from;
      });
      return {
        "entries/s": entries / seconds,
        "MB/s": (entries * bytes) / 1e6 / seconds,
        seconds,
        "others/s": load.rate,
        ...compare(before, during),
      };
    },
  );
  return {
    bench: "recovery",
    series: "flotilla",
    parameters: { part: "catch-up", machine, durability, missed, bytes },
    figures: figures(runs),
    notes: [NOTE],
  };
}

/** A follower that was stopped gets the leader's snapshot, since the log does not reach back so far. */
export async function measureInstall(
  context: BenchContext,
  setting: RecoverySetting,
  stateMb: number,
): Promise<BenchResult> {
  const { machine, durability, bytes } = setting;
  const keys = Math.max(1, Math.ceil((stateMb * 1e6) / (bytes + MAP_ENTRY_BYTES)));
  const runs = await repeat(
    context,
    `recovery: a snapshot of ${stateMb} MB, ${machine} map`,
    setting.runs,
    async () => {
      await using cluster = await startCluster(context, clusterOptions(setting));
      const { supervisor } = cluster;
      const follower = await stopFollower(supervisor);
      await fill(context, supervisor, { keys, bytes });
      await Promise.all(supervisor.peers.filter((peer) => peer !== follower).map((peer) => peer.snapshot()));
      const load = await findLoad(context, supervisor, setting);
      const before = await load.alone();
      let seconds = 0;
      let size = 0;
      const during = await load.while(async () => {
        const installed = nextInstall(context, supervisor, follower);
        await follower.start();
        const startedAt = performance.now();
        size = await installed;
        seconds = (performance.now() - startedAt) / 1_000;
      });
      return {
        "MB/s": size / 1e6 / seconds,
        "snapshot MB": size / 1e6,
        seconds,
        "others/s": load.rate,
        ...compare(before, during),
      };
    },
  );
  return {
    bench: "recovery",
    series: "flotilla",
    parameters: { part: "install", machine, durability, "state MB": stateMb, bytes },
    figures: figures(runs),
    notes: [NOTE],
  };
}

async function stopFollower(supervisor: Supervisor): Promise<Peer> {
  const leader = await supervisor.leader();
  const follower = supervisor.peers.find(({ id }) => id !== leader.id) ?? leader;
  await follower.stop();
  return follower;
}

/** Resolves with the size of the snapshot that a peer gets from its leader, as soon as it is in force. */
async function nextInstall({ signal }: BenchContext, supervisor: Supervisor, peer: Peer): Promise<number> {
  for await (const event of supervisor.events({ signal: AbortSignal.any([signal, AbortSignal.timeout(LONG_MS)]) })) {
    if (event.type === "snapshot" && event.peer === peer.id && event.installed) return event.bytes;
  }
  throw new Error(`${peer.id} got no snapshot`);
}

interface Felt {
  readonly p50: number;
  readonly p99: number;
}

/** What others do meanwhile. */
async function findLoad(context: BenchContext, supervisor: Supervisor, { rate, seconds, bytes }: RecoverySetting) {
  const { signal } = context;
  const value = "x".repeat(bytes);
  const call = (client: number, round: number) =>
    supervisor.propose({ op: "put", key: `key${(client * 31 + round) % KEYS}`, value }, PATIENT);
  let chosen = rate;
  if (chosen === 0) {
    const { done, span } = await closedLoop(call, { outstanding: FULL_LOAD, seconds, signal });
    chosen = Math.max(1, Math.round(done / span.seconds / 2));
  }
  const feel = async (during: (() => Promise<void>) | undefined): Promise<Felt> => {
    const { latencies } = await openLoop(call, { rate: chosen, seconds, during, signal });
    return { p50: latencies.quantile(0.5), p99: latencies.quantile(0.99) };
  };
  await sleep(100, undefined, { signal });
  return { rate: chosen, alone: () => feel(undefined), while: feel };
}

function compare(before: Felt, during: Felt) {
  return {
    "others' p50 before ms": before.p50,
    "meanwhile p50 ms": during.p50,
    "others' p99 before ms": before.p99,
    "meanwhile p99 ms": during.p99,
  };
}
