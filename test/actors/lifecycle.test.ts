import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isNoMore, resources } from "../soak/figures.ts";
import { until } from "../soak/load.ts";
import {
  allUp,
  applied,
  othersOf,
  Recorder,
  raftError,
  startCluster,
  startPatient,
  strand,
} from "./fixtures/cluster.ts";

const PUT = { op: "put", key: "k", value: 1 } as const;

describe("stop()", () => {
  it("settles all that waits: commands, queries, the leader, events, and calls of the control plane", async () => {
    const supervisor = await startCluster({ restart: false });
    const recorder = new Recorder(supervisor);
    const { leader, promise: proposal } = await strand(supervisor, PUT);
    await leader.pause();
    const query = raftError(leader.query({ op: "get", key: "k" }));
    const [follower] = othersOf(supervisor, leader);
    await follower?.crash();
    const next = supervisor.events().next();
    const start = Promise.allSettled([follower?.start()]);

    await supervisor.stop();
    expect(await proposal).toMatchObject({
      code: "ERR_UNKNOWN_OUTCOME",
      outcome: "unknown",
      cause: { code: "ERR_STOPPED" },
    });
    expect(await query).toMatchObject({ code: "ERR_STOPPED" });
    await recorder.ended;
    await next;
    const [started] = await start;
    expect(started).toMatchObject({ status: "rejected", reason: { name: "RaftError" } });
  });

  it("rejects those who wait for a leader", async () => {
    const supervisor = await startCluster({ restart: false });
    await Promise.all(supervisor.peers.map((peer) => peer.crash()));
    const leader = raftError(supervisor.leader());
    const proposal = raftError(supervisor.propose(PUT, { timeoutMs: 60_000 }));
    await supervisor.stop();
    expect(await leader).toMatchObject({ code: "ERR_STOPPED" });
    expect(await proposal).toMatchObject({ code: "ERR_STOPPED", outcome: "not-applied" });
  });

  it("may be called again, at once and later, during an election too, and nothing is taken from then on", async () => {
    const supervisor = await startPatient();
    const { directory } = supervisor;
    expect(existsSync(directory)).toBe(true);
    // As soon as a majority is up there is no leader yet.
    const stops = [supervisor.stop(), supervisor.stop()];
    expect(await raftError(supervisor.propose(PUT))).toMatchObject({ code: "ERR_STOPPED", outcome: "not-applied" });
    await Promise.all(stops);
    await supervisor.stop();
    await supervisor[Symbol.asyncDispose]();
    expect(existsSync(directory)).toBe(false);

    const peer = supervisor.peer("p1");
    const calls = [
      supervisor.propose(PUT),
      supervisor.query({ op: "get", key: "k" }),
      supervisor.leader(),
      supervisor.counters(),
      supervisor.faults.heal(),
      peer.propose(PUT),
      peer.crash(),
      peer.start(),
      peer.pause(),
    ];
    for (const call of calls) expect(await raftError(call)).toMatchObject({ code: "ERR_STOPPED" });
    expect(await supervisor.events().next()).toEqual({ done: true, value: undefined });
    expect((await peer.status()).state).toBe("down");
  });

  it("waits for peers that are being started or crashed, and starts none", async () => {
    const supervisor = await startCluster();
    const [one, two, three] = supervisor.peers;
    const calls = [one?.crash(), one?.start(), two?.stop(), two?.start(), three?.crash(), three?.start()];
    const settled = Promise.allSettled(calls);
    await supervisor.stop();
    await settled;
    const states = await Promise.all(supervisor.peers.map(async (peer) => (await peer.status()).state));
    expect(states).toEqual(["down", "down", "down"]);
  });

  it("leaves no thread, no file and no folder behind", async () => {
    // The first cluster brings what stays: what the loader and the thread pool open once.
    const first = await startPatient();
    await first.propose(PUT);
    await first.stop();
    const before = resources();
    const second = await startPatient();
    await second.propose(PUT);
    await second.peers[0]?.crash();
    expect(resources().threads).toBeGreaterThan(before.threads);
    expect(existsSync(second.directory)).toBe(true);
    await second.stop();
    await until(`threads and files are as before: ${JSON.stringify(before)}`, () => isNoMore(resources(), before));
    expect(existsSync(second.directory)).toBe(false);
  });
});

describe("a peer", () => {
  it("that is crashed while it starts is down, and can be started again", async () => {
    const supervisor = await startCluster({ restart: false });
    await allUp(supervisor);
    const [peer] = othersOf(supervisor, await supervisor.leader());
    if (peer === undefined) throw new Error("no follower");
    await peer.stop();
    const start = raftError(peer.start());
    await peer.crash();
    expect(await start).toMatchObject({ code: "ERR_PEER_DOWN" });
    expect((await peer.status()).state).toBe("down");
    const { index } = await supervisor.propose(PUT);
    await Promise.all([peer.start(), peer.start()]);
    await applied(peer, index);
  });

  it("that was stopped stays down, whatever the restart policy, until it is started", async () => {
    const supervisor = await startCluster();
    await allUp(supervisor);
    const recorder = new Recorder(supervisor);
    const [peer] = othersOf(supervisor, await supervisor.leader());
    if (peer === undefined) throw new Error("no follower");
    // A restart that was due is called off.
    await peer.crash();
    await peer.stop();
    const { index } = await supervisor.propose(PUT);
    expect((await peer.status()).state).toBe("down");
    await peer.stop();
    await peer.start();
    await applied(peer, index);
    await peer.stop();
    await recorder.wait("down");
    expect(recorder.all("crash")).toHaveLength(1);

    // What was asked for last holds, also while the thread is still on its way out.
    await peer.start();
    const [, start] = await Promise.all([peer.crash(), raftError(peer.start()), peer.stop()]);
    expect(start).toMatchObject({ code: "ERR_PEER_DOWN" });
    expect((await peer.status()).state).toBe("down");
  });

  it("that is starting takes a snapshot, or is paused, when it is up", async () => {
    const supervisor = await startCluster({ peers: 1 });
    const peer = supervisor.peer("p1");
    const { index } = await supervisor.propose(PUT);
    await peer.stop();
    const [, taken] = await Promise.all([peer.start(), peer.snapshot()]);
    expect(taken).toBeGreaterThanOrEqual(0);
    await peer.stop();
    await Promise.all([peer.start(), peer.pause()]);
    expect((await peer.status()).state).toBe("paused");
    await peer.resume();
    await applied(peer, index);
  });
});
