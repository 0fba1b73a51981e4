import { beforeAll, describe, expect, it, vi } from "vitest";
import { CallMeter, DURATION_BOUNDS, EventMeter } from "../../src/actors/meter.ts";
import type { Metric, MetricLabels } from "../../src/actors/metrics.ts";
import { Supervisor } from "../../src/actors/supervisor.ts";
import { allUp, handOver, othersOf, PATIENT, Recorder, raftError, startCluster } from "./fixtures/cluster.ts";

const PUT = { op: "put", key: "k", value: 1 } as const;

function find(metrics: readonly Metric[], name: string): Metric {
  const metric = metrics.find((candidate) => candidate.name === name);
  if (metric === undefined) throw new Error(`there is no metric ${name}`);
  return metric;
}

function figure(metrics: readonly Metric[], name: string, labels: MetricLabels = {}): number {
  const metric = find(metrics, name);
  if (metric.kind === "histogram") throw new Error(`${name} is a histogram`);
  const wanted = JSON.stringify(labels);
  const found = metric.values.find((value) => JSON.stringify(value.labels) === wanted);
  if (found === undefined) throw new Error(`${name} has no value with ${wanted}`);
  return found.value;
}

function durationsOf(metrics: readonly Metric[]) {
  const metric = find(metrics, "flotilla_propose_duration_seconds");
  const value = metric.kind === "histogram" ? metric.values[0] : undefined;
  if (value === undefined) throw new Error("there are no durations");
  return value;
}

describe("metrics()", () => {
  let supervisor: Supervisor;
  beforeAll(async () => {
    supervisor = await Supervisor.start({ electionMs: [1_000, 2_000] });
    await allUp(supervisor);
    return () => supervisor.stop();
  });

  it("gives every metric one name of its kind, a help text, finite numbers, and labels that tell its values apart", async () => {
    const metrics = await supervisor.metrics();
    const names = metrics.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const metric of metrics) {
      expect(metric.name).toMatch(/^flotilla_[a-z_]+$/);
      expect(metric.name.endsWith("_total")).toBe(metric.kind === "counter");
      expect(metric.help).toMatch(/\.$/);
      const labels = metric.values.map((value) => JSON.stringify(value.labels));
      expect(labels.length).toBeGreaterThan(0);
      expect(new Set(labels).size).toBe(labels.length);
      if (metric.kind === "histogram") continue;
      for (const { value } of metric.values) expect(Number.isFinite(value)).toBe(true);
    }
  });

  it("tells of each peer what its status tells", async () => {
    const { index } = await supervisor.propose(PUT, PATIENT);
    const leader = await supervisor.leader();
    const metrics = await supervisor.metrics();
    const labels = { peer: leader.id };
    expect(figure(metrics, "flotilla_peer_last_applied", labels)).toBeGreaterThanOrEqual(index);
    const { currentTerm, incarnation } = await leader.status();
    expect(figure(metrics, "flotilla_peer_current_term", labels)).toBe(currentTerm);
    expect(figure(metrics, "flotilla_peer_incarnation", labels)).toBe(incarnation);
    expect(figure(metrics, "flotilla_peer_log_bytes", labels)).toBeGreaterThan(0);
    const roles = ["follower", "pre-candidate", "candidate", "leader"];
    const held = roles.filter((role) => figure(metrics, "flotilla_peer_role", { ...labels, role }) === 1);
    expect(held).toEqual(["leader"]);
    const states = ["down", "up", "paused", "wedged", "given-up"];
    expect(states.filter((state) => figure(metrics, "flotilla_peer_state", { ...labels, state }) === 1)).toEqual([
      "up",
    ]);
  });

  it("counts commands and queries by what came of them", async () => {
    const before = await supervisor.metrics();
    const leader = await supervisor.leader();
    const [follower] = othersOf(supervisor, leader);
    await supervisor.propose(PUT, PATIENT);
    await supervisor.query({ op: "get", key: "k" }, PATIENT);
    await raftError(supervisor.propose({ op: "no such operation" }, PATIENT));
    if (follower !== undefined) await raftError(follower.propose(PUT, PATIENT));
    const after = await supervisor.metrics();
    const grown = (name: string, outcome: string) =>
      figure(after, name, { outcome }) - figure(before, name, { outcome });
    const outcomes = ["ok", "threw", "not-applied", "unknown"];
    expect(outcomes.map((outcome) => grown("flotilla_proposals_total", outcome))).toEqual([1, 1, 1, 0]);
    expect(outcomes.map((outcome) => grown("flotilla_queries_total", outcome))).toEqual([1, 0, 0, 0]);
  });

  it("measures the commands that are acknowledged after it was first called", async () => {
    const before = durationsOf(await supervisor.metrics());
    await Promise.all(Array.from({ length: 10 }, () => supervisor.propose(PUT, PATIENT)));
    const { count, sum, buckets } = durationsOf(await supervisor.metrics());
    expect(count - before.count).toBe(10);
    expect(sum).toBeGreaterThan(before.sum);
    expect(buckets.at(-1)).toEqual({ le: Number.POSITIVE_INFINITY, count });
    expect(buckets.map(({ count }) => count)).toEqual(buckets.map(({ count }) => count).sort((a, b) => a - b));
  });

  it("counts what goes over the network as counters() does", async () => {
    const before = await supervisor.counters();
    const metrics = await supervisor.metrics();
    const after = await supervisor.counters();
    for (const { id: peer } of supervisor.peers) {
      const bytes = figure(metrics, "flotilla_network_bytes_total", { peer });
      expect(bytes).toBeGreaterThanOrEqual(before.byPeer[peer]?.bytes ?? Number.NaN);
      expect(bytes).toBeLessThanOrEqual(after.byPeer[peer]?.bytes ?? Number.NaN);
    }
    expect(figure(metrics, "flotilla_network_messages_total", { type: "AppendEntries" })).toBeGreaterThan(0);
  });

  it("counts crashes, restarts and elections", async () => {
    const before = await supervisor.metrics();
    const recorder = new Recorder(supervisor);
    const leader = await supervisor.leader();
    await leader.crash();
    await recorder.wait("leader", ({ peer }) => peer !== leader.id);
    await recorder.wait("up", ({ peer }) => peer === leader.id);
    const after = await supervisor.metrics();
    const grown = (name: string, labels: MetricLabels) => figure(after, name, labels) - figure(before, name, labels);
    expect(grown("flotilla_crashes_total", { peer: leader.id, requested: "true" })).toBe(1);
    expect(grown("flotilla_crashes_total", { peer: leader.id, requested: "false" })).toBe(0);
    expect(grown("flotilla_restarts_total", { peer: leader.id })).toBe(1);
    expect(grown("flotilla_elections_total", {})).toBe(recorder.all("leader").length);
  });

  it("counts snapshots, and says how large the latest is", async () => {
    await supervisor.propose(PUT, PATIENT);
    const leader = await supervisor.leader();
    const before = await supervisor.metrics();
    const recorder = new Recorder(supervisor);
    const index = await leader.snapshot();
    const { bytes } = await recorder.wait("snapshot", (event) => event.index === index);
    const after = await supervisor.metrics();
    const labels = { peer: leader.id, source: "taken" };
    expect(figure(after, "flotilla_snapshots_total", labels)).toBe(
      figure(before, "flotilla_snapshots_total", labels) + 1,
    );
    expect(figure(after, "flotilla_snapshot_bytes", { peer: leader.id })).toBe(bytes);
  });
});

it("metrics() tells how much waits for an answer, and rejects once the supervisor has stopped", async () => {
  const supervisor = await startCluster({ restart: false, electionMs: [1_000, 1_500] });
  const leader = await supervisor.leader();
  await Promise.all(othersOf(supervisor, leader).map((peer) => peer.stop()));
  const { promise } = await handOver(leader, PUT);
  const metrics = await supervisor.metrics();
  expect(figure(metrics, "flotilla_waiting_calls")).toBe(1);
  expect(figure(metrics, "flotilla_waiting_bytes")).toBeGreaterThan(0);
  await supervisor.stop();
  await promise;
  expect(await raftError(supervisor.metrics())).toMatchObject({ code: "ERR_STOPPED" });
});

describe("CallMeter", () => {
  it("reads no clock before somebody asks for durations", () => {
    const now = vi.spyOn(performance, "now");
    const meter = new CallMeter();
    meter.settled("propose", "ok", 0);
    expect(now).not.toHaveBeenCalled();
    expect(meter.counts("propose").ok).toBe(1);
    expect(meter.durations()).toEqual({ counts: Array(DURATION_BOUNDS.length + 1).fill(0), sum: 0 });
    now.mockRestore();
  });

  it("puts a duration into the bucket whose bounds it lies between", () => {
    const now = vi.spyOn(performance, "now").mockReturnValue(1_000_000);
    const meter = new CallMeter();
    meter.durations();
    for (const seconds of [0, 0.0001, 0.00011, 0.005, 6.5536, 100]) {
      meter.settled("propose", "ok", 1_000_000 - seconds * 1_000);
    }
    const { counts, sum } = meter.durations();
    const filled = counts.flatMap((count, at) => (count === 0 ? [] : [[DURATION_BOUNDS[at], count]]));
    expect(sum).toBeCloseTo(106.55881);
    expect(filled.map(([, count]) => count)).toEqual([2, 1, 1, 1, 1]);
    expect(filled.map(([bound]) => bound)).toEqual([0.0001, 0.0002, 0.0064, 6.5536, undefined]);
    now.mockRestore();
  });
});

it("EventMeter counts the events of each peer apart, and those that are nobody's metric not at all", () => {
  const meter = new EventMeter(["p1", "p2"]);
  meter.take({ type: "crash", peer: "p1", incarnation: 1, requested: false, error: undefined });
  meter.take({ type: "restart", peer: "p1", delayMs: 10 });
  meter.take({ type: "up", peer: "p1", incarnation: 2 });
  meter.take({ type: "snapshot", peer: "p2", index: 7, bytes: 99, installed: true });
  const zeros = {
    requestedCrashes: 0,
    crashes: 0,
    restarts: 0,
    givenUp: 0,
    snapshotsTaken: 0,
    snapshotsInstalled: 0,
    snapshotFailures: 0,
    snapshotBytes: 0,
  };
  expect(Object.fromEntries(meter.tallies())).toEqual({
    p1: { ...zeros, crashes: 1, restarts: 1 },
    p2: { ...zeros, snapshotsInstalled: 1, snapshotBytes: 99 },
  });
});
