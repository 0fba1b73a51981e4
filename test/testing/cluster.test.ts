import { existsSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { type Cluster, type ClusterOptions, LabError, spawnCluster } from "../../src/testing/index.ts";

const FRAGILE = new URL("./fixtures/fragile-machine.ts", import.meta.url);

let spawned: Cluster[] = [];

async function spawn(options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = await spawnCluster({ machine: FRAGILE, durability: "process", ...options });
  spawned.push(cluster);
  return cluster;
}

afterEach(async () => {
  const clusters = spawned;
  spawned = [];
  await Promise.allSettled(clusters.map((cluster) => cluster.stop()));
});

describe("A cluster for tests", () => {
  test("has a command applied by as many peers as asked for", async () => {
    const cluster = await spawn();
    const index = await cluster.one("x", 3);
    expect(await cluster.committed(index)).toEqual({ count: 3, command: "x", term: expect.any(Number) });
    expect(await cluster.appliedBy("x")).toEqual(expect.arrayContaining(["p1", "p2", "p3"]));
    expect(await cluster.appliedBy("y")).toEqual([]);
  });

  test("hands a command to one peer only, which takes it if it leads", async () => {
    const cluster = await spawn();
    const leader = await cluster.checkOneLeader();
    const term = await cluster.checkTerms();
    for (const { id } of cluster.peers) {
      const began = await cluster.begin(id, "x");
      if (id === leader.id) expect(began).toEqual({ index: expect.any(Number), term });
      else expect(began).toBeUndefined();
    }
  });

  test("returns from a begun command before it is committed", async () => {
    const cluster = await spawn();
    const leader = await cluster.checkOneLeader();
    await cluster.disconnect(leader.id);
    expect(await cluster.begin(leader.id, "x")).toBeDefined();
    expect(await cluster.appliedBy("x")).toEqual([]);
  });

  test("elects another leader when one is cut off, and knows who is connected", async () => {
    const cluster = await spawn();
    const old = await cluster.checkOneLeader();
    await cluster.disconnect(old.id);
    expect([...cluster.connected]).not.toContain(old.id);
    expect((await cluster.checkOneLeader()).id).not.toBe(old.id);
    await cluster.connect(old.id);
    expect(cluster.connected.size).toBe(3);
    await cluster.one("x", 3, { retry: true });
  });

  test("says so when somebody leads and nobody should", async () => {
    const cluster = await spawn();
    const leader = await cluster.checkOneLeader();
    await expect(cluster.checkNoLeader()).rejects.toThrow(`${leader.id} says that it leads in term`);
    await cluster.disconnect(leader.id);
    await cluster.disconnect((await cluster.checkOneLeader()).id);
    await expect(cluster.checkNoLeader()).resolves.toBeUndefined();
  });

  test("keeps a crashed peer down until it is started, and off the network until it is connected", async () => {
    const cluster = await spawn();
    const { id } = await cluster.checkOneLeader();
    await cluster.crash(id);
    expect((await cluster.peer(id).status()).state).toBe("down");
    expect(await cluster.begin(id, "lost")).toBeUndefined();
    const index = await cluster.one("x", 2, { retry: true });
    await cluster.restart(id);
    expect((await cluster.peer(id).status()).state).toBe("up");
    expect(cluster.connected.has(id)).toBe(false);
    await cluster.connect(id);
    expect(await cluster.wait(index, 3)).toEqual({ count: 3, command: "x", term: expect.any(Number) });
  });

  test("stops waiting for an index when the term is over in which it was given", async () => {
    const cluster = await spawn();
    const leader = await cluster.checkOneLeader();
    const term = await cluster.checkTerms();
    await cluster.disconnect(leader.id);
    const began = await cluster.begin(leader.id, "lost");
    expect(began).toBeDefined();
    expect(await cluster.wait(1_000, 3, term)).toBeUndefined();
  });

  test("gives a command up that is not applied in time", async () => {
    const cluster = await spawn();
    const leader = await cluster.checkOneLeader();
    for (const { id } of cluster.peers) if (id !== leader.id) await cluster.disconnect(id);
    await expect(cluster.one("x", 3)).rejects.toThrow(/The command 'x' was to be applied by 3 peers .* by nobody/);
  });

  test("counts requests, bytes and commands", async () => {
    const cluster = await spawn();
    await cluster.one("x", 3);
    await cluster.one("y", 3);
    const { rpcs, bytes, commands } = await cluster.totals();
    expect(rpcs).toBeGreaterThan(0);
    expect(bytes).toBeGreaterThan(rpcs);
    expect(commands).toBe(2);
    expect(await cluster.rpcCount("p1")).toBeLessThan(await cluster.rpcCount());
  });

  test("has failed when a thread dies by itself, and says so at the end too", async () => {
    const cluster = await spawn();
    await expect(cluster.one("die", 3)).rejects.toThrow(LabError);
    await expect(cluster.checkOneLeader()).rejects.toThrow(/died by itself/);
    await expect(cluster.stop()).rejects.toThrow(/died by itself/);
    expect(existsSync(cluster.directory)).toBe(false);
  });

  test("leaves nothing behind", async () => {
    const cluster = await spawn();
    await cluster.stop();
    await cluster.stop();
    expect(existsSync(cluster.directory)).toBe(false);
  });
});
