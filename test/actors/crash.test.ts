import { describe, expect, it } from "vitest";
import { allUp, applied, othersOf, PATIENT, Recorder, raftError, startCluster, strand } from "./fixtures/cluster.ts";

const FRAGILE = new URL("./fixtures/fragile.ts", import.meta.url);
const NEVER_GIVE_UP = { intensity: Number.POSITIVE_INFINITY, periodMs: 1_000, backoffMs: [1, 10] } as const;

describe("a crashed peer", () => {
  it("comes back from its store with every acknowledged command, even when all crash at once", async () => {
    const supervisor = await startCluster({ restart: NEVER_GIVE_UP });
    const keys = Array.from({ length: 100 }, (_, at) => `k${at}`);
    await Promise.all(keys.map((key) => supervisor.propose({ op: "append", key, value: key })));
    await Promise.all(supervisor.peers.map((peer) => peer.crash()));
    const { index } = await supervisor.propose({ op: "put", key: "after", value: 1 }, PATIENT);
    for (const peer of supervisor.peers) {
      await applied(peer, index);
      const local = { consistency: "local" } as const;
      const values = await Promise.all(keys.map((key) => peer.query({ op: "get", key }, local)));
      expect(values).toEqual(keys);
      expect((await peer.status()).incarnation).toBe(2);
    }
  });

  it("is told of in events: the crash, the restart, and that it is up", async () => {
    const supervisor = await startCluster();
    const recorder = new Recorder(supervisor);
    const [victim] = supervisor.peers;
    await allUp(supervisor);
    await victim?.crash();
    const up = await recorder.wait("up", ({ incarnation }) => incarnation === 2);
    expect(up.peer).toBe("p1");
    const ofVictim = recorder.events.filter((event) => event.type !== "leader" && event.peer === "p1");
    expect(ofVictim.slice(-3)).toEqual([
      { type: "crash", peer: "p1", incarnation: 1, requested: true, error: undefined },
      { type: "restart", peer: "p1", delayMs: 10 },
      { type: "up", peer: "p1", incarnation: 2 },
    ]);
  });

  it("leaves commands that it was handed with an unknown outcome, at once, and says why", async () => {
    const supervisor = await startCluster({ restart: false });
    const { leader, promise } = await strand(supervisor, { op: "put", key: "k", value: 1 });
    await leader.crash();
    const error = await promise;
    expect(error).toMatchObject({ code: "ERR_UNKNOWN_OUTCOME", outcome: "unknown", cause: { code: "ERR_PEER_DOWN" } });
    expect(error.message).toContain(leader.id);
  });

  it("stays down without a restart policy until it is started", async () => {
    const supervisor = await startCluster({ restart: false });
    await allUp(supervisor);
    const recorder = new Recorder(supervisor);
    const leader = await supervisor.leader();
    const [peer] = othersOf(supervisor, leader);
    if (peer === undefined) throw new Error("no follower");
    await peer.crash();
    expect(await peer.status()).toMatchObject({ state: "down", role: "follower", leader: undefined, incarnation: 1 });
    expect(await raftError(peer.propose({ op: "get", key: "k" }))).toMatchObject({
      code: "ERR_PEER_DOWN",
      outcome: "not-applied",
    });
    await peer.crash();
    const { index } = await supervisor.propose({ op: "put", key: "k", value: 1 });
    expect((await peer.status()).state).toBe("down");
    await peer.start();
    expect(await peer.status()).toMatchObject({ state: "up", incarnation: 2 });
    await peer.start();
    await applied(peer, index);
    expect(recorder.all("restart")).toEqual([]);
    expect(recorder.all("crash")).toHaveLength(1);
  });

  it("is given up when it crashes more often than the policy bears, and tried again when started by hand", async () => {
    const supervisor = await startCluster({ restart: { intensity: 2, periodMs: 600_000, backoffMs: [1, 1] } });
    await allUp(supervisor);
    const recorder = new Recorder(supervisor);
    const [peer] = othersOf(supervisor, await supervisor.leader());
    if (peer === undefined) throw new Error("no follower");
    for (const incarnation of [2, 3]) {
      await peer.crash();
      await recorder.wait("up", (event) => event.incarnation === incarnation);
    }
    await peer.crash();
    const { error } = await recorder.wait("given-up");
    expect(error).toMatchObject({ name: "RaftError", code: "ERR_GIVEN_UP" });
    expect(error.message).toMatch(new RegExp(`"${peer.id}".* 3 times within 600000 ms`));
    expect((await peer.status()).state).toBe("given-up");
    const { index } = await supervisor.propose({ op: "put", key: "k", value: 1 });
    await peer.start();
    await applied(peer, index);
    // A start by hand opens a new account.
    await peer.crash();
    await recorder.wait("up", (event) => event.incarnation === 5);
  });
});

describe("a state machine that fails", () => {
  it("gives what it throws to the caller, and leaves the same state on every peer", async () => {
    const supervisor = await startCluster({ machine: FRAGILE, restart: false });
    await supervisor.propose({ op: "add", by: 3 });
    const { index } = await supervisor.propose({ op: "add", by: 4 });
    const error = await raftError(supervisor.propose({ op: "refuse" }));
    expect(error).toMatchObject({ code: "ERR_MACHINE_THREW", outcome: "applied" });
    expect(error.cause).toMatchObject({ name: "RangeError", message: `refused at ${index + 1} with a sum of 7` });
    const { result } = await supervisor.propose({ op: "add", by: 1 });
    expect(result).toBe(8);
    for (const peer of supervisor.peers) {
      await applied(peer, index + 2);
      expect(await peer.query("sum", { consistency: "local" })).toBe(8);
      expect(await peer.status()).toMatchObject({ state: "up", incarnation: 1 });
    }

    // One that never returns can be crashed like any other.
    const [peer] = othersOf(supervisor, await supervisor.leader());
    if (peer === undefined) throw new Error("no follower");
    const spinning = raftError(peer.query("spin", { consistency: "local", ...PATIENT }));
    await supervisor.propose({ op: "add", by: 1 });
    await peer.crash();
    expect(await spinning).toMatchObject({ code: "ERR_PEER_DOWN" });
    await peer.start();
    await applied(peer, index + 3);
    expect(await peer.query("sum", { consistency: "local" })).toBe(9);
  });
});

describe("a state machine that ends its thread at one command", () => {
  it("is given up with an error that names the entry, while the supervisor and the app live", async () => {
    const supervisor = await startCluster({ peers: ["p"], machine: FRAGILE, restart: NEVER_GIVE_UP });
    const recorder = new Recorder(supervisor);
    const peer = supervisor.peer("p");
    const { index } = await supervisor.propose({ op: "add", by: 5 });
    const error = await raftError(supervisor.propose({ op: "exit" }));
    expect(error).toMatchObject({ code: "ERR_UNKNOWN_OUTCOME", outcome: "unknown" });

    const gaveUp = await recorder.wait("given-up");
    expect(gaveUp.error).toMatchObject({ code: "ERR_GIVEN_UP" });
    expect(gaveUp.error.message).toContain(`index ${index + 1}.`);
    expect((await peer.status()).state).toBe("given-up");
    const deaths = recorder.all("crash");
    expect(deaths).toHaveLength(3);
    for (const { requested, error: why } of deaths) {
      expect(requested).toBe(false);
      expect(why?.message).toContain("exit code 3");
    }
    expect(await raftError(peer.propose({ op: "add", by: 1 }))).toMatchObject({ code: "ERR_PEER_DOWN" });

    // Started by hand it is tried again, and meets the command again.
    await Promise.allSettled([peer.start()]);
    await recorder.wait("given-up", () => true, 2);
    expect(recorder.all("crash")).toHaveLength(6);
  });
});
