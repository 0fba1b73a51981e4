import { cpSync, existsSync, readdirSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { EventData } from "../../src/actors/protocol.ts";
import { Supervisor } from "../../src/actors/supervisor.ts";
import { Verification } from "../../src/actors/verification.ts";
import { LmdbStore, noGate } from "../../src/storage/index.ts";
import { flippedBits } from "../soak/flipped-bits.ts";
import { until } from "../soak/load.ts";
import { appendSingles, lastBatch } from "../storage/fixtures/batches.ts";
import { OPTIONS } from "../storage/fixtures/options.ts";
import { withTables } from "../storage/fixtures/tables.ts";
import { allUp, applied, Recorder, raftError, startCluster, temporaryFolder } from "./fixtures/cluster.ts";

const knowsChildren = existsSync(`/proc/self/task/${process.pid}/children`);

/** A directory whose cluster was stopped, and the index of its last command. */
async function usedDirectory(): Promise<{ directory: string; index: number }> {
  const directory = join(temporaryFolder(), "cluster");
  const supervisor = await startCluster({ directory });
  await allUp(supervisor);
  await supervisor.propose({ op: "put", key: "k", value: 1 });
  const { index } = await supervisor.propose({ op: "put", key: "l", value: 2 });
  for (const peer of supervisor.peers) await applied(peer, index);
  await supervisor.stop();
  return { directory, index };
}

function cutOff(directory: string, peer: string): void {
  truncateSync(join(directory, peer, "data.mdb"), 20_000);
}

async function givenUp(supervisor: Supervisor, id: string): Promise<void> {
  await until(`${id} is given up`, async () => (await supervisor.peer(id).status()).state === "given-up");
}

describe("a cluster that starts on a used directory", () => {
  it("goes on without the peer whose store is broken, and says what is wrong", async () => {
    const { directory, index } = await usedDirectory();
    cutOff(directory, "p2");
    const supervisor = await startCluster({ directory });
    const recorder = new Recorder(supervisor);
    expect(await supervisor.query({ op: "get", key: "k" }, { timeoutMs: 60_000 })).toBe(1);
    await applied(supervisor.peer("p1"), index);
    await applied(supervisor.peer("p3"), index);
    await givenUp(supervisor, "p2");
    const error = await raftError(supervisor.peer("p2").start());
    expect(error.code).toBe("ERR_STORAGE_CORRUPT");
    expect(error.message).toContain(join(directory, "p2"));
    expect((await recorder.wait("given-up")).error.message).toBe(error.message);
    // No thread has died of it.
    expect(recorder.all("crash")).toEqual([]);
  });

  it("takes a peer back whose store was put in order, by a start by hand", async () => {
    const { directory } = await usedDirectory();
    const copy = join(temporaryFolder(), "p3");
    cpSync(join(directory, "p3"), copy, { recursive: true });
    cutOff(directory, "p3");
    const supervisor = await startCluster({ directory });
    await givenUp(supervisor, "p3");
    cpSync(copy, join(directory, "p3"), { recursive: true });
    await supervisor.peer("p3").start();
    const { index } = await supervisor.propose({ op: "put", key: "k", value: 3 }, { timeoutMs: 60_000 });
    await applied(supervisor.peer("p3"), index);
  });

  it("does not start when most of the stores are broken, and leaves nothing behind", async () => {
    const { directory } = await usedDirectory();
    cutOff(directory, "p1");
    cutOff(directory, "p2");
    expect((await raftError(Supervisor.start({ directory }))).code).toBe("ERR_STORAGE_CORRUPT");
    expect(children()).toEqual([]);
  });

  it("can be stopped while stores are verified", async () => {
    const { directory } = await usedDirectory();
    const supervisor = await startCluster({ directory });
    // The third store waited for one of the other two, so it is hardly done.
    await supervisor.stop();
    expect(children()).toEqual([]);
    const again = await startCluster({ directory, verify: false });
    await allUp(again);
  });

  it("verifies a store before the first start of its thread, and not before later ones", async () => {
    const { directory, index } = await usedDirectory();
    const supervisor = await startCluster({ directory });
    const recorder = new Recorder(supervisor);
    const peer = supervisor.peer("p1");
    await applied(peer, index);
    await peer.stop();
    // Of no use to anybody, so only who verifies meets it.
    await withTables(join(directory, "p1"), ({ snapshot }) => snapshot.putSync(0, Buffer.from("bad")));
    await peer.start();
    await peer.crash();
    await recorder.wait("up", (event) => event.peer === "p1", 2);
    expect(recorder.all("given-up")).toEqual([]);
  });

  it("verifies none with `verify: false`", async () => {
    const { directory, index } = await usedDirectory();
    // Of no use to anybody, so only who verifies meets it.
    await withTables(join(directory, "p1"), ({ snapshot }) => snapshot.putSync(0, Buffer.from("bad")));
    const verified = await startCluster({ directory });
    const recorder = new Recorder(verified);
    await givenUp(verified, "p1");
    expect(recorder.all("up", ({ peer }) => peer === "p1")).toEqual([]);
    await verified.stop();
    const unverified = await startCluster({ directory, verify: false });
    await applied(unverified.peer("p1"), index);
  });
});

describe("a verification", () => {
  /** A store with `count` batches. */
  async function store(count: number): Promise<string> {
    const path = join(temporaryFolder(), "store");
    const opened = await LmdbStore.open({ ...OPTIONS, path, durability: "process", gate: noGate });
    appendSingles(opened, lastBatch(opened, 1), count);
    await opened.close();
    return path;
  }

  function verification(verify: "full" | "ends"): { verification: Verification; events: EventData[] } {
    const events: EventData[] = [];
    return {
      verification: new Verification({ verify, durability: "disk", tell: (event) => events.push(event) }),
      events,
    };
  }

  const signal = new AbortController().signal;

  it("reads every record, or only what a peer needs to start", async () => {
    const path = await store(10);
    await verification("full").verification.verify("a", path, signal);
    await withTables(path, ({ log }) => log.removeSync(5));
    await verification("ends").verification.verify("a", path, signal);
    const error = await raftError(verification("full").verification.verify("a", path, signal));
    expect(error).toMatchObject({ code: "ERR_STORAGE_CORRUPT", message: expect.stringContaining("5..5") });
  });

  it("tells how far it is when it takes a while, and that it is done", async () => {
    const path = await store(30_000);
    const { verification: slow, events } = verification("full");
    await slow.verify("a", path, signal);
    const fractions = events.map((event) => (event.type === "verify" ? event.fraction : Number.NaN));
    expect(fractions).toEqual([...fractions].sort((one, other) => one - other));
    expect(fractions.at(-1) ?? 1).toBe(1);
  });

  it.skipIf(!knowsChildren)("reads two stores at a time, however many wait", async () => {
    const paths = await Promise.all([1, 2, 3, 4, 5].map(() => store(10)));
    const { verification: busy } = verification("full");
    const verified = paths.map((path) => busy.verify("a", path, signal));
    await until("processes read", () => children().length >= 2);
    expect(children()).toHaveLength(2);
    await Promise.all(verified);
    expect(children()).toEqual([]);
  });

  it("ends with its signal, whether it has begun or waits for others, and leaves no process", async () => {
    const path = await store(10);
    const { verification: busy } = verification("full");
    const aborts = [1, 2, 3, 4].map(() => new AbortController());
    const errors = aborts.map((abort) => raftError(busy.verify("a", path, abort.signal)));
    aborts[3]?.abort();
    expect((await errors[3])?.code).toBe("ERR_ABORTED");
    for (const abort of aborts) abort.abort();
    for (const error of await Promise.all(errors)) expect(error.code).toBe("ERR_ABORTED");
    expect(children()).toEqual([]);
    // Its places are free again.
    await busy.verify("a", path, signal);
  });
});

describe("stores with flipped bits", () => {
  it("neither end the app nor have a wrong value served, and the majority goes on", async () => {
    const figures = await flippedBits({ times: 2, seed: 1, dist: false });
    expect(Object.keys(figures)).toHaveLength(3);
  });
});

/** The processes that read stores for this one and have not ended, where the system tells. */
function children(): string[] {
  if (!knowsChildren) return [];
  const pids = readdirSync("/proc/self/task").flatMap((thread) =>
    readFileSync(`/proc/self/task/${thread}/children`, "utf8").split(" ").filter(Boolean),
  );
  return pids
    .map((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8"))
    .filter((line) => line.includes("reading-process"));
}
