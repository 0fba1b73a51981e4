import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Cluster, type CrashPoint, type Envelope } from "./cluster.ts";
import { pack } from "./entries.ts";
import { Ghost } from "./ghost.ts";
import type { Peer } from "./harness.ts";

const SHORT_MS = [20, 40] as const;

/** Of snapshots that take about 50 bytes. */
const CHUNK_BYTES = [10, 20, 30, 200] as const;

/** What the schedules made happen. */
const COUNTS = {
  elections: 0,
  commits: 0,
  truncations: 0,
  readsReleased: 0,
  readsRefused: 0,
  crashes: 0,
  crashesBeforeSave: 0,
  crashesAfterSave: 0,
  oldMessages: 0,
  snapshots: 0,
  installs: 0,
  compactions: 0,
  snapshotsPutOut: 0,
  crashesInSnapshots: 0,
};

/** A cluster at the mercy of a list of numbers: each says what happens next. */
class Schedule {
  readonly ghost = new Ghost();
  readonly cluster: Cluster;
  readonly counts = { ...COUNTS };
  /** Messages that were on the wire once, and may come again at any time. */
  readonly #past: Envelope[] = [];
  #proposed = 0;

  constructor(size: number) {
    // All limits are small, so that they are met, and elections frequent.
    const limits = {
      heartbeatMs: 5,
      electionMs: SHORT_MS,
      maxMessageBytes: 200,
      maxInflightMessages: 3,
      maxInflightBytes: 500,
      cacheBytes: 150,
      snapshotTail: 1,
      snapshotTailMax: 3,
    };
    this.cluster = Cluster.of(size, limits, (peer) => this.ghost.watch(this.cluster, peer));
  }

  #pick<T>(items: readonly T[], choice: number): T | undefined {
    return items[choice % items.length];
  }

  #leader(choice: number): Peer | undefined {
    const leaders = this.cluster.running.filter((peer) => peer.raft.role === "leader");
    return this.#pick(leaders, choice);
  }

  #crashed(point: CrashPoint, id: string): void {
    this.counts.crashes++;
    if (point === "before save") this.counts.crashesBeforeSave++;
    if (point === "after save") this.counts.crashesAfterSave++;
    this.cluster.crash(id);
  }

  step(number: number): void {
    const { cluster } = this;
    const { wire } = cluster;
    const kind = number % 120;
    const choice = Math.floor(number / 120);
    const ids = [...cluster.peers.keys()];
    const some = this.#pick(ids, choice) ?? "";
    const leader = this.#leader(choice);
    const at = wire.length === 0 ? 0 : choice % wire.length;
    const envelope = wire[at];
    if (envelope !== undefined) this.#past[choice % 50] = envelope;

    if (kind < 30) cluster.run(1 + (choice % 8));
    else if (kind < 38) cluster.pass(1 + (choice % 30));
    else if (kind < 44) cluster.deliver(at);
    else if (kind < 47) cluster.drain(envelope?.to ?? some);
    else if (kind < 51) cluster.wire.splice(at, 1);
    else if (kind < 54) this.#repeat(this.#pick(this.#past, choice));
    else if (kind < 68) this.#propose(leader, 1 + (choice % 4));
    else if (kind < 74) this.#read(leader);
    else if (kind < 76) this.#crash(some, choice);
    else if (kind < 79) this.#crashDuring(at, choice % 2 === 0 ? "before save" : "after save");
    else if (kind < 87) this.#restart(choice);
    else if (kind < 89) this.#split((_id, i) => ((choice >> i) & 1) === 1);
    else if (kind < 92) this.#split((id) => id === leader?.id);
    else if (kind < 94) cluster.blocked.add(`${some}>${this.#pick(ids, choice >> 3)}`);
    else if (kind < 98) cluster.heal();
    else if (kind < 103) this.#split((id) => id === some && id !== leader?.id);
    else if (kind < 118) this.#snapshot(choice % 3 === 0 ? cluster.peer(some) : leader, Math.floor(choice / 3));
    else if (leader !== undefined) cluster.act(leader, ({ raft }) => raft.unreachable(some));
  }

  #split(onOneSide: (id: string, at: number) => boolean): void {
    const ids = [...this.cluster.peers.keys()];
    const one = ids.filter(onOneSide);
    this.cluster.partition(
      one,
      ids.filter((id) => !one.includes(id)),
    );
  }

  #repeat(old: Envelope | undefined): void {
    if (old === undefined) return;
    this.counts.oldMessages++;
    this.cluster.handOver(old);
  }

  #propose(leader: Peer | undefined, count: number): void {
    if (leader === undefined) return;
    const commands = Array.from({ length: count }, () => `${this.#proposed++}`);
    this.cluster.act(leader, ({ raft }) => raft.propose(pack(commands), this.cluster.now));
  }

  #read(leader: Peer | undefined): void {
    if (leader === undefined) return;
    this.cluster.act(leader, ({ raft }) => raft.read(this.ghost.addRead()));
  }

  /** The process ends between two steps; the others may hear of it. */
  #crash(id: string, choice: number): void {
    this.#crashed(undefined, id);
    const { incarnation } = this.cluster.peer(id).disk;
    if (choice % 2 === 0) return;
    for (const peer of this.cluster.running) {
      this.cluster.act(peer, ({ raft, now }) => raft.peerDied(id, incarnation, now));
    }
  }

  /** The process ends while it deals with a message, which may be anything: its own vote, entries, a reply. */
  #crashDuring(at: number, point: CrashPoint): void {
    const { cluster } = this;
    const to = cluster.wire[at]?.to ?? "";
    const wasDown = cluster.down.has(to);
    cluster.deliver(at, point);
    if (!wasDown && cluster.down.has(to)) this.#crashed(point, to);
  }

  /** A peer begins a snapshot of its own, goes on with it, does all of it at once, or dies at it. */
  #snapshot(peer: Peer | undefined, choice: number): void {
    const { cluster } = this;
    if (peer === undefined || cluster.down.has(peer.id)) return;
    const count = choice % 7;
    const point: CrashPoint = choice % 61 === 0 ? "before save" : choice % 61 === 1 ? "after save" : undefined;
    const input = () => {
      if (peer.building === undefined) peer.beginSnapshot(CHUNK_BYTES[choice % CHUNK_BYTES.length]);
      for (let i = 0; i < count; i++) peer.continueSnapshot();
    };
    const { installs } = peer;
    cluster.act(peer, input, point);
    if (peer.installs > installs) throw new Error("no snapshot can come in here");
    if (point === undefined) return;
    this.counts.crashesInSnapshots++;
    this.#crashed(point, peer.id);
  }

  #restart(choice: number): void {
    const id = this.#pick([...this.cluster.down], choice);
    if (id !== undefined) this.cluster.restart(id);
  }

  /** All faults end. Within some election timeouts there must be a leader that commits, and all must agree. */
  settle(): void {
    const { cluster, ghost } = this;
    cluster.heal();
    for (const id of [...cluster.down]) cluster.restart(id);
    const peers = [...cluster.peers.values()];
    this.#until(
      "a leader",
      () => cluster.leader !== undefined && cluster.leader.raft.commitIndex >= ghost.committed.length,
    );
    this.#until("a commit of a new command everywhere", () => {
      const { leader } = cluster;
      if (leader !== undefined && !leader.log.includes(`${leader.raft.currentTerm}:end`)) {
        cluster.act(leader, ({ raft }) => raft.propose(pack(["end"]), cluster.now));
      }
      const end = ghost.committed.findLastIndex(({ entry }) => entry.endsWith(":end")) + 1;
      return end > 0 && peers.every((peer) => peer.raft.commitIndex >= end);
    });
    for (const { raft, log, machine } of peers) {
      const from = Math.max(2, raft.log.firstIndex);
      const expected = ghost.committed.slice(from - 1).map(({ entry }) => entry);
      expect(log.slice(0, expected.length)).toEqual(expected);
      expect(machine.state).toBe(ghost.states[raft.commitIndex]);
    }
  }

  #until(what: string, holds: () => boolean): void {
    for (let ms = 0; ms < 30 * SHORT_MS[1]; ms += 10) {
      if (holds()) return;
      this.cluster.run(10);
    }
    const states = [...this.cluster.peers.values()].map((peer) => JSON.stringify({ id: peer.id, ...peer.facts }));
    throw new Error(`no ${what} long after all faults ended: ${states.join(", ")}`);
  }

  get totals(): typeof COUNTS {
    const { truncations, readsReleased, readsRefused, snapshots, installs, compactions } = this.ghost;
    const [elections, commits] = [this.ghost.leaders.size, this.ghost.committed.length];
    const snapshotsPutOut = [...this.cluster.peers.values()].reduce((sum, { putOut }) => sum + putOut, 0);
    const transfers = { snapshots, installs, compactions, snapshotsPutOut };
    return { ...this.counts, elections, commits, truncations, readsReleased, readsRefused, ...transfers };
  }
}

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
