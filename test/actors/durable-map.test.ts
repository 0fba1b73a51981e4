import { describe, expect, it } from "vitest";
import type { SupervisorOptions } from "../../src/actors/options.ts";
import type { Supervisor } from "../../src/actors/supervisor.ts";
import { durableKeyValueMap } from "../../src/machine/durable-key-value.ts";
import { sleep, until } from "../soak/load.ts";
import { allUp, PATIENT, Recorder, startCluster, startPatient, temporaryFolder } from "./fixtures/cluster.ts";

const durable = (options: SupervisorOptions = {}): SupervisorOptions => ({ machine: durableKeyValueMap, ...options });
const put = (key: string, value: unknown) => ({ op: "put", key, value });

/** Waits until all peers have applied the same, and gives the state of each. */
async function digests(supervisor: Supervisor): Promise<unknown[]> {
  await until("all peers have applied the same", async () => {
    const statuses = await Promise.all(supervisor.peers.map((peer) => peer.status()));
    return statuses.every(
      ({ lastApplied, commitIndex }) => lastApplied === statuses[0]?.commitIndex && lastApplied === commitIndex,
    );
  });
  return Promise.all(
    supervisor.peers.map((peer) => peer.query({ op: "digest" }, { consistency: "local", ...PATIENT })),
  );
}

describe("a cluster with a durable state machine", () => {
  it("has a peer's state at once when the peer starts again, and applies nothing of it anew", async () => {
    const supervisor = await startCluster(durable({ trace: "applied", restart: false, snapshotEvery: 0 }));
    const leader = await supervisor.leader();
    const follower = supervisor.peers.find(({ id }) => id !== leader.id);
    if (follower === undefined) throw new Error("there are peers");
    await Promise.all(Array.from({ length: 500 }, (_, at) => supervisor.propose(put(`k${at % 50}`, at), PATIENT)));
    const { commitIndex } = await leader.status();
    await until("the follower has applied all", async () => (await follower.status()).lastApplied >= commitIndex);
    // As long as no write comes, the state is saved for its own sake.
    await sleep(500);
    await follower.crash();
    const recorder = new Recorder(supervisor);
    await follower.start();
    await supervisor.propose(put("last", 1), PATIENT);
    const first = await recorder.wait("applied", ({ peer, incarnation }) => peer === follower.id && incarnation === 2);
    expect(first.entries[0]?.index).toBeGreaterThan(commitIndex);
    expect(new Set(await digests(supervisor)).size).toBe(1);
  });

  it("loses and doubles nothing while peers are killed and snapshots are taken, sent and installed", async () => {
    const supervisor = await startCluster(
      durable({ snapshotEvery: 60, restart: { intensity: 1_000, backoffMs: [1, 10] } }),
    );
    const session = supervisor.session();
    let isDone = false;
    const killing = (async () => {
      for (let kills = 0; kills < 6; kills++) {
        const leader = await supervisor.leader();
        const victim = kills % 2 === 0 ? leader : supervisor.peers.find(({ id }) => id !== leader.id);
        await victim?.crash();
        await sleep(100);
        await allUp(supervisor);
      }
      isDone = true;
    })();
    let count = 0;
    while (!isDone) {
      const commands = Array.from({ length: 20 }, () => ({ op: "append", key: "k", value: `${count++} ` }));
      await Promise.all(commands.map((command) => session.propose(command, PATIENT)));
    }
    await killing;
    const expected = Array.from({ length: count }, (_, at) => `${at} `).join("");
    expect(await supervisor.query({ op: "get", key: "k" })).toBe(expected);
    expect(new Set(await digests(supervisor)).size).toBe(1);
  });

  it("brings a peer up that missed what the others have compacted, with sessions and all", async () => {
    const supervisor = await startCluster(durable({ snapshotEvery: 50, restart: false }));
    const leader = await supervisor.leader();
    const late = supervisor.peers.find(({ id }) => id !== leader.id);
    const session = supervisor.session();
    await session.propose(put("a", 1), PATIENT);
    await late?.crash();
    for (let at = 0; at < 20; at++) {
      await Promise.all(
        Array.from({ length: 20 }, (_, n) => session.propose(put(`k${at}/${n}`, "v".repeat(100)), PATIENT)),
      );
    }
    await until("the leader has compacted its log", async () => (await leader.status()).firstIndex > 100);
    const recorder = new Recorder(supervisor);
    await late?.start();
    await recorder.wait("snapshot", ({ peer, installed }) => peer === late?.id && installed);
    expect(new Set(await digests(supervisor)).size).toBe(1);
    // The peer that was late is the only one beside another, and so has to lead or to agree.
    await leader.crash();
    await session.propose(put("z", 1), PATIENT);
    expect(await supervisor.query({ op: "size" }, PATIENT)).toBe(402);
  });

  it("is opened again from its directory with all that was acknowledged", async () => {
    const directory = temporaryFolder();
    const first = await startPatient(durable({ directory }));
    await Promise.all(Array.from({ length: 300 }, (_, at) => first.propose(put(`k${at}`, at), PATIENT)));
    await first.stop();
    const second = await startCluster(durable({ directory, trace: "applied" }));
    expect(await second.query({ op: "size" })).toBe(300);
    expect(await second.query({ op: "get", key: "k299" })).toBe(299);
    await second.propose({ op: "delete", key: "k0" });
    expect(await second.query({ op: "size" })).toBe(299);
  });

  it("does not take the state of a machine in memory for its own", async () => {
    const directory = temporaryFolder();
    const machine = new URL("./fixtures/former-map.ts", import.meta.url);
    const first = await startPatient({ directory, machine });
    await first.propose(put("k", 1));
    await Promise.all(first.peers.map((peer) => peer.snapshot()));
    await first.stop();
    await expect(startCluster(durable({ directory, restart: false }))).rejects.toThrow(
      "it is not that of a durable state machine",
    );
  });
});
