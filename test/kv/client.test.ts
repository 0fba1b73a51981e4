import { describe, expect, it } from "vitest";
import { KvClient } from "../../src/kv/client.ts";
import { allFollow, allUp, PATIENT, raftError, startCluster } from "../actors/fixtures/cluster.ts";

describe("a key-value client", () => {
  it("puts, gets, appends, deletes and compares", async () => {
    const kv = new KvClient(await startCluster(), { name: "c" });
    expect(await kv.get("k", PATIENT)).toBeUndefined();
    expect(await kv.put("k", "a", PATIENT)).toEqual({ ok: true, version: 1 });
    expect(await kv.append("k", "b")).toBe(2);
    expect(await kv.get("k")).toEqual({ key: "k", value: "ab", version: 2 });
    expect(await kv.cas("k", "ab", { n: 1 })).toEqual({ swapped: true, value: undefined });
    expect(await kv.cas("k", "ab", 2)).toEqual({ swapped: false, value: { n: 1 } });
    expect(await kv.delete("k")).toBe(true);
    expect(await kv.delete("k")).toBe(false);
  });

  it("lets one of many that put at the same version win", async () => {
    const supervisor = await startCluster();
    const clients = Array.from({ length: 5 }, () => new KvClient(supervisor));
    const results = await Promise.all(clients.map((kv, at) => kv.put("k", at, { ...PATIENT, version: 0 })));
    expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    expect(await clients[0]?.get("k")).toMatchObject({ version: 1, value: results.findIndex(({ ok }) => ok) });
  });

  it("does many things at once or not at all", async () => {
    const kv = new KvClient(await startCluster({ peers: 1 }));
    const transfer = [
      { op: "put", key: "a", value: 1 },
      { op: "append", key: "b", value: "x" },
    ] as const;
    expect(await kv.txn(transfer, PATIENT)).toEqual({ ok: true, results: [false, 1], conflict: undefined });
    expect(await kv.txn(transfer, { checks: [{ key: "a", version: 7 }] })).toMatchObject({
      ok: false,
      conflict: { key: "a", version: 1 },
    });
    const bad = [{ op: "delete", key: "b" } as const, { op: "append", key: "a", value: "x" } as const];
    expect(await raftError(kv.txn(bad))).toMatchObject({ code: "ERR_MACHINE_THREW", outcome: "applied" });
    expect(await kv.get("b")).toMatchObject({ value: "x", version: 1 });
  });

  it("scans a prefix or a range in order, page by page", async () => {
    const kv = new KvClient(await startCluster({ peers: 1 }));
    const keys = Array.from({ length: 250 }, (_, at) => `k${String(at).padStart(3, "0")}`);
    await Promise.all(["a", ...keys, "z"].map((key) => kv.put(key, 1, PATIENT)));
    const found: string[] = [];
    for await (const { key } of kv.scan({ prefix: "k" })) found.push(key);
    expect(found).toEqual(keys);
    found.length = 0;
    for await (const { key } of kv.scan({ from: "k248", to: "z", limit: 1 })) found.push(key);
    expect(found).toEqual(["k248", "k249"]);
  });

  it("refuses keys, values and versions that cannot be, before anything is sent", async () => {
    const kv = new KvClient(await startCluster({ peers: 1 }));
    const refused: Promise<unknown>[] = [
      kv.get(""),
      kv.put("k", undefined),
      kv.put("k".repeat(1_025), 1),
      kv.put("k", 1, { version: -1 }),
    ];
    refused.push(kv.append("k", 5 as never), kv.cas("k", 1, undefined), kv.put(["k"] as never, 1));
    for (const commands of [null, [null], [{ op: "put", key: "k" }], [{ op: "append", key: "k", value: 5 }]]) {
      refused.push(kv.txn(commands as never));
    }
    for (const command of [{ op: "cas", key: "k", value: 1 }, { op: "txn", key: "k", commands: [] }, { op: "get" }]) {
      refused.push(kv.txn([command] as never));
    }
    for (const checks of [null, [null], [{ key: "k" }], [{ version: 1 }]]) {
      refused.push(kv.txn([], { checks: checks as never }));
    }
    const errors = await Promise.all(refused.map(raftError));
    expect(new Set(errors.map(({ code, outcome }) => `${code} ${outcome}`))).toEqual(
      new Set(["ERR_INVALID_COMMAND not-applied"]),
    );
    expect(errors[0]?.message).toBe("key: expected a string of at least one character, got ''");
  });

  it("watches a prefix through the deaths of all peers, one after the other, without a gap or a duplicate", async () => {
    const supervisor = await startCluster({ restart: { intensity: 1_000, backoffMs: [1, 10] } });
    const kv = new KvClient(supervisor);
    const { version } = await kv.put("start", 1, PATIENT);
    expect(version).toBe(1);
    const seen: unknown[] = [];
    const watching = (async () => {
      for await (const { value } of kv.watch({ prefix: "n", after: kv.lastSeen })) {
        seen.push(value);
        if (seen.length === 60) return;
      }
    })();
    for (let at = 0; at < 60; at++) {
      if (at % 20 === 10) {
        await supervisor.peers[(at - 10) / 20]?.crash();
        await allUp(supervisor);
      }
      await kv.put(`n${at % 3}`, at, PATIENT);
      await kv.put("other", at, PATIENT);
    }
    await watching;
    expect(seen).toEqual(Array.from({ length: 60 }, (_, at) => at));
  });

  it("says that what it should watch from is gone, and from where on it is not", async () => {
    const supervisor = await startCluster();
    const kv = new KvClient(supervisor);
    for (let at = 0; at < 10; at++) await kv.put("k", at, PATIENT);
    await allFollow(supervisor);
    const snapshots = await Promise.all(supervisor.peers.map((peer) => peer.snapshot()));
    await Promise.all(supervisor.peers.map((peer) => peer.crash()));
    await allUp(supervisor);
    await kv.put("k", "last", PATIENT);
    const error = await raftError(kv.watch({ key: "k", after: 1 }).next());
    expect(error.code).toBe("ERR_COMPACTED");
    expect(error.firstIndex).toBeLessThanOrEqual(Math.min(...snapshots) + 1);
    const next = await kv.watch({ key: "k", after: Math.max(...snapshots) }).next();
    expect(next.value).toMatchObject({ value: "last" });
  });

  it("ends a watch with its signal", async () => {
    const kv = new KvClient(await startCluster({ peers: 1 }));
    const abort = new AbortController();
    const next = kv.watch({ signal: abort.signal, after: 1_000 }).next();
    abort.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});
