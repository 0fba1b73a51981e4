import { existsSync, renameSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { rebuildPeers } from "../../src/actors/rebuild.ts";
import { inspectStore } from "../../src/storage/inspect-store.ts";
import { allUp, applied, PATIENT, Recorder, raftError, startCluster, temporaryFolder } from "./fixtures/cluster.ts";

const LOCAL = { consistency: "local" } as const;

/**
 * A cluster that was stopped when p3 was behind, p1 and p2 had acknowledged two commands, and the terms had moved on.
 */
async function stoppedCluster(): Promise<string> {
  const directory = join(temporaryFolder(), "cluster");
  const supervisor = await startCluster({ directory, restart: false });
  await allUp(supervisor);
  await supervisor.propose({ op: "append", key: "k", value: "1 " }, PATIENT);
  await supervisor.peer("p3").stop();
  await supervisor.propose({ op: "append", key: "k", value: "2 " }, PATIENT);
  await supervisor.stop();
  return directory;
}

describe("a peer that has lost its store", () => {
  it("is rebuilt from the peer that knows most, and takes part again", async () => {
    const directory = await stoppedCluster();
    rmSync(join(directory, "p1"), { recursive: true });
    const [p2, p3] = await Promise.all(["p2", "p3"].map((id) => inspectStore(join(directory, id))));
    const [rebuilt] = await rebuildPeers(directory, ["p1"]);
    const lastIndex = p2?.log?.lastIndex ?? 0;
    expect(lastIndex).toBeGreaterThan(p3?.log?.lastIndex ?? 0);
    expect(rebuilt).toMatchObject({ peer: "p1", from: "p2", lastIndex, aside: undefined });

    // It has all entries that were acknowledged, and a term in which neither it nor anybody has voted.
    const { hardState, problems } = await inspectStore(join(directory, "p1"));
    const terms = [p2, p3].map((report) => report?.hardState?.currentTerm ?? 0);
    expect(hardState).toEqual({ currentTerm: Math.max(...terms) + 1, votedFor: undefined });
    expect(problems).toEqual([]);

    const supervisor = await startCluster({ directory });
    const recorder = new Recorder(supervisor);
    // With p3, which lacks the second command, and without p2, which has it: nothing may be lost.
    await supervisor.peer("p2").stop();
    const { index } = await supervisor.propose({ op: "append", key: "k", value: "3 " }, PATIENT);
    for (const id of ["p1", "p3"]) {
      await applied(supervisor.peer(id), index);
      expect(await supervisor.peer(id).query({ op: "get", key: "k" }, LOCAL)).toBe("1 2 3 ");
    }
    await supervisor.peer("p2").start();
    await applied(supervisor.peer("p2"), index);
    expect(recorder.all("given-up")).toEqual([]);
  });

  it("does not come back with the old store afterwards", async () => {
    const directory = await stoppedCluster();
    truncateSync(join(directory, "p1", "data.mdb"), 20_000);
    const [rebuilt] = await rebuildPeers(directory, ["p1"]);
    const aside = rebuilt?.aside ?? "";
    expect(existsSync(join(aside, "data.mdb"))).toBe(true);
    const [again] = await rebuildPeers(directory, ["p1"]);
    // What was rebuilt first is sound, but another's since it was rebuilt once more.
    rmSync(join(directory, "p1"), { recursive: true });
    renameSync(again?.aside ?? "", join(directory, "p1"));
    const supervisor = await startCluster({ directory });
    expect((await raftError(supervisor.peer("p1").start())).code).toBe("ERR_STORAGE_LOST");
  });

  it("is not rebuilt when that would not be safe, and then nothing is changed", async () => {
    const directory = await stoppedCluster();
    expect(await raftError(rebuildPeers(directory, ["p1", "p2"]))).toMatchObject({
      code: "ERR_INVALID_OPTION",
      message: expect.stringContaining("2 of 3"),
    });
    expect((await raftError(rebuildPeers(directory, ["p4"]))).message).toContain('"p4"');
    const running = await startCluster({ directory });
    expect((await raftError(rebuildPeers(directory, ["p1"]))).code).toBe("ERR_DIRECTORY_IN_USE");
    await running.stop();
    // Another one that is damaged too might be the only one that has what p1 had.
    truncateSync(join(directory, "p2", "data.mdb"), 20_000);
    expect(await raftError(rebuildPeers(directory, ["p1"]))).toMatchObject({
      code: "ERR_STORAGE_CORRUPT",
      message: expect.stringContaining("p2"),
    });
    expect((await inspectStore(join(directory, "p1"))).problems).toEqual([]);
  });
});
