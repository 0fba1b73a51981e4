import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { SupervisorOptions } from "../../src/actors/options.ts";
import { Supervisor } from "../../src/actors/supervisor.ts";
import {
  allFollow,
  allUp,
  raftError,
  startCluster,
  startPatient,
  strand,
  temporaryFolder,
} from "./fixtures/cluster.ts";

const PUT = { op: "put", key: "k", value: 1 } as const;

describe("Supervisor.start", () => {
  const bad: [string, Record<string, unknown>, string[]][] = [
    ["a misspelt option", { heartbeatsMs: 50 }, ["heartbeatsMs", "heartbeatMs"]],
    ["a count out of range", { peers: 0 }, ["peers", "0"]],
    ["a name that is no folder's", { peers: ["a", "../b"] }, ["../b"]],
    ["the same name twice", { peers: ["a", "a"] }, ["peers"]],
    ["an election timeout upside down", { electionMs: [300, 150] }, ["electionMs", "300"]],
    ["a heartbeat too slow for the election timeout", { heartbeatMs: 100 }, ["heartbeatMs", "100"]],
    ["a durability that is none", { durability: "memory" }, ["durability", "memory"]],
    ["a misspelt option of the restart policy", { restart: { intensty: 1 } }, ["restart", "intensty", "intensity"]],
    ["options of the machine that no thread can get", { machine: { module: "x", options: { f() {} } } }, ["options"]],
    ["a seed that is no integer", { seed: 0.5 }, ["seed", "0.5"]],
  ];
  it.each(bad)("rejects %s, and quotes it", async (_what, options, quotes) => {
    const error = await raftError(Supervisor.start(options as SupervisorOptions));
    expect(error).toMatchObject({ code: "ERR_INVALID_OPTION", outcome: "not-applied" });
    for (const quote of quotes) expect(error.message).toContain(quote);
  });

  const fixture = (name: string) => new URL(`./fixtures/${name}`, import.meta.url);
  const broken: [string, URL, string | RegExp][] = [
    ["is missing", fixture("nowhere.ts"), "nowhere.ts"],
    ["exports no class", fixture("no-class.ts"), "no-class.ts"],
    ["throws when it is made", fixture("throws-when-made.ts"), "not today"],
  ];
  it.each(broken)("rejects a state machine that %s, and leaves nothing behind", async (_what, machine, quote) => {
    const parent = temporaryFolder();
    vi.stubEnv("TMPDIR", parent);
    const threads = { started: 0, ended: 0 };
    const onWorker = (worker: Worker) => {
      threads.started++;
      worker.once("exit", () => threads.ended++);
    };
    process.on("worker", onWorker);
    try {
      const error = await raftError(Supervisor.start({ machine }));
      expect(error.code).toBe("ERR_MACHINE_MODULE");
      expect(error.message).toContain(quote);
      expect(readdirSync(parent).filter((name) => name.includes("flotilla"))).toEqual([]);
      // The peers' threads belong to the supervisor's: they end before it does.
      expect(threads).toEqual({ started: 1, ended: 1 });
    } finally {
      process.off("worker", onWorker);
      vi.unstubAllEnvs();
    }
  });

  it("rejects a directory that cannot be one", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "d"));
    const file = new URL(import.meta.url).pathname;
    await expect(Supervisor.start({ directory: join(file, "below a file") })).rejects.toThrow(/bad-input/);
  });
});

describe("a running cluster", () => {
  let supervisor: Supervisor;
  beforeAll(async () => {
    supervisor = await startPatient({ maxCommandBytes: 1_000, maxPendingBytes: 10_000 });
    await allUp(supervisor);
    return () => supervisor.stop();
  });

  it("rejects faults between peers that it does not have, by their names", async () => {
    const { faults } = supervisor;
    const calls = [
      faults.partition(["p1"], ["p9"]),
      faults.isolate("p9"),
      faults.connect("p9"),
      faults.link("p1", "p9", { drop: 1 }),
      faults.link("p9", "p1", { drop: 1 }),
    ];
    for (const call of calls) {
      const error = await raftError(call);
      expect(error.code).toBe("ERR_UNKNOWN_PEER");
      expect(error.message).toContain("p9");
    }
    await supervisor.propose(PUT);
  });

  it("rejects rules that are none, and quotes them", async () => {
    const { faults } = supervisor;
    expect(await raftError(faults.all({ drop: 1.5 }))).toMatchObject({ code: "ERR_INVALID_OPTION" });
    const misspelt = await raftError(faults.link("p1", "p2", { dorp: 1 } as never));
    expect(misspelt.code).toBe("ERR_INVALID_OPTION");
    expect(misspelt.message).toContain("dorp");
    const unsendable = await raftError(faults.all({ drop: () => 1 } as never));
    expect(unsendable.code).toBe("ERR_INVALID_OPTION");
    await supervisor.propose(PUT);
  });

  it("rejects commands and queries that cannot be encoded, and says where", async () => {
    for (const what of ["command", "query"] as const) {
      const bad = { op: "put", key: "k", value: { at: [1, () => 1] } };
      const error = await raftError(what === "command" ? supervisor.propose(bad) : supervisor.query(bad));
      expect(error).toMatchObject({ code: "ERR_INVALID_COMMAND", outcome: "not-applied" });
      expect(error.message).toContain(`${what}.value.at[1]`);
    }
  });

  it("rejects queries whose options make no sense, at once, and quotes them", async () => {
    const query = { op: "get", key: "k" } as const;
    const bad: [object, string, string][] = [
      [
        { consistency: "leese" },
        "ERR_INVALID_OPTION",
        "consistency: expected one of linearizable, lease, local, got 'leese'",
      ],
      [{ minIndex: Number.NaN }, "ERR_INVALID_OPTION", "minIndex: expected an index, 0 or more, got NaN"],
      [{ minIndex: "1" }, "ERR_INVALID_OPTION", "minIndex"],
      [{ via: ["p9"] }, "ERR_UNKNOWN_PEER", 'no peer is named "p9"'],
      [
        { timeoutMs: Number.NaN },
        "ERR_INVALID_OPTION",
        "timeoutMs: expected a number of milliseconds, 0 or more, got NaN",
      ],
      [{ timeoutMs: -1 }, "ERR_INVALID_OPTION", "timeoutMs"],
    ];
    const session = supervisor.session();
    const askers = [supervisor, supervisor.peer("p1"), session];
    for (const [options, code, quote] of bad) {
      for (const asker of askers) {
        const error = await raftError(asker.query(query, options));
        expect(error).toMatchObject({ code, outcome: "not-applied" });
        expect(error.message).toContain(quote);
      }
    }
  });

  it("rejects a command that is larger than the limit, and takes one that just fits", async () => {
    const put = (bytes: number) => supervisor.propose({ op: "put", key: "k", value: "x".repeat(bytes) });
    const error = await raftError(put(1_000));
    expect(error).toMatchObject({ code: "ERR_INVALID_COMMAND", outcome: "not-applied" });
    expect(error.message).toContain("1000");
    await put(950);
  });

  it("rejects what is more than may wait, takes more when that is answered, and loses nothing", async () => {
    const put = (at: number) => supervisor.propose({ op: "put", key: `many${at}`, value: "x".repeat(900) });
    const calls = await Promise.allSettled(Array.from({ length: 30 }, (_, at) => put(at)));
    const rejected = calls.flatMap((call, at) => (call.status === "rejected" ? [{ at, error: call.reason }] : []));
    expect(rejected.length).toBeGreaterThanOrEqual(18);
    expect(rejected.length).toBeLessThan(30);
    for (const { at, error } of rejected) {
      expect(error).toMatchObject({ code: "ERR_OVERLOADED", outcome: "not-applied" });
      expect(await supervisor.query({ op: "get", key: `many${at}` })).toBeUndefined();
    }
    await put(30);
    expect(await supervisor.query({ op: "keys", prefix: "many" })).toHaveLength(30 - rejected.length + 1);
  });

  it("rejects a call whose signal is aborted already, before anything is done", async () => {
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    const calls = [
      supervisor.propose({ op: "put", key: "aborted", value: 1 }, { signal }),
      supervisor.query({ op: "get", key: "k" }, { signal }),
      supervisor.leader({ signal }),
    ];
    for (const call of calls) {
      expect(await raftError(call)).toMatchObject({ code: "ERR_ABORTED", outcome: "not-applied", cause: reason });
    }
    expect(await supervisor.query({ op: "get", key: "aborted" })).toBeUndefined();
  });

  it("leaves the outcome of a command unknown that is aborted after it was handed over", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const { promise } = await strand(supervisor, PUT, { signal: controller.signal });
    controller.abort(reason);
    const error = await promise;
    expect(error).toMatchObject({ code: "ERR_UNKNOWN_OUTCOME", outcome: "unknown" });
    expect(error.cause).toMatchObject({ code: "ERR_ABORTED", cause: reason });
    await supervisor.faults.heal();
    await allFollow(supervisor);
    await supervisor.propose(PUT);
  });

  it("leaves the outcome of a command unknown that a leader without followers did not finish in time", async () => {
    const leader = await supervisor.leader();
    await supervisor.faults.isolate(leader.id);
    const error = await raftError(leader.propose(PUT, { timeoutMs: 100 }));
    // Unless it had noticed by then.
    if (error.code === "ERR_NOT_LEADER") expect(error.outcome).toBe("not-applied");
    else {
      expect(error).toMatchObject({ code: "ERR_UNKNOWN_OUTCOME", outcome: "unknown", cause: { code: "ERR_TIMEOUT" } });
    }
    await supervisor.faults.heal();
    await allFollow(supervisor);
    await supervisor.propose(PUT);
  });
});

describe("a cluster without a majority", () => {
  it("rejects commands when their time is up: nothing was appended", async () => {
    const supervisor = await startCluster({ restart: false });
    await Promise.all(supervisor.peers.map((peer) => peer.stop()));
    const error = await raftError(supervisor.propose(PUT, { timeoutMs: 50 }));
    expect(error).toMatchObject({ code: "ERR_NOT_LEADER", outcome: "not-applied" });
    expect(error.message).toContain("50 ms");
    await supervisor.peer("p1").start();
    const alone = await raftError(supervisor.propose(PUT, { timeoutMs: 400 }));
    expect(alone).toMatchObject({ code: "ERR_NOT_LEADER", outcome: "not-applied" });
    const query = await raftError(supervisor.query({ op: "get", key: "k" }, { timeoutMs: 50 }));
    expect(["ERR_NOT_LEADER", "ERR_TIMEOUT"]).toContain(query.code);
    // What needs no leader is answered all the same.
    expect(await supervisor.query({ op: "get", key: "k" }, { consistency: "local" })).toBeUndefined();
    const controller = new AbortController();
    const leader = raftError(supervisor.leader({ signal: controller.signal }));
    controller.abort();
    expect(await leader).toMatchObject({ code: "ERR_ABORTED" });
  });
});
