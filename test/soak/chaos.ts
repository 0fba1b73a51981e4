import { appendFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import type * as kv from "../../src/kv.ts";
import { hashSeed, seededRandom } from "../../src/raft/random.ts";
import type * as testing from "../../src/testing/index.ts";
import { ChaosClients } from "./chaos-clients.ts";
import { sleep, until } from "./load.ts";
import { type Figures, loadFlotilla, runForMinutes, type TimedSoakOptions } from "./script.ts";

const PEERS = 5;
/** Each round has keys of its own, and ends with a check: what the checker has to decide stays small. */
const ROUND_MS = 60_000;
/** Few enough that followers fall behind the log now and then, and are sent a snapshot. */
const SNAPSHOT_EVERY = 200;
const CHECK_TIMEOUT_MS = 300_000;
const LOCAL = { consistency: "local", timeoutMs: 60_000 } as const;

type Supervisor = testing.Supervisor;

/**
 * Faults of every kind that there is, at random, under clients that write down what they did and saw. After each minute
 * the faults end, all peers must come to hold the same, and what was seen must be linearizable.
 */
export async function chaos({ minutes, seed, dist, out, durable }: TimedSoakOptions): Promise<Figures> {
  const { Supervisor } = await loadFlotilla(dist);
  const { durableKeyValueMap } = (await import(
    dist ? "../../dist/index.js" : "../../src/index.ts"
  )) as typeof import("../../src/index.ts");
  const { KvClient } = (await import(dist ? "../../dist/kv.js" : "../../src/kv.ts")) as typeof kv;
  const { checkLinearizable, drawNemesis, explain, formatHistory, History, keyValueModel, runNemesis } = (await import(
    dist ? "../../dist/testing/index.js" : "../../src/testing/index.ts"
  )) as typeof testing;
  if (out !== undefined) writeFileSync(out, "");
  const supervisor = await Supervisor.start({
    peers: PEERS,
    seed,
    snapshotEvery: SNAPSHOT_EVERY,
    ...(durable ? { machine: durableKeyValueMap } : {}),
    restart: { intensity: Number.POSITIVE_INFINITY, periodMs: 500, backoffMs: [10, 200] },
  });
  try {
    const events = watch(supervisor);
    const clients = new ChaosClients(supervisor, KvClient, seededRandom(hashSeed(seed, "clients")));
    const faults = new Map<string, number>();
    const outcomes = new Map<string, number>();
    const checks: number[] = [];
    const settling: number[] = [];
    const origin = process.hrtime.bigint();
    const rounds = Math.max(2, Math.round((minutes * 60_000) / ROUND_MS));
    for (let round = 1; round <= rounds; round++) {
      const offset = Number(process.hrtime.bigint() - origin);
      const history = new History<testing.KeyValueInput, unknown>();
      const forMs = (minutes * 60_000) / rounds;
      const steps = drawNemesis({
        seed: hashSeed(seed, round),
        peers: supervisor.peers.map(({ id }) => id),
        clients: clients.disturbed,
        forMs,
      });
      const from = performance.now();
      const load = clients.run(history, `${round}/`);
      await runNemesis(supervisor, steps, {
        onFault: (fault) => count(faults, fault.kind === "partition" ? `partition: ${fault.shape}` : fault.kind),
      });
      await sleep(from + forMs - performance.now());
      const healed = performance.now();
      await load.stop();
      await sameEverywhere(supervisor);
      settling.push(performance.now() - healed);
      await clients.readAll(history, `${round}/`);
      for (const { input, outcome } of history) count(outcomes, `${input.op}, ${outcome}`);
      const operations = history.operations.map((operation) => since(offset, operation));
      if (out !== undefined) appendFileSync(out, formatHistory(operations));
      const checking = performance.now();
      const result = await checkLinearizable(operations, keyValueModel, { timeoutMs: CHECK_TIMEOUT_MS });
      checks.push(performance.now() - checking);
      if (result.verdict !== "ok") {
        const file = out ?? keep(formatHistory(operations), `seed-${seed}-round-${round}`);
        const why =
          result.verdict === "illegal"
            ? result.violations.map((violation) => explain(violation, keyValueModel)).join("\n")
            : JSON.stringify(result.undecided);
        throw new Error(`seed ${seed}, round ${round}: ${result.verdict}; the history is in ${file}\n${why}`);
      }
    }
    events.check();
    return {
      ...{ seed, minutes, rounds, ...Object.fromEntries([...outcomes, ...clients.errors].sort()) },
      ...Object.fromEntries([...faults].sort()),
      ...events.counts,
      "settled after the faults, at most, in ms": Math.max(...settling).toFixed(0),
      "checker, in all and at most, in ms": `${sum(checks).toFixed(0)} ${Math.max(...checks).toFixed(0)}`,
    };
  } finally {
    await supervisor.stop();
  }
}

/** Waits until all peers have applied the same entries, and compares what they hold then. */
async function sameEverywhere(supervisor: Supervisor): Promise<void> {
  await supervisor.propose({ op: "put", key: "settled", value: 0 }, { timeoutMs: 60_000 });
  const applied = async () => {
    const statuses = await Promise.all(supervisor.peers.map((peer) => peer.status()));
    return statuses.map(({ state, lastApplied }) => (state === "up" ? lastApplied : -1));
  };
  await until("all peers hold the same entries", async () => {
    const before = await applied();
    if (before.includes(-1) || new Set(before).size > 1) return false;
    const digests = await Promise.all(supervisor.peers.map((peer) => peer.query<string>({ op: "digest" }, LOCAL)));
    // What was sent long ago may still have come in between.
    if (`${await applied()}` !== `${before}`) return false;
    if (new Set(digests).size > 1) throw new Error(`the states differ at entry ${before[0]}: ${digests}`);
    return true;
  });
}

/** Counts what happens from now on; a peer that dies by itself, or does not come back, fails the run. */
function watch(supervisor: Supervisor) {
  const counts = { "leader changes": 0, "peers crashed": 0, "snapshots taken": 0, "snapshots installed": 0 };
  let failure: unknown;
  const follow = async () => {
    for await (const event of supervisor.events()) {
      if (event.type === "leader") counts["leader changes"]++;
      else if (event.type === "snapshot") counts[event.installed ? "snapshots installed" : "snapshots taken"]++;
      else if (event.type === "crash") counts["peers crashed"]++;
      if (event.type === "crash" && !event.requested) failure ??= event.error;
      if (event.type === "given-up" || event.type === "snapshot-failed") failure ??= event.error;
      if (event.type === "wedged") failure ??= new Error(`${event.peer} is wedged`);
    }
  };
  void follow();
  const check = () => {
    if (failure !== undefined) throw failure;
  };
  return { counts, check };
}

/** All rounds on one clock, so that their histories make one. */
function since(offset: number, operation: testing.KeyValueOperation): testing.KeyValueOperation {
  const end = operation.return === undefined ? undefined : operation.return + offset;
  return { ...operation, call: operation.call + offset, return: end };
}

function keep(history: string, name: string): string {
  const file = join(tmpdir(), `flotilla-chaos-${name}.jsonl`);
  writeFileSync(file, history);
  return file;
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function sum(values: readonly number[]): number {
  return values.reduce((one, other) => one + other, 0);
}

await runForMinutes(import.meta, 60, chaos);
