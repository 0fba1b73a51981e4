import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Supervisor } from "../../src/actors/supervisor.ts";
import {
  allUp,
  applied,
  Recorder,
  raftError,
  startCluster,
  startPatient,
  temporaryFolder,
} from "./fixtures/cluster.ts";

describe("a directory", () => {
  it("opens again after a stop with all that was acknowledged, and not for two at once", async () => {
    const directory = join(temporaryFolder(), "made", "if need be");
    const first = await startCluster({ directory });
    await allUp(first);
    expect(first.directory).toBe(directory);
    const { index } = await first.propose({ op: "put", key: "k", value: "v" });
    const error = await raftError(Supervisor.start({ directory }));
    expect(error.code).toBe("ERR_DIRECTORY_IN_USE");
    expect(error.message).toContain(directory);
    await first.stop();
    expect(existsSync(directory)).toBe(true);

    const second = await startCluster({ directory });
    expect(await second.query({ op: "get", key: "k" })).toBe("v");
    expect((await second.propose({ op: "put", key: "k", value: "w" })).index).toBeGreaterThan(index);
    await allUp(second);
    for (const peer of second.peers) expect((await peer.status()).incarnation).toBe(2);
  });

  it("refuses other peers than those that it was made for, and keeps nothing of the attempt", async () => {
    const directory = temporaryFolder();
    await (await Supervisor.start({ directory, peers: ["a", "b", "c"] })).stop();
    for (const peers of [3, ["a", "b"], ["a", "b", "d"]]) {
      const error = await raftError(Supervisor.start({ directory, peers }));
      expect(error.code).toBe("ERR_INVALID_OPTION");
      expect(error.message).toContain("peers");
    }
    const again = await startCluster({ directory, peers: ["a", "b", "c"] });
    expect(again.peers.map(({ id }) => id)).toEqual(["a", "b", "c"]);
  });

  it("with one store gone starts without that peer, who may not vote again under its name", async () => {
    const directory = temporaryFolder();
    const first = await startPatient({ directory });
    await allUp(first);
    const { index } = await first.propose({ op: "put", key: "k", value: 1 });
    await first.stop();
    rmSync(join(directory, "p2"), { recursive: true });

    const second = await startCluster({ directory });
    const recorder = new Recorder(second);
    expect(await second.query({ op: "get", key: "k" })).toBe(1);
    await applied(second.peer("p1"), index);
    await applied(second.peer("p3"), index);
    expect(await second.peer("p2").status()).toMatchObject({ state: "given-up", lastApplied: 0 });
    const error = await raftError(second.peer("p2").start());
    expect(error.code).toBe("ERR_STORAGE_LOST");
    expect(error.message).toContain("p2");
    expect((await recorder.wait("given-up")).error.code).toBe("ERR_STORAGE_LOST");
    await second.propose({ op: "put", key: "k", value: 2 });
  });

  it("with most stores gone does not start", async () => {
    const directory = temporaryFolder();
    const first = await startPatient({ directory });
    await allUp(first);
    await first.stop();
    rmSync(join(directory, "p1"), { recursive: true });
    rmSync(join(directory, "p2"), { recursive: true });
    expect(await raftError(Supervisor.start({ directory }))).toMatchObject({ code: "ERR_STORAGE_LOST" });
  });
});
