import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { RecordedStep } from "../../src/actors/record.ts";
import { Supervisor } from "../../src/actors/supervisor.ts";
import { RaftError } from "../../src/raft/errors.ts";
import { type Cluster, spawnCluster } from "../../src/testing/cluster.ts";
import { readRecords } from "../../src/testing/read-records.ts";
import { checkConformance, explainRejection } from "../../src/testing/reference/check.ts";
import { replay } from "../../src/testing/replay.ts";
import { allFollow, temporaryFolder } from "../actors/fixtures/cluster.ts";

const SHORT = { heartbeatMs: 15, electionMs: [60, 120] } as const;
const PATIENT = { timeoutMs: 60_000 };
const HASTY = { timeoutMs: 200 };

const put = (value: number) => ({ op: "put", key: `k${value % 7}`, value: "x".repeat(value % 50) });

/** Commands that are all carried out, some of them twice. @returns the index of the last. */
async function work(cluster: Cluster, count: number): Promise<number> {
  const deadline = performance.now() + PATIENT.timeoutMs;
  const carryOut = async (value: number): Promise<number> => {
    try {
      return (await cluster.propose(put(value), PATIENT)).index;
    } catch (error) {
      if (!(error instanceof RaftError) || performance.now() > deadline) throw error;
      return carryOut(value);
    }
  };
  return Math.max(...(await Promise.all(Array.from({ length: count }, (_, at) => carryOut(at)))));
}

/** Commands and reads of all kinds, of which some fail, as the faults will have it. */
async function attempt(cluster: Cluster, count: number): Promise<void> {
  const get = { op: "get", key: "k1" };
  for (let at = 0; at < count; at++) {
    const calls: Promise<unknown>[] = [cluster.propose(put(at), HASTY)];
    calls.push(cluster.query(get, { ...HASTY, consistency: "lease" }));
    for (const peer of cluster.peers) calls.push(peer.query(get, HASTY), peer.propose(put(at), HASTY));
    await Promise.allSettled(calls);
  }
}

/** Faults one after another, each while there is work. */
async function suffer(cluster: Cluster): Promise<void> {
  const { faults, peers } = cluster;
  await work(cluster, 60);
  for (const peer of peers) await peer.query({ op: "get", key: "k1" }, PATIENT).catch(() => {});
  await attempt(cluster, 10);

  const leader = await cluster.leader();
  const lagging = peers.find(({ id }) => id !== leader.id);
  if (lagging === undefined) throw new Error("there is but one peer");
  await faults.isolate(lagging.id);
  for (let burst = 0; burst < 6; burst++) await work(cluster, 40);
  await faults.connect(lagging.id);
  const minIndex = await work(cluster, 1);
  await lagging.query({ op: "get", key: "k1" }, { ...PATIENT, consistency: "local", minIndex });

  await faults.all({ drop: 0.2, delayMs: [0, 5], duplicate: 0.3, reorder: 0.3 });
  await attempt(cluster, 10);
  await faults.heal();
  await work(cluster, 10);

  await (await cluster.leader()).crash();
  await attempt(cluster, 5);
  await work(cluster, 10);

  await faults.isolate((await cluster.leader()).id);
  await attempt(cluster, 5);
  await faults.heal();
  await work(cluster, 10);

  await Promise.all(peers.map((peer) => peer.crash()));
  await work(cluster, 10);
}

it("What peers on threads do under crashes, partitions and loss replays step by step, and the reference accepts it", async () => {
  const record = join(temporaryFolder(), "records");
  const restart = { intensity: Number.POSITIVE_INFINITY };
  const cluster = await spawnCluster({ ...SHORT, peers: 3, record, snapshotEvery: 40, restart });
  onTestFinished(() => cluster.stop().catch(() => {}));
  await suffer(cluster);
  await cluster.stop();

  const records = readRecords(record);
  expect(records.filter(({ isCut }) => isCut)).toEqual([]);
  // In the end all were crashed, and a majority came back.
  expect(records.length).toBeGreaterThanOrEqual(5);
  for (const life of records) replay(life);
  const conformance = checkConformance(records);
  expect(conformance.accepted || explainRejection(conformance.rejection)).toBe(true);

  const steps = records.flatMap((life) => life.steps);
  const count = (fits: (step: RecordedStep) => boolean) => steps.filter(fits).length;
  expect(count(({ changed }) => changed?.role === "leader")).toBeGreaterThanOrEqual(3);
  expect(count(({ call }) => call.kind === "propose" && call.returned !== undefined)).toBeGreaterThan(10);
  expect(count(({ call }) => call.kind === "effects" && (call.returned?.reads.length ?? 0) > 0)).toBeGreaterThan(0);
  expect(count(({ call }) => call.kind === "effects" && call.returned?.restore !== undefined)).toBeGreaterThan(0);
  expect(count(({ call }) => call.kind === "completeSnapshot")).toBeGreaterThan(0);
});

it("A peer's first thread of a supervisor starts cold: no leader can be there; those that come after it do not", async () => {
  const directory = join(temporaryFolder(), "cluster");
  const records = [temporaryFolder(), temporaryFolder()];
  for (const record of records) {
    const supervisor = await Supervisor.start({ ...SHORT, peers: 3, record, directory });
    onTestFinished(() => supervisor.stop());
    await allFollow(supervisor);
    for (const peer of supervisor.peers) await peer.crash();
    await supervisor.propose(put(2), PATIENT);
    await supervisor.stop();
  }

  for (const record of records) {
    const lives = readRecords(record).map(({ start: { options } }) => options);
    const first = new Map<string, boolean | undefined>();
    for (const { id, coldStart } of lives) if (!first.has(id)) first.set(id, coldStart);
    expect([...first.values()]).toEqual([true, true, true]);
    expect(lives.filter(({ coldStart }) => coldStart)).toHaveLength(3);
    expect(lives.length).toBeGreaterThanOrEqual(5);
  }
});

it("A peer whose record is there already does not start, and says which it is", async () => {
  const record = temporaryFolder();
  const cluster = await spawnCluster({ ...SHORT, peers: 1, record });
  await cluster.stop();
  const again = spawnCluster({ ...SHORT, peers: 1, record });
  await expect(again).rejects.toMatchObject({ code: "ERR_STORAGE_FAILED" });
  await expect(again).rejects.toThrow(/p1\.1\.record cannot be written: Error: EEXIST/);
});

it("A record can be read of a thread that is killed at any time, up to what anybody has seen of it", async () => {
  const record = temporaryFolder();
  const restart = { intensity: Number.POSITIVE_INFINITY, backoffMs: [1, 1] } as const;
  const cluster = await spawnCluster({ ...SHORT, peers: 1, record, restart });
  onTestFinished(() => cluster.stop().catch(() => {}));
  const [peer] = cluster.peers;
  for (let life = 0; life < 8; life++) {
    await work(cluster, 5);
    const pending = Promise.allSettled(Array.from({ length: 20 }, (_, at) => cluster.propose(put(at), HASTY)));
    await peer?.crash();
    await pending;
  }
  await cluster.stop();
  const records = readRecords(record);
  expect(records.length).toBeGreaterThanOrEqual(8);
  for (const life of records) replay(life);
  const conformance = checkConformance(records);
  expect(conformance.accepted || explainRejection(conformance.rejection)).toBe(true);
});
