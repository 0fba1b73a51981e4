import { closeSync, existsSync, openSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import {
  allFollow,
  applied,
  othersOf,
  PATIENT,
  Recorder,
  raftError,
  startCluster,
  temporaryFolder,
} from "./fixtures/cluster.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const DESCRIPTORS = "/proc/self/fd";

/**
 * Makes every write to the file fail that is open here now, as a broken disk does: puts a descriptor that only reads in
 * the place of each that LMDB has. Whoever opens the file again finds it in order.
 */
function breakWrites(file: string): void {
  for (const name of readdirSync(DESCRIPTORS)) {
    const descriptor = Number(name);
    if (targetOf(name) !== file) continue;
    closeSync(descriptor);
    const opened = [openSync(file, "r")];
    // The lowest free number is given first. Nobody else opens files while a cluster has nothing to do.
    while ((opened.at(-1) ?? descriptor) < descriptor) opened.push(openSync(file, "r"));
    expect(opened.pop()).toBe(descriptor);
    for (const spare of opened) closeSync(spare);
  }
}

/** Undefined for the descriptor by which the folder was read, which is closed by now. */
function targetOf(name: string): string | undefined {
  try {
    return readlinkSync(join(DESCRIPTORS, name));
  } catch {
    return undefined;
  }
}

// What is large goes past the journal.
describe.skipIf(!existsSync(DESCRIPTORS)).each([
  ["journal", "2 "],
  ["data.mdb", `${"x".repeat(200_000)} `],
])("a write to the file %s that fails", (file, second) => {
  it("ends its peer, which comes back from what is on disk; the others go on, and nothing is lost", async () => {
    const directory = join(temporaryFolder(), "cluster");
    const supervisor = await startCluster({ directory });
    const recorder = new Recorder(supervisor);
    const leader = await allFollow(supervisor);
    const [follower] = othersOf(supervisor, leader);
    if (follower === undefined) throw new Error("no follower");
    await supervisor.propose({ op: "append", key: "k", value: "1 " }, PATIENT);
    const { votedFor, currentTerm } = await follower.status();
    breakWrites(join(directory, follower.id, file));
    const { index } = await supervisor.propose({ op: "append", key: "k", value: second }, PATIENT);
    const { error, requested } = await recorder.wait("crash", ({ peer }) => peer === follower.id);
    expect([requested, error?.code, error?.outcome]).toEqual([false, "ERR_STORAGE_FAILED", "unknown"]);
    expect(error?.message).toContain("cannot be written");
    await applied(follower, index);
    expect(await follower.query({ op: "get", key: "k" }, { consistency: "local" })).toBe(`1 ${second}`);
    const after = await follower.status();
    // On a busy machine there may have been an election meanwhile; but no term has two votes.
    expect(after.currentTerm).toBeGreaterThanOrEqual(currentTerm);
    if (after.currentTerm === currentTerm) expect(after.votedFor).toBe(votedFor);
    expect(after.incarnation).toBe(2);
    expect(recorder.all("crash")).toHaveLength(1);
  });

  it("takes the leadership from a leader, and leaves what it was to write with an unknown outcome", async () => {
    const directory = join(temporaryFolder(), "cluster");
    const supervisor = await startCluster({ directory });
    const recorder = new Recorder(supervisor);
    const leader = await allFollow(supervisor);
    const { currentTerm } = await leader.status();
    await supervisor.propose({ op: "append", key: "k", value: "1 " }, PATIENT);
    breakWrites(join(directory, leader.id, file));
    const lost = await raftError(leader.propose({ op: "append", key: "k", value: second }, PATIENT));
    expect(lost).toMatchObject({ code: "ERR_UNKNOWN_OUTCOME", outcome: "unknown", cause: { code: "ERR_PEER_DOWN" } });
    expect((await recorder.wait("crash")).error?.code).toBe("ERR_STORAGE_FAILED");
    const { index, term } = await supervisor.propose({ op: "append", key: "k", value: "3 " }, PATIENT);
    expect(term).toBeGreaterThan(currentTerm);
    const values = await Promise.all(
      supervisor.peers.map(async (peer) => {
        await applied(peer, index);
        return peer.query({ op: "get", key: "k" }, { consistency: "local" });
      }),
    );
    // The entry was sent to the others before the leader failed to write it, so it may have come through: once, or not.
    expect(new Set(values).size).toBe(1);
    expect(["1 3 ", `1 ${second}3 `]).toContain(values[0]);
  });
});
