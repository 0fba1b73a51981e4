import { describe, expect, it, onTestFinished } from "vitest";
import { KvClient } from "../../src/kv/client.ts";
import { allFollow, othersOf, PATIENT, raftError, startCluster } from "./fixtures/cluster.ts";

const get = { op: "get", key: "k" };

describe("a query", () => {
  it("to a follower reflects what was acknowledged before it began", async () => {
    const supervisor = await startCluster();
    const leader = await allFollow(supervisor);
    for (let value = 0; value < 50; value++) {
      await supervisor.propose({ op: "put", key: "k", value }, PATIENT);
      for (const peer of othersOf(supervisor, leader)) {
        const answer = await peer.query(get, PATIENT).catch((error) => error.code);
        expect([value, "ERR_NOT_LEADER"]).toContain(answer);
      }
    }
  });

  it("to a follower that lost its leader is refused, or answered when it has found it again", async () => {
    const supervisor = await startCluster();
    const leader = await allFollow(supervisor);
    const [follower] = othersOf(supervisor, leader);
    if (follower === undefined) throw new Error("no follower");
    await supervisor.faults.isolate(follower.id);
    const error = await raftError(follower.query(get, { timeoutMs: 60_000 }));
    expect(error.code).toBe("ERR_NOT_LEADER");
  });

  it("of a client that cannot reach the leader goes by way of a follower", async () => {
    const supervisor = await startCluster();
    await supervisor.propose({ op: "put", key: "k", value: 1 }, PATIENT);
    const leader = await allFollow(supervisor);
    const [follower] = othersOf(supervisor, leader);
    await supervisor.faults.client("c", [follower?.id ?? ""]);
    expect(await supervisor.query(get, { ...PATIENT, client: "c" })).toBe(1);
    const kv = new KvClient(supervisor, { via: [follower?.id ?? ""] });
    expect(await kv.get("k", PATIENT)).toMatchObject({ value: 1 });
  });

  it("by the lease reflects what was acknowledged before it began, while leaders are paused, cut off and replaced", async () => {
    const supervisor = await startCluster();
    // It takes a command on from a leader that is gone.
    const session = supervisor.session();
    for (let round = 0; round < 4; round++) {
      const old = await allFollow(supervisor);
      await session.propose({ op: "put", key: "k", value: round }, PATIENT);
      if (round % 2 === 0) await old.pause();
      else await supervisor.faults.isolate(old.id);
      await session.propose({ op: "put", key: "k", value: `${round} by another` }, PATIENT);
      // It waits in the inbox of the paused one until that goes on.
      const asked = old.query(get, { consistency: "lease", timeoutMs: 60_000 }).catch((error) => error.code);
      if (round % 2 === 0) await old.resume();
      const answer = await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, 300, "nothing"))]);
      expect([`${round} by another`, "ERR_NOT_LEADER", "nothing"]).toContain(answer);
      await supervisor.faults.heal();
      expect(await supervisor.query(get, { ...PATIENT, consistency: "lease" })).toBe(`${round} by another`);
    }
  });

  it("by the lease costs no round", async () => {
    const supervisor = await startCluster({ heartbeatMs: 500, electionMs: [1_000, 1_500] });
    await supervisor.propose({ op: "put", key: "k", value: 1 }, PATIENT);
    const ask = (consistency: "lease" | "linearizable") =>
      Array.from({ length: 200 }, async () => supervisor.query(get, { ...PATIENT, consistency }));
    // The first round may still be under way.
    await Promise.all(ask("linearizable"));
    const before = (await supervisor.counters()).rpcs;
    for (const one of ask("lease")) await one;
    expect((await supervisor.counters()).rpcs - before).toBeLessThan(100);
  });

  it("in a session never goes back, whichever peer answers", async () => {
    const supervisor = await startCluster();
    const leader = await allFollow(supervisor);
    const [slow] = othersOf(supervisor, leader);
    if (slow === undefined) throw new Error("no follower");
    await slow.pause();
    onTestFinished(() => slow.resume());
    const session = supervisor.session();
    await session.propose({ op: "put", key: "k", value: "new" }, PATIENT);
    const asked = session.query(get, { ...PATIENT, consistency: "local", via: [slow.id] });
    await slow.resume();
    expect(await asked).toBe("new");
  });
});
