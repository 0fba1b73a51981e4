import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Cluster } from "./cluster.ts";
import { Ghost } from "./ghost.ts";
import { COUNTS, Schedule } from "./schedule.ts";

describe("Figure 3: the properties that hold at every step, whatever happens", () => {
  it.each([
    { size: 3, runs: 300 },
    { size: 4, runs: 100 },
    { size: 5, runs: 200 },
  ])(
    "$size peers keep them over $runs schedules of faults, and agree again when the faults end",
    ({ size, runs }) => {
      const sums = { ...COUNTS };
      fc.assert(
        fc.property(
          fc.array(fc.noBias(fc.nat(2 ** 30)), { minLength: 200, maxLength: 600, size: "max" }),
          (numbers) => {
            const schedule = new Schedule(size);
            for (const number of numbers) schedule.step(number);
            schedule.settle();
            for (const [name, count] of Object.entries(schedule.totals)) sums[name as keyof typeof COUNTS] += count;
          },
        ),
        // The limit bounds the search for a smaller schedule after a failure.
        { numRuns: runs, seed: size, interruptAfterTimeLimit: 100_000 },
      );
      // Else the schedules would not be what they are meant to be.
      const { snapshotsPutOut, ...frequent } = sums;
      expect(snapshotsPutOut).toBeGreaterThan(0);
      for (const [name, sum] of Object.entries(frequent)) expect(sum, name).toBeGreaterThan(runs / 2);
    },
    120_000,
  );

  it("the same schedule gives the same history", () => {
    const numbers = Array.from({ length: 500 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 2);
    const histories = [1, 2].map(() => {
      const schedule = new Schedule(3);
      for (const number of numbers) schedule.step(number);
      schedule.settle();
      return { committed: schedule.ghost.committed, now: schedule.cluster.now, totals: schedule.totals };
    });
    expect(histories[0]).toEqual(histories[1]);
  });

  it("a quiet cluster elects one leader and keeps it", () => {
    const ghost = new Ghost();
    const cluster: Cluster = Cluster.of(5, {}, (peer) => ghost.watch(cluster, peer));
    cluster.run(10_000);
    expect(ghost.leaders.size).toBe(1);
    expect(cluster.running.map((peer) => peer.raft.leader)).toEqual(Array(5).fill(cluster.leader?.id));
    expect(ghost.committed.length).toBe(2);
  });

  it("one that was cut off for long does not depose the leader when it is back", () => {
    const ghost = new Ghost();
    const cluster: Cluster = Cluster.of(3, {}, (peer) => ghost.watch(cluster, peer));
    cluster.run(1_000);
    const { leader } = cluster;
    const lost = cluster.running.find((peer) => peer !== leader);
    const rest = cluster.running.filter((peer) => peer !== lost).map((peer) => peer.id);
    cluster.partition(rest, [lost?.id ?? ""]);
    cluster.run(10_000);
    cluster.heal();
    cluster.run(1_000);
    expect(ghost.leaders.size).toBe(1);
    expect(lost?.facts).toMatchObject({ role: "follower", leader: leader?.id });
  });

  it("one that hears nobody but is heard does not depose the leader either", () => {
    const ghost = new Ghost();
    const cluster: Cluster = Cluster.of(3, {}, (peer) => ghost.watch(cluster, peer));
    cluster.run(1_000);
    const deaf = cluster.running.find((peer) => peer !== cluster.leader)?.id ?? "";
    for (const id of cluster.peers.keys()) cluster.blocked.add(`${id}>${deaf}`);
    cluster.run(10_000);
    expect(ghost.leaders.size).toBe(1);
  });

  it("a partial mesh with one fully connected majority settles on a leader", () => {
    const ghost = new Ghost();
    const cluster: Cluster = Cluster.of(5, {}, (peer) => ghost.watch(cluster, peer));
    cluster.run(1_000);
    // a, b and c reach each other; d reaches only b, e only c.
    for (const link of ["ad", "cd", "de", "ae", "be"]) {
      const [from, to] = [...link];
      cluster.blocked.add(`${from}>${to}`).add(`${to}>${from}`);
    }
    cluster.run(2_000);
    const before = ghost.leaders.size;
    cluster.run(10_000);
    expect(ghost.leaders.size).toBe(before);
    expect(["a", "b", "c"]).toContain(cluster.leader?.id);
  });

  it("when the leader's death is news, its successor leads within a few milliseconds", () => {
    const cluster = Cluster.of(3);
    cluster.run(1_000);
    const dead = cluster.leader;
    cluster.crash(dead?.id ?? "");
    for (const peer of cluster.running) {
      cluster.act(peer, ({ raft, now }) => raft.peerDied(dead?.id ?? "", 1, now));
    }
    cluster.run(30);
    expect(cluster.leader).toBeDefined();
    expect(cluster.leader?.id).not.toBe(dead?.id);
  });
});
