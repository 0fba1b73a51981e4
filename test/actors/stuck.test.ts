import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Supervisor } from "../../src/actors/supervisor.ts";
import { applied, PATIENT, Recorder, raftError, startCluster, temporaryFolder } from "./fixtures/cluster.ts";
import type { LoopingOptions } from "./fixtures/looping.ts";

/** Long for calls that take some microseconds. */
const stuckMs = 500;
const LOCAL = { consistency: "local" } as const;

/** Options for a cluster that loops in a method, and what puts an end to that. */
function looping(where: LoopingOptions["where"], peers: number) {
  const folder = temporaryFolder();
  const unless = join(folder, "enough");
  const machine = { module: new URL("./fixtures/looping.ts", import.meta.url), options: { where, unless } };
  const options = { peers, machine, stuckMs, directory: join(folder, "cluster"), verify: false } as const;
  return { options, end: () => writeFileSync(unless, "") };
}

/** The index that an error names. */
function entryIn(message: string): number {
  return Number(/applying the entry at index (\d+)/.exec(message)?.[1]);
}

describe("a state machine that never comes back", () => {
  it("from a command is ended, started again, and given up with an error that names the entry", async () => {
    const { options, end } = looping("apply", 1);
    const supervisor = await startCluster(options);
    const recorder = new Recorder(supervisor);
    const [peer] = supervisor.peers;
    if (peer === undefined) throw new Error("no peer");
    const { index } = await supervisor.propose("count");
    const lost = await raftError(supervisor.propose("loop"));
    expect(lost).toMatchObject({ code: "ERR_UNKNOWN_OUTCOME", cause: { code: "ERR_PEER_DOWN" } });
    const { error } = await recorder.wait("given-up");
    expect(error.code).toBe("ERR_GIVEN_UP");
    const named = entryIn(error.message);
    // An election may have put a no-op in between.
    expect(named).toBeGreaterThan(index);
    const crashes = recorder.all("crash");
    expect(crashes.map(({ requested, error: why }) => [requested, why?.code])).toEqual([
      [false, "ERR_MACHINE_STUCK"],
      [false, "ERR_MACHINE_STUCK"],
      [false, "ERR_MACHINE_STUCK"],
    ]);
    expect(entryIn(crashes[0]?.error?.message ?? "")).toBe(named);
    end();
    await peer.start();
    // Both commands, each once.
    expect(await supervisor.query("count", PATIENT)).toBe(2);
  });

  it("from a query is ended and started again each time, and the others go on", async () => {
    const { options } = looping("query", 3);
    const supervisor = await startCluster(options);
    const recorder = new Recorder(supervisor);
    const peer = supervisor.peer("p2");
    for (let time = 1; time <= 2; time++) {
      const { index } = await supervisor.propose("count", PATIENT);
      await applied(peer, index);
      expect((await raftError(peer.query("loop", { ...LOCAL, ...PATIENT }))).code).toBe("ERR_PEER_DOWN");
      const { error } = await recorder.wait("crash", () => true, time);
      expect(error).toMatchObject({ code: "ERR_MACHINE_STUCK", message: expect.stringContaining("a query") });
    }
    expect(await supervisor.query("count", PATIENT)).toBe(2);
    expect(recorder.all("given-up")).toEqual([]);
  });

  it("from a snapshot is ended and started again, with all it had", async () => {
    const { options, end } = looping("snapshot", 1);
    const supervisor = await startCluster(options);
    const recorder = new Recorder(supervisor);
    const peer = supervisor.peer("p1");
    const { index } = await supervisor.propose("count");
    expect((await raftError(peer.snapshot())).code).toBe("ERR_PEER_DOWN");
    const { error } = await recorder.wait("crash");
    expect(error).toMatchObject({
      code: "ERR_MACHINE_STUCK",
      message: expect.stringMatching(/taking a snapshot of the state after entry \d+/),
    });
    end();
    expect(await supervisor.query("count", PATIENT)).toBe(1);
    expect(await peer.snapshot()).toBeGreaterThanOrEqual(index);
  });

  it("from a restore is given up with an error that names the snapshot", async () => {
    const { options, end } = looping("restore", 1);
    const first = await startCluster(options);
    await first.propose("count");
    const index = await first.peer("p1").snapshot();
    await first.stop();
    expect(await raftError(Supervisor.start(options))).toMatchObject({
      code: "ERR_GIVEN_UP",
      message: expect.stringContaining(`restoring the snapshot of entry ${index}`),
    });
    end();
    const again = await startCluster(options);
    expect(await again.query("count")).toBe(1);
  });
});
