import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Peer } from "../../src/actors/peer-handle.ts";
import type { Supervisor } from "../../src/actors/supervisor.ts";
import { until } from "../soak/load.ts";
import { allUp, applied, othersOf, Recorder, raftError, startCluster, startPatient } from "./fixtures/cluster.ts";

/** A paused peer that was in the role when it stood still: on a busy machine another may have been elected just before. */
async function paused(supervisor: Supervisor, role: "leader" | "follower"): Promise<Peer> {
  for (;;) {
    const leader = await supervisor.leader();
    const [follower] = othersOf(supervisor, leader);
    const peer = role === "leader" ? leader : follower;
    if (peer === undefined) throw new Error(`no ${role}`);
    await peer.pause();
    if ((await peer.status()).role === role) return peer;
    await peer.resume();
  }
}

describe("a paused peer", () => {
  let supervisor: Supervisor;
  beforeAll(async () => {
    supervisor = await startPatient({ restart: { intensity: 100 } });
    await allUp(supervisor);
    return () => supervisor.stop();
  });

  // A test that fails must not leave the next ones without a majority.
  afterEach(async () => {
    await Promise.all(supervisor.peers.map((peer) => peer.resume()));
  });

  it("is replaced if it led, steps down when it goes on, and answers the mail that waited", async () => {
    const { index } = await supervisor.propose({ op: "put", key: "k", value: 1 });
    const recorder = new Recorder(supervisor);
    const leader = await paused(supervisor, "leader");
    const { state, currentTerm: term, lastApplied } = await leader.status();
    expect(state).toBe("paused");
    expect(lastApplied).toBeGreaterThanOrEqual(index);
    const toLeader = leader.propose({ op: "put", key: "k", value: 2 }, { timeoutMs: 60_000 });
    const toWhoeverLeads = supervisor.propose({ op: "append", key: "log", value: "x" }, { timeoutMs: 60_000 });
    const elected = await recorder.wait("leader", (event) => event.term > term);
    expect(elected.peer).not.toBe(leader.id);
    await supervisor.propose({ op: "put", key: "k", value: 3 });
    expect((await leader.status()).state).toBe("paused");

    await leader.resume();
    // It had not read this mail before it heard of the new term, or it had; but it cannot have had it committed.
    const refusal = await raftError(toLeader);
    expect(["ERR_NOT_LEADER", "ERR_SUPERSEDED"]).toContain(refusal.code);
    expect(refusal.outcome).toBe("not-applied");
    expect((await toWhoeverLeads).result).toBe(1);
    await until("it follows the new leader", async () => {
      const status = await leader.status();
      return status.state === "up" && status.role === "follower" && status.currentTerm > term;
    });
    const { index: last } = await supervisor.propose({ op: "put", key: "last", value: 1 });
    await applied(leader, last);
    expect(await leader.query({ op: "get", key: "k" }, { consistency: "local" })).toBe(3);
  });

  it("holds nobody up if it followed, and catches up when it goes on", async () => {
    const leader = await supervisor.leader();
    const [follower] = othersOf(supervisor, leader);
    if (follower === undefined) throw new Error("no follower");
    await follower.pause();
    await follower.pause();
    const { index } = await supervisor.propose({ op: "put", key: "k", value: 4 });
    const status = await follower.status();
    expect(status.state).toBe("paused");
    expect(status.lastApplied).toBeLessThan(index);
    await follower.resume();
    await follower.resume();
    await applied(follower, index);
    expect((await follower.status()).state).toBe("up");
  });

  it("finds few rounds of others' reads in its inbox, and a query to it ends at its own deadline", async () => {
    const follower = await paused(supervisor, "follower");
    const received = async () => (await supervisor.counters()).byPeer[follower.id]?.received ?? 0;
    const [before, began] = [await received(), performance.now()];
    const reads = 1_000;
    for (let read = 0; read < reads; read++) await supervisor.query({ op: "get", key: "k" });
    const late = await raftError(follower.query({ op: "get", key: "k" }, { timeoutMs: 50 }));
    expect(late).toMatchObject({ code: "ERR_TIMEOUT", outcome: "not-applied" });
    expect(late.message).toBe(`no answer from ${follower.id} within 50 ms`);
    const heartbeats = (performance.now() - began) / 50;
    expect((await received()) - before).toBeLessThan(50 + 2 * heartbeats);
    await follower.resume();
    await until("it reads again", async () => {
      const value = await follower.query({ op: "get", key: "k" }).catch(() => undefined);
      return value === 4;
    });
  });

  it("can be crashed, and comes back running", async () => {
    const [peer] = othersOf(supervisor, await supervisor.leader());
    if (peer === undefined) throw new Error("no follower");
    const { incarnation } = await peer.status();
    await peer.pause();
    await peer.crash();
    await until("it is back", async () => {
      const status = await peer.status();
      return status.state === "up" && status.incarnation === incarnation + 1;
    });
    const { index } = await supervisor.propose({ op: "put", key: "k", value: 5 });
    await applied(peer, index);
  });

  it("can be stopped, and then it cannot be paused", async () => {
    const [peer] = othersOf(supervisor, await supervisor.leader());
    if (peer === undefined) throw new Error("no follower");
    await peer.pause();
    await peer.stop();
    expect((await peer.status()).state).toBe("down");
    expect(await raftError(peer.pause())).toMatchObject({ code: "ERR_PEER_DOWN" });
    await peer.resume();
    await peer.start();
    expect((await peer.status()).state).toBe("up");
  });
});

describe("a cluster of paused peers", () => {
  it("stops like any other", async () => {
    const supervisor = await startCluster();
    await allUp(supervisor);
    await Promise.all(supervisor.peers.map((peer) => peer.pause()));
    const proposal = raftError(supervisor.propose({ op: "put", key: "k", value: 1 }));
    const query = raftError(supervisor.query({ op: "get", key: "k" }));
    await supervisor.stop();
    expect(["ERR_UNKNOWN_OUTCOME", "ERR_STOPPED"]).toContain((await proposal).code);
    expect((await query).code).toBe("ERR_STOPPED");
    const states = await Promise.all(supervisor.peers.map(async (peer) => (await peer.status()).state));
    expect(states).toEqual(["down", "down", "down"]);
  });
});
