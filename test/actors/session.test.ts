import { describe, expect, it } from "vitest";
import type { Supervisor } from "../../src/actors/supervisor.ts";
import { RaftError } from "../../src/raft/errors.ts";
import { allFollow, allUp, PATIENT, raftError, startCluster } from "./fixtures/cluster.ts";

const append = (value: string) => ({ op: "append", key: "k", value });

async function text(supervisor: Supervisor): Promise<unknown> {
  return supervisor.query({ op: "get", key: "k" });
}

/** "0 1 2 ..." */
function numbers(count: number): string {
  return Array.from({ length: count }, (_, at) => `${at} `).join("");
}

describe("a session", () => {
  it("carries out what was proposed without waiting in its order", async () => {
    const supervisor = await startCluster();
    const session = supervisor.session();
    const results = await Promise.all(
      Array.from({ length: 2_000 }, (_, at) => session.propose(append(`${at} `), PATIENT)),
    );
    expect(await text(supervisor)).toBe(numbers(2_000));
    expect(results.map(({ result }) => result)).toEqual(
      [...results].map(({ result }) => result).sort((a, b) => Number(a) - Number(b)),
    );
    expect(session.lastSeen).toBe(results.at(-1)?.index);
  });

  it("gets each command through once while leaders are killed under it", async () => {
    const supervisor = await startCluster({ snapshotEvery: 50, restart: { intensity: 1_000, backoffMs: [1, 10] } });
    const session = supervisor.session();
    let isDone = false;
    const killing = (async () => {
      for (let kills = 0; kills < 4; kills++) {
        const leader = await supervisor.leader();
        await leader.crash();
        await allUp(supervisor);
      }
      isDone = true;
    })();
    let count = 0;
    while (!isDone) {
      await Promise.all(Array.from({ length: 20 }, () => session.propose(append(`${count++} `), PATIENT)));
    }
    await killing;
    expect(await text(supervisor)).toBe(numbers(count));
  });

  it("gets each command through once over a network that loses a fifth of the requests and of the answers, and delays the others", async () => {
    const supervisor = await startCluster();
    await supervisor.faults.client("c", { drop: 0.2, delayMs: [0, 5] });
    const session = supervisor.session({ client: "c" });
    await Promise.all(Array.from({ length: 12 }, (_, at) => session.propose(append(`${at} `), PATIENT)));
    expect(await text(supervisor)).toBe(numbers(12));
    const asked = Array.from({ length: 5 }, () => session.query({ op: "get", key: "k" }, PATIENT));
    expect(new Set(await Promise.all(asked))).toEqual(new Set([numbers(12)]));
  });

  it("takes a command from an isolated leader to the next", async () => {
    const supervisor = await startCluster();
    const session = supervisor.session();
    await session.propose(append("0 "), PATIENT);
    const leader = await allFollow(supervisor);
    await supervisor.faults.isolate(leader.id);
    await session.propose(append("1 "), PATIENT);
    await supervisor.faults.heal();
    expect(await text(supervisor)).toBe(numbers(2));
  });

  it("says that it does not know when nobody answers in time, and goes on afterwards", async () => {
    const supervisor = await startCluster();
    const session = supervisor.session();
    await session.propose(append("0 "), PATIENT);
    await allFollow(supervisor);
    await supervisor.faults.partition(...supervisor.peers.map(({ id }) => [id]));
    const error = await raftError(session.propose(append("1 "), { timeoutMs: 1 }));
    expect(error.outcome === "unknown" ? error.code : "ERR_UNKNOWN_OUTCOME").toBe("ERR_UNKNOWN_OUTCOME");
    await supervisor.faults.heal();
    await session.propose(append("2 "), PATIENT);
    expect(["0 2 ", "0 1 2 "]).toContain(await text(supervisor));
  });

  it("settles everything when the supervisor stops", async () => {
    const supervisor = await startCluster();
    await supervisor.faults.partition(...supervisor.peers.map(({ id }) => [id]));
    const session = supervisor.session();
    const calls = Array.from({ length: 2_000 }, () => raftError(session.propose(append("x"), PATIENT)));
    await supervisor.stop();
    const codes = new Set((await Promise.all(calls)).map(({ code }) => code));
    expect([...codes].filter((code) => code !== "ERR_STOPPED" && code !== "ERR_UNKNOWN_OUTCOME")).toEqual([]);
  });

  it("hands the machine's own refusal through, once", async () => {
    const supervisor = await startCluster({ peers: 1 });
    const session = supervisor.session();
    await session.propose({ op: "put", key: "n", value: 1 }, PATIENT);
    const error = await raftError(session.propose({ op: "append", key: "n", value: "x" }, PATIENT));
    expect([error.code, error.outcome]).toEqual(["ERR_MACHINE_THREW", "applied"]);
  });

  it("finds another session when its own has expired", async () => {
    const supervisor = await startCluster({ peers: 1 });
    const session = supervisor.session({ expireMs: 1 });
    for (let at = 0; at < 5; at++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      const error = await session.propose(append(`${at} `), PATIENT).catch((reason: unknown) => reason);
      // It may expire between the entry that opens it and the first command.
      if (error instanceof RaftError)
        expect([error.code, error.outcome]).toEqual(["ERR_SESSION_EXPIRED", "not-applied"]);
    }
  });

  it("reads what it has written, from any peer", async () => {
    const supervisor = await startCluster();
    for (const { id } of supervisor.peers) {
      const writer = supervisor.session();
      const { index } = await writer.propose(append("x"), PATIENT);
      const reader = supervisor.peer(id);
      const options = { consistency: "local", minIndex: index } as const;
      const value = await reader.query<string>({ op: "get", key: "k" }, { ...PATIENT, ...options });
      expect(value).toBe(await text(supervisor));
    }
  });

  it("is refused options that make no sense", async () => {
    const supervisor = await startCluster({ peers: 1 });
    expect(() => supervisor.session({ expireMs: 0 })).toThrow("expireMs: expected a number of milliseconds");
    expect(() => supervisor.session({ via: ["p9"] })).toThrow("no peer is named");
    expect(() => supervisor.session({ via: [] })).toThrow("via: expected the names of one peer or more, got []");
    expect(() => supervisor.session({ via: "p1" as never })).toThrow("via: expected the names of one peer or more");
    expect(() => supervisor.session({ client: 5 as never })).toThrow("client: expected a name, got 5");
    const error = await raftError(supervisor.query({ op: "size" }, { via: [] }));
    expect(error).toMatchObject({ code: "ERR_INVALID_OPTION", outcome: "not-applied" });
  });
});
