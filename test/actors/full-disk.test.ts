import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Peer } from "../../src/actors/peer-handle.ts";
import { Supervisor } from "../../src/actors/supervisor.ts";
import { until } from "../soak/load.ts";
import {
  allFollow,
  allUp,
  applied,
  othersOf,
  PATIENT,
  Recorder,
  raftError,
  startCluster,
  temporaryFolder,
} from "./fixtures/cluster.ts";
import { SmallDisk, whyNoSmallDisk } from "./fixtures/small-disk.ts";

const PEERS = ["p1", "p2", "p3"];
/** Fewer exits than a full disk causes here, so that counting them would show. */
const POLICY = { intensity: 2, periodMs: 600_000, backoffMs: [5, 20] } as const;
const LOCAL = { consistency: "local" } as const;

function disksFor(directory: string, megabytes: number): Map<string, SmallDisk> {
  return new Map(PEERS.map((id) => [id, new SmallDisk(join(directory, id), megabytes)]));
}

function diskOf(disks: ReadonlyMap<string, SmallDisk>, id: string): SmallDisk {
  const disk = disks.get(id);
  if (disk === undefined) throw new Error(`no disk for ${id}`);
  return disk;
}

/**
 * Appends 16 KiB to the log again and again, until `isEnough`. What a leader was handed and could not write may be
 * applied or not, and says so.
 */
async function fillLog(supervisor: Supervisor, acknowledged: string[], isEnough: () => boolean): Promise<void> {
  while (!isEnough()) {
    const key = `k${fills++}`;
    const proposal = supervisor.propose({ op: "put", key, value: "x".repeat(16_384) }, PATIENT);
    await proposal.then(
      () => acknowledged.push(key),
      (error) => expect(error).toMatchObject({ code: "ERR_UNKNOWN_OUTCOME", cause: { code: "ERR_PEER_DOWN" } }),
    );
  }
}
let fills = 0;

async function holds(peer: Peer, keys: readonly string[]): Promise<void> {
  const there = await peer.query<string[]>({ op: "keys", prefix: "k" }, LOCAL);
  expect(keys.filter((key) => !there.includes(key))).toEqual([]);
}

const why = whyNoSmallDisk();

describe.skipIf(why !== undefined)(`a full disk${why === undefined ? "" : ` (skipped: ${why})`}`, () => {
  it("stops its peer while it appends, whoever leads goes on, and the peer comes back when there is room", async () => {
    const directory = join(temporaryFolder(), "cluster");
    const disks = disksFor(directory, 24);
    const supervisor = await startCluster({ directory, restart: POLICY, snapshotEvery: 0 });
    const recorder = new Recorder(supervisor);
    const acknowledged: string[] = [];
    await allUp(supervisor);
    for (const peer of supervisor.peers) {
      const disk = diskOf(disks, peer.id);
      disk.fill(100_000);
      const isTold = () => recorder.all("disk-full", (event) => event.peer === peer.id).length > 0;
      await fillLog(supervisor, acknowledged, isTold);
      const { error } = await recorder.wait("disk-full", (event) => event.peer === peer.id);
      expect(error).toMatchObject({ code: "ERR_STORAGE_FULL", message: expect.stringContaining("no space") });
      expect(await peer.status()).toMatchObject({ state: "down", role: "follower" });
      // The others have a leader among them, and take commands.
      const { index } = await supervisor.propose({ op: "put", key: "others", value: peer.id }, PATIENT);
      // More tries than the policy would bear.
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(recorder.all("given-up")).toEqual([]);
      expect((await peer.status()).state).toBe("down");
      disk.free();
      await applied(peer, index);
      await holds(peer, acknowledged);
    }
  });

  it("takes the leadership from the leader", async () => {
    const directory = join(temporaryFolder(), "cluster");
    const disks = disksFor(directory, 16);
    const supervisor = await startCluster({ directory, restart: POLICY, snapshotEvery: 0 });
    const recorder = new Recorder(supervisor);
    const leader = await allFollow(supervisor);
    const { currentTerm } = await leader.status();
    diskOf(disks, leader.id).fill(100_000);
    const acknowledged: string[] = [];
    await fillLog(supervisor, acknowledged, () => recorder.all("disk-full").length > 0);
    expect(recorder.all("disk-full").map(({ peer }) => peer)).toEqual([leader.id]);
    const { term, index } = await supervisor.propose({ op: "put", key: "after", value: 1 }, PATIENT);
    expect(term).toBeGreaterThan(currentTerm);
    for (const peer of othersOf(supervisor, leader)) {
      await applied(peer, index);
      await holds(peer, acknowledged);
    }
    diskOf(disks, leader.id).free();
    await applied(leader, index);
    await holds(leader, acknowledged);
  });

  it("stops its peer while it takes a snapshot, under each peer in turn, and the peer comes back", async () => {
    const directory = join(temporaryFolder(), "cluster");
    const disks = disksFor(directory, 24);
    const supervisor = await startCluster({ directory, restart: POLICY, snapshotEvery: 0 });
    const recorder = new Recorder(supervisor);
    const acknowledged: string[] = [];
    await fillLog(supervisor, acknowledged, () => acknowledged.length >= 100);
    for (const peer of supervisor.peers) {
      const { index } = await supervisor.propose({ op: "put", key: "turn", value: peer.id }, PATIENT);
      await allUp(supervisor);
      await applied(peer, index);
      diskOf(disks, peer.id).fill(300_000);
      expect((await raftError(peer.snapshot())).code).toBe("ERR_PEER_DOWN");
      await recorder.wait("disk-full", (event) => event.peer === peer.id);
      const after = await supervisor.propose({ op: "put", key: "turn", value: "after" }, PATIENT);
      diskOf(disks, peer.id).free();
      await applied(peer, after.index);
      await holds(peer, acknowledged);
      // The half of a snapshot that was left over is in nobody's way.
      expect(await peer.snapshot()).toBeGreaterThanOrEqual(index);
    }
  });

  it("keeps a cluster from starting when it is under a majority, until there is room", async () => {
    const directory = join(temporaryFolder(), "cluster");
    const disks = disksFor(directory, 12);
    const first = await startCluster({ directory, restart: POLICY });
    const { index } = await first.propose({ op: "put", key: "k", value: 1 });
    for (const peer of first.peers) await applied(peer, index);
    await first.stop();
    for (const id of ["p1", "p2"]) diskOf(disks, id).fill();
    for (const verify of ["full", false] as const) {
      expect((await raftError(Supervisor.start({ directory, restart: POLICY, verify }))).code).toBe("ERR_STORAGE_FULL");
    }
    diskOf(disks, "p2").free();
    const supervisor = await startCluster({ directory, restart: POLICY });
    expect(await supervisor.query({ op: "get", key: "k" })).toBe(1);
    diskOf(disks, "p1").free();
    await until("p1 is up", async () => (await supervisor.peer("p1").status()).state === "up");
  });
});
