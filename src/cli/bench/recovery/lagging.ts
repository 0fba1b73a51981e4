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
import { type Away, clusterOptions, type RecoverySetting } from "./setting.ts";

const KEYS = 1_000;
/** Outstanding, when it is found out what the cluster can do. */
const FULL_LOAD = 1_000;
const LONG_MS = 600_000;
const PATIENT = { timeoutMs: 120_000 };
const NOTE =
  "A follower was stopped and is started again, or was partitioned from the others and is not any more, while commands come at the given rate in an open loop. Seconds and rates count from when it takes part again. The others' latencies are of all commands, counted from when each was due: with all peers, without the follower, while its thread starts, and from then on while it gets what it lacks.";

/** A follower that was away gets what it has missed from the leader's log. */
export function measureCatchUp(
  context: BenchContext,
  setting: RecoverySetting,
  away: Away,
  missed: number,
): Promise<BenchResult> {
  const { bytes } = setting;
  return measureReturn(context, setting, away, {
    title: `catch-up by ${missed} entries`,
    parameters: { part: "catch-up", missed },
    write: (supervisor) => fill(context, supervisor, { keys: KEYS, bytes, commands: missed }),
    async comeBack(supervisor, follower, bringBack) {
      const { lastIndex } = await follower.status();
      const from = await bringBack();
      const { lastApplied } = await follower.status();
      const { commitIndex } = await (await supervisor.leader()).status();
      const hasAll = async () => (await follower.status()).lastApplied >= commitIndex;
      await until(context, `${follower.id} has caught up`, hasAll, LONG_MS);
      const seconds = (performance.now() - from) / 1_000;
      // It may have begun before it said that it takes part.
      const entries = commitIndex - Math.max(lastIndex, lastApplied);
      return { "entries/s": entries / seconds, "MB/s": (entries * bytes) / 1e6 / seconds, seconds };
    },
  });
}

/** A follower that was away gets the leader's snapshot, since the log does not reach back so far. */
export function measureInstall(
  context: BenchContext,
  setting: RecoverySetting,
  away: Away,
  stateMb: number,
): Promise<BenchResult> {
  const { bytes } = setting;
  const keys = Math.max(1, Math.ceil((stateMb * 1e6) / (bytes + MAP_ENTRY_BYTES)));
  return measureReturn(context, setting, away, {
    title: `a snapshot of ${stateMb} MB`,
    parameters: { part: "install", "state MB": stateMb },
    async write(supervisor, follower) {
      await fill(context, supervisor, { keys, bytes });
      await Promise.all(supervisor.peers.filter((peer) => peer !== follower).map((peer) => peer.snapshot()));
    },
    async comeBack(supervisor, follower, bringBack) {
      const [installed, from] = await Promise.all([nextInstall(context, supervisor, follower), bringBack()]);
      const size = installed.bytes / 1e6;
      const seconds = Math.max(0, installed.at - from) / 1_000;
      return { "MB/s": size / seconds, "snapshot MB": size, seconds };
    },
  });
}

/** What a follower is away for, and what is seen when it comes back. */
interface Return {
  readonly title: string;
  readonly parameters: BenchResult["parameters"];
  /** Writes what it will lack. */
  write(supervisor: Supervisor, follower: Peer): Promise<void>;
  /**
   * Has it come back, and waits until it lacks nothing.
   * @param bringBack resolves with the time at which it takes part again.
   */
  comeBack(
    supervisor: Supervisor,
    follower: Peer,
    bringBack: () => Promise<number>,
  ): Promise<Readonly<Record<string, number>>>;
}

async function measureReturn(
  context: BenchContext,
  setting: RecoverySetting,
  away: Away,
  what: Return,
): Promise<BenchResult> {
  const { machine, durability, bytes } = setting;
  const title = `recovery: ${what.title}, ${away}, ${machine} map`;
  const runs = await repeat(context, title, setting.runs, async () => {
    await using cluster = await startCluster(context, clusterOptions(setting));
    const { supervisor } = cluster;
    // Half of what all together can do: two alone could do more, and the third could never catch up with that.
    const load = await findLoad(context, supervisor, setting);
    const [all = NOTHING] = await load.alone();
    const follower = await anyFollower(supervisor);
    await sendAway(supervisor, follower, away);
    await what.write(supervisor, follower);
    const [without = NOTHING] = await load.alone();
    let seen: Readonly<Record<string, number>> = {};
    const [starting = NOTHING, meanwhile = NOTHING] = await load.while(async (nextPhase) => {
      const from = performance.now();
      let at = from;
      const bringBack = async () => {
        await callBack(supervisor, follower, away);
        nextPhase();
        at = performance.now();
        return at;
      };
      seen = { ...(await what.comeBack(supervisor, follower, bringBack)), "takes part ms": at - from };
    });
    return { ...seen, "others/s": load.rate, ...compare(all, without, starting, meanwhile) };
  });
  return {
    bench: "recovery",
    series: "flotilla",
    parameters: { ...what.parameters, away, machine, durability, bytes },
    figures: figures(runs),
    notes: [NOTE],
  };
}

async function anyFollower(supervisor: Supervisor): Promise<Peer> {
  const leader = await supervisor.leader();
  return supervisor.peers.find(({ id }) => id !== leader.id) ?? leader;
}

async function sendAway({ faults }: Supervisor, follower: Peer, away: Away): Promise<void> {
  if (away === "stopped") await follower.stop();
  else await faults.isolate(follower.id);
}

async function callBack({ faults }: Supervisor, follower: Peer, away: Away): Promise<void> {
  if (away === "stopped") await follower.start();
  else await faults.heal();
}

/** Resolves with the size of the snapshot that a peer gets from its leader, and the time, as soon as it is in force. */
async function nextInstall(
  { signal }: BenchContext,
  supervisor: Supervisor,
  peer: Peer,
): Promise<{ readonly bytes: number; readonly at: number }> {
  for await (const event of supervisor.events({ signal: AbortSignal.any([signal, AbortSignal.timeout(LONG_MS)]) })) {
    if (event.type !== "snapshot" || event.peer !== peer.id || !event.installed) continue;
    return { bytes: event.bytes, at: performance.now() };
  }
  throw new Error(`${peer.id} got no snapshot within ${LONG_MS / 1_000} s`);
}

interface Felt {
  readonly p50: number;
  readonly p99: number;
  /** How late the loop itself was. */
  readonly late: number;
  readonly failures: number;
}

/** What is felt of a phase that never came. */
const NOTHING: Felt = { p50: Number.NaN, p99: Number.NaN, late: Number.NaN, failures: 0 };

/** What others do meanwhile. */
async function findLoad(
  context: BenchContext,
  supervisor: Supervisor,
  { rate, seconds, warmUpSeconds, bytes }: RecoverySetting,
) {
  const { signal } = context;
  const value = "x".repeat(bytes);
  const call = (client: number, round: number) =>
    supervisor.propose({ op: "put", key: `key${(client * 31 + round) % KEYS}`, value }, PATIENT);
  let chosen = rate;
  if (chosen === 0) {
    const { done, span } = await closedLoop(call, { outstanding: FULL_LOAD, seconds, warmUpSeconds, signal });
    chosen = Math.max(1, Math.round(done / span.seconds / 2));
  }
  const feel = async (during?: (nextPhase: () => void) => Promise<void>): Promise<Felt[]> => {
    const { phases } = await openLoop(call, { rate: chosen, seconds, warmUpSeconds, during, signal });
    return phases.map(({ latencies, lateness, failures }) => ({
      p50: latencies.quantile(0.5),
      p99: latencies.quantile(0.99),
      late: lateness.quantile(0.99),
      failures,
    }));
  };
  await sleep(100, undefined, { signal });
  return { rate: chosen, alone: () => feel(), while: feel };
}

function compare(all: Felt, without: Felt, starting: Felt, meanwhile: Felt) {
  return {
    "others' p50 with all ms": all.p50,
    "without it p50 ms": without.p50,
    "starting p50 ms": starting.p50,
    "meanwhile p50 ms": meanwhile.p50,
    "others' p99 with all ms": all.p99,
    "without it p99 ms": without.p99,
    "starting p99 ms": starting.p99,
    "meanwhile p99 ms": meanwhile.p99,
    "p99 / with all": meanwhile.p99 / all.p99,
    "loop late p99 ms": meanwhile.late,
    failed: all.failures + without.failures + starting.failures + meanwhile.failures,
  };
}
