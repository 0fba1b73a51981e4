import { expect } from "vitest";
import { Cluster, type CrashPoint, type Envelope } from "./cluster.ts";
import { pack } from "./entries.ts";
import { Ghost } from "./ghost.ts";
import type { MakeRaft, Peer } from "./harness.ts";

const SHORT_MS = [20, 40] as const;

/** Of snapshots that take about 50 bytes. */
const CHUNK_BYTES = [10, 20, 30, 200] as const;

/** What the schedules made happen. */
export const COUNTS = {
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
export class Schedule {
  readonly ghost = new Ghost();
  readonly cluster: Cluster;
  readonly counts = { ...COUNTS };
  /** Messages that were on the wire once, and may come again at any time. */
  readonly #past: Envelope[] = [];
  #proposed = 0;

  /** @param make how the peers make their algorithm. */
  constructor(size: number, make?: MakeRaft) {
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
    this.cluster = Cluster.of(size, limits, (peer) => this.ghost.watch(this.cluster, peer), make);
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
