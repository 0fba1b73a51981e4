import { beforeAll, describe, expect, it } from "vitest";
import type { Supervisor } from "../../src/actors/supervisor.ts";
import {
  allFollow,
  allUp,
  applied,
  othersOf,
  Recorder,
  raftError,
  startCluster,
  startPatient,
} from "./fixtures/cluster.ts";

describe("a cluster of three threads", () => {
  let supervisor: Supervisor;
  beforeAll(async () => {
    supervisor = await startPatient();
    return () => supervisor.stop();
  });

  it("elects a leader that all peers follow", async () => {
    const leader = await allFollow(supervisor);
    const statuses = await Promise.all(supervisor.peers.map((peer) => peer.status()));
    expect(statuses.filter(({ role }) => role === "leader").map(({ id }) => id)).toEqual([leader.id]);
    expect(new Set(statuses.map(({ currentTerm }) => currentTerm)).size).toBe(1);
    expect(statuses.map(({ state, incarnation }) => ({ state, incarnation }))).toEqual(
      Array(3).fill({ state: "up", incarnation: 1 }),
    );
  });

  it("names the peers p1, p2, p3, and says so when asked for another", () => {
    expect(supervisor.peers.map(({ id }) => id)).toEqual(["p1", "p2", "p3"]);
    expect(supervisor.peer("p2")).toBe(supervisor.peers[1]);
    expect(() => supervisor.peer("p4")).toThrow(
      expect.objectContaining({ code: "ERR_UNKNOWN_PEER", message: expect.stringContaining('"p4"') }),
    );
  });

  it("applies a command, and says where it stands and what came of it", async () => {
    const first = await supervisor.propose({ op: "put", key: "k", value: "v" });
    const second = await supervisor.propose({ op: "append", key: "k", value: "w" });
    expect(first.result).toBe(false);
    expect(second.result).toBe(2);
    expect(second.term).toBe(first.term);
    expect(second.index).toBe(first.index + 1);
  });

  it("keeps the order of the commands of one turn, without gaps in their indices", async () => {
    const proposals = Array.from({ length: 200 }, (_, at) =>
      supervisor.propose<number>({ op: "append", key: "turn", value: String(at % 10) }),
    );
    const proposed = await Promise.all(proposals);
    const first = proposed[0]?.index ?? Number.NaN;
    expect(proposed.map(({ index }) => index)).toEqual(proposed.map((_, at) => first + at));
    expect(proposed.map(({ result }) => result)).toEqual(proposed.map((_, at) => at + 1));
  });

  it("tells where a command was appended before it resolves, and it is there that it is applied", async () => {
    const calls: unknown[] = [];
    const command = { op: "put", key: "appended", value: 1 };
    const { index, term } = await supervisor.propose(command, { onAppended: (at) => calls.push(at) });
    expect(calls).toEqual([{ index, term }]);
  });

  it("answers a linearizable query with all that was acknowledged before", async () => {
    for (let value = 1; value <= 20; value++) {
      await supervisor.propose({ op: "put", key: "read", value });
      expect(await supervisor.query({ op: "get", key: "read" })).toBe(value);
    }
  });

  it("answers a local query at any peer from what that peer has applied", async () => {
    const { index } = await supervisor.propose({ op: "put", key: "local", value: 7 });
    for (const peer of supervisor.peers) {
      await applied(peer, index);
      expect(await peer.query({ op: "get", key: "local" }, { consistency: "local" })).toBe(7);
    }
  });

  it("refuses commands at a peer that does not lead, and names the leader", async () => {
    const leader = await supervisor.leader();
    for (const follower of othersOf(supervisor, leader)) {
      const error = await raftError(follower.propose({ op: "put", key: "refused", value: 1 }));
      expect(error).toMatchObject({ code: "ERR_NOT_LEADER", outcome: "not-applied", leader: leader.id });
    }
    expect(await supervisor.query({ op: "get", key: "refused" })).toBeUndefined();
  });

  it("rejects a query that the state machine throws at, with what it threw as the cause", async () => {
    const error = await raftError(supervisor.query({ op: "nonsense" }));
    expect(error).toMatchObject({ code: "ERR_MACHINE_THREW", outcome: "not-applied" });
    expect(error.cause).toBeInstanceOf(Error);
    expect(error.message).toContain("nonsense");
  });

  it("counts what goes over the network, and ever more of it", async () => {
    const before = await supervisor.counters();
    await supervisor.propose({ op: "put", key: "counted", value: "x".repeat(1_000) });
    const after = await supervisor.counters();
    expect(after.byType.AppendEntries).toBeGreaterThan(before.byType.AppendEntries);
    expect(after.bytes - before.bytes).toBeGreaterThan(2 * 1_000);
    expect(Object.keys(after.byPeer)).toEqual(["p1", "p2", "p3"]);
  });

  it("ends an iterator of events with its signal, or when it is left", async () => {
    const controller = new AbortController();
    const events = supervisor.events({ signal: controller.signal });
    const next = events.next();
    controller.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(await supervisor.events({ signal: controller.signal }).next()).toEqual({ done: true, value: undefined });
  });
});

describe("a cluster whose leader is lost", () => {
  it("elects another, whom commands and queries find without help, and forgets nothing", async () => {
    const supervisor = await startCluster();
    const recorder = new Recorder(supervisor);
    const first = await supervisor.leader();
    const { term, index } = await supervisor.propose({ op: "put", key: "k", value: 1 });
    await first.crash();
    expect(await supervisor.query({ op: "get", key: "k" })).toBe(1);
    const next = await supervisor.propose({ op: "put", key: "k", value: 2 });
    expect(next.term).toBeGreaterThan(term);
    expect(next.index).toBeGreaterThan(index);
    const leader = await recorder.wait("leader", (event) => event.term > term);
    expect(leader.term).toBeLessThanOrEqual(next.term);
    await allUp(supervisor);
    for (const peer of supervisor.peers) {
      await applied(peer, next.index);
      expect(await peer.query({ op: "get", key: "k" }, { consistency: "local" })).toBe(2);
    }
  });

  it("resolves `leader()` once there is one again", async () => {
    const supervisor = await startCluster({ peers: ["a", "b", "c"], restart: false });
    const leader = await supervisor.leader();
    await Promise.all(supervisor.peers.map((peer) => peer.crash()));
    const next = supervisor.leader();
    await supervisor.peer("a").start();
    await supervisor.peer("b").start();
    expect(["a", "b"]).toContain((await next).id);
    expect(leader.id).toBeTypeOf("string");
  });
});

describe("a cluster of one", () => {
  it("commits alone, and again after its crash", async () => {
    const supervisor = await startCluster({ peers: ["only"] });
    await supervisor.propose({ op: "put", key: "k", value: 1 });
    await supervisor.peer("only").crash();
    expect(await supervisor.query({ op: "get", key: "k" })).toBe(1);
    expect((await supervisor.propose({ op: "put", key: "k", value: 2 })).result).toBe(true);
  });
});
