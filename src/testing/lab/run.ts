import { setMaxListeners } from "node:events";
import { performance } from "node:perf_hooks";
import { hashSeed, seededRandom } from "../../raft/random.ts";
import { type Cluster, spawnCluster } from "../cluster.ts";
import { LabError } from "../lab-error.ts";
import { Lab } from "./lab.ts";
import type { LabColumns, Scenario } from "./scenario.ts";

/** The lab lets no test take longer, in seconds. */
const LIMIT_SECONDS = 120;

const EXTENSION = import.meta.url.endsWith(".ts") ? "ts" : "js";
const MACHINES = {
  log: new URL(`./log-machine.${EXTENSION}`, import.meta.url),
  counter: new URL(`./counter-machine.${EXTENSION}`, import.meta.url),
  // It ships, and needs no module.
  "key-value": undefined,
};

export interface RunOptions {
  /** What the scenario draws from by chance, and its cluster too. The order in which threads run it does not decide. */
  readonly seed: number;
  /** Is given the cluster, which is traced then, before anything happens; waited for when the cluster has stopped. */
  readonly observe?: ((cluster: Cluster) => Promise<void>) | undefined;
  /** Ends the scenario early. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a scenario on a cluster of its own, with timeouts as the lab advises and every vote and entry on disk before it
 * counts.
 * @throws LabError when it fails, which says at which step and with which seed; what a cluster cannot start for; or the
 * signal's reason.
 */
export async function runScenario(scenario: Scenario, { seed, observe, signal }: RunOptions): Promise<LabColumns> {
  const cluster = await spawnCluster({
    peers: scenario.peers,
    machine: MACHINES[scenario.machine ?? "log"],
    durability: "disk",
    heartbeatMs: 100,
    electionMs: [250, 400],
    snapshotEvery: scenario.snapshotEvery ?? 0,
    seed,
    trace: observe === undefined ? "applied" : true,
  });
  const observed = observe?.(cluster);
  const over = new AbortController();
  // As many as a scenario has clients may sleep at a time.
  setMaxListeners(0, over.signal);
  const lab = new Lab(cluster, seededRandom(hashSeed(seed, scenario.name)), over.signal);
  try {
    await lab.network({ unreliable: scenario.unreliable });
    const columns = await measure(scenario, lab, signal);
    await cluster.stop();
    return columns;
  } catch (error) {
    if (signal?.aborted) {
      await cluster.stop().catch(() => {});
      throw signal.reason;
    }
    const message = error instanceof Error ? error.message : String(error);
    const report = `${scenario.name}, seed ${seed}, at the step "${lab.lastStep}": ${message}\n${await describe(cluster)}`;
    await cluster.stop().catch(() => {});
    throw new LabError(report, { cause: error });
  } finally {
    over.abort();
    await observed;
  }
}

async function measure(scenario: Scenario, lab: Lab, signal: AbortSignal | undefined): Promise<LabColumns> {
  const begin = performance.now();
  const before = await lab.cluster.totals();
  await withinLimit(scenario.run(lab), signal);
  const after = await lab.cluster.totals();
  return {
    seconds: (performance.now() - begin) / 1_000,
    rpcs: after.rpcs - before.rpcs,
    bytes: after.bytes - before.bytes,
    commands: after.commands - before.commands,
  };
}

async function withinLimit(run: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let abort = () => {};
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new LabError(`It was not over after ${LIMIT_SECONDS} s.`)), LIMIT_SECONDS * 1_000);
    abort = () => reject(signal?.reason);
    if (signal?.aborted) abort();
  });
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([run, limit]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** One line for each peer, for whoever has to find out what went wrong. */
async function describe(cluster: Cluster): Promise<string> {
  const lines = cluster.peers.map(async (peer) => {
    const status = await peer.status();
    const { id, state, role, currentTerm, leader, commitIndex, lastApplied, incarnation } = status;
    const { firstIndex, lastIndex, snapshotIndex } = status;
    const reach = cluster.connected.has(id) ? "connected" : "cut off";
    const log = `log ${firstIndex}..${lastIndex} behind the snapshot of ${snapshotIndex}, commit ${commitIndex}, applied ${lastApplied}`;
    return `  ${id}: ${state}, ${reach}, ${role} in term ${currentTerm} under ${leader ?? "nobody"}, ${log}, life ${incarnation}`;
  });
  return (await Promise.all(lines)).join("\n");
}
