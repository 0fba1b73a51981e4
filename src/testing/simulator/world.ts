import { crc32 } from "node:zlib";
import type { LaneReply, TraceStep } from "../../actors/protocol.ts";
import { createRaft as createTraced, type RaftFactory } from "../../actors/traced-raft.ts";
import type { Delivery, Packet } from "../../actors/wire.ts";
import type { AnyStateMachine } from "../../machine/state-machine.ts";
import type { PeerId } from "../../raft/message.ts";
import { majority } from "../../raft/quorum.ts";
import { History } from "../history.ts";
import { Ambush } from "./ambush.ts";
import { Checker } from "./checks/checker.ts";
import { Leases } from "./checks/leases.ts";
import { Violation } from "./checks/violation.ts";
import { Draw } from "./draw.ts";
import { EventQueue } from "./event-queue.ts";
import { describeFault, type Victim } from "./faults.ts";
import { inflict } from "./inflict.ts";
import type { Surroundings } from "./left-behind.ts";
import type { Plan } from "./plan.ts";
import type { Process } from "./process.ts";
import { Clients } from "./sim-client.ts";
import { copyOf, SimNetwork } from "./sim-network.ts";
import { type Death, SimPeer } from "./sim-peer.ts";
import { TraceHash } from "./trace-hash.ts";
import type { NextStep, Workload } from "./workload.ts";

/** How long a message between a client and a peer takes. */
const LANE_MS = [0.05, 3] as const;

/** What is told of a run while it goes on. */
export interface Watcher {
  step(peer: string, step: TraceStep): void;
  note(peer: string | undefined, at: number, text: string): void;
}

/** What is given to a world beside its plan. */
export interface WorldOptions {
  readonly plan: Plan;
  readonly createMachine: () => AnyStateMachine;
  readonly next: NextStep;
  /**
   * Makes the algorithm's instance of each life of a peer, which `options.id` and `options.incarnation` tell: a recorder,
   * say. With a watcher, it is given what takes its steps. By default a plain one, or, with a watcher, one that traces them.
   */
  readonly createRaft?: RaftFactory | undefined;
  readonly watcher?: Watcher | undefined;
  /** Default: one that is laid when the plan says so. */
  readonly ambush?: Ambush | undefined;
}

/** A cluster with its disks, network and clients in one thread and in virtual time: all of it hangs on the plan alone. */
export class World {
  readonly plan: Plan;
  readonly queue: EventQueue;
  readonly history: History<unknown, unknown>;
  readonly peers: readonly SimPeer[];
  readonly #positions: ReadonlyMap<PeerId, number>;
  readonly clients: Clients;
  readonly network: SimNetwork;
  readonly checker: Checker;
  readonly #leases = new Leases();
  readonly hash = new TraceHash();
  /** How often a process died at a point in a role. */
  readonly deaths = new Map<string, number>();
  readonly #ambush: Ambush;
  /** Outside a healed part nothing changes any more. */
  #frozen: ReadonlySet<number> = new Set();
  #turns = 0;
  #violation: unknown;
  readonly #draw: Draw;
  readonly #options: WorldOptions;

  constructor(options: WorldOptions) {
    const { plan, createMachine, next, createRaft, watcher, ambush } = options;
    this.#options = options;
    this.plan = plan;
    this.queue = new EventQueue(new Draw(plan.seed, "ties").random);
    this.#draw = new Draw(plan.seed, "world");
    this.#ambush = ambush ?? new Ambush(new Draw(plan.seed, "ambush", "world"));
    this.history = new History(() => BigInt(Math.round(this.queue.now * 1e6)));
    const ids = Array.from({ length: plan.peers }, (_, at) => `p${at + 1}`);
    this.#positions = new Map(ids.map((id, position) => [id, position]));
    const report = (violation: unknown) => {
      this.#violation ??= violation;
    };
    this.checker = new Checker(ids, createMachine(), plan, report);
    this.network = new SimNetwork({
      ...{ peers: plan.peers, queue: this.queue, noise: plan.noise, hash: this.hash, tellsLoss: plan.tellsLoss },
      draw: new Draw(plan.seed, "network"),
      deliver: (to, delivery) => this.#deliver(to, delivery),
    });
    this.peers = ids.map((id, position): SimPeer => {
      const peer: SimPeer = new SimPeer({
        ...{ plan, position, ids, queue: this.queue, checker: this.checker, createMachine, ambush: this.#ambush },
        draw: new Draw(plan.seed, "peer", id),
        createRaft: watcher === undefined ? createRaft : this.#watched(id, watcher, createRaft),
        send: (packet, at) => this.#send(position, packet, at),
        reply: (client, replies, at) => this.#reply(client, replies, at),
        onDeath: (death) => this.#buried(position, death),
        onTurn: (process) => this.#addTurn(position, process),
      });
      return peer;
    });
    this.clients = new Clients({
      ...{ plan, queue: this.queue, next, history: this.history, report },
      deposed: () => this.#deposed(),
      draw: new Draw(plan.seed, "clients"),
      send: (client, to, request) => {
        this.queue.add(this.queue.now + this.#draw.between(LANE_MS), () => {
          const peer = this.peers[to];
          if (peer?.process === undefined) return;
          this.checker.takes(peer.process, client, request);
          peer.process.takeRequest(client, request);
          peer.notify(peer.process);
        });
      },
    });
    for (const peer of this.peers) this.queue.add(this.#draw.between([0, 5]), () => peer.start());
    for (const fault of plan.faults)
      this.queue.add(fault.atMs, () => {
        if (watcher !== undefined) this.#note(undefined, describeFault(fault));
        inflict(this.#surroundings, fault);
      });
    this.clients.start();
  }

  /** Turns that peers have taken. */
  get turns(): number {
    return this.#turns;
  }

  /**
   * Goes on until that time, or until `isDone`, if it is given, says so.
   * @throws Violation, at the first thing that is wrong.
   */
  run(until: number, isDone?: () => boolean): void {
    for (;;) {
      const more = this.queue.step(until);
      if (this.#violation !== undefined) throw this.#violation;
      if (!more || isDone?.()) return;
    }
  }

  /** From now on all is well with these peers and between them, and with nobody else, for ever. */
  heal(healed: readonly SimPeer[]): void {
    const inside = new Set(healed);
    this.#frozen = new Set(this.peers.filter((peer) => !inside.has(peer)).map(({ position }) => position));
    this.network.heal(healed.map(({ position }) => position));
    this.#ambush.lift();
    for (const peer of this.peers) {
      peer.disarm();
      peer.stalls.clear();
      if (!inside.has(peer)) continue;
      Object.assign(peer, { slowMs: 0, applyMs: 0, isFull: false, failing: undefined });
      peer.resume();
      this.#restart(peer, this.#draw.between([5, 100]));
    }
    this.#note(undefined, `only ${healed.map(({ id }) => id).join(" ")} are well from here on`);
  }

  /** Those whose disks are not sound end, whether they have found out or not. @returns the others. */
  giveUpDamaged(): SimPeer[] {
    for (const peer of this.peers) if (peer.isDamaged) peer.giveUp();
    return this.peers.filter((peer) => !peer.isDamaged);
  }

  /** A majority of the peers whose disks are sound. */
  drawMajority(): SimPeer[] {
    const sound = this.peers.filter((peer) => !peer.isDamaged);
    return this.#draw.shuffled(sound).slice(0, majority(this.peers.length));
  }

  /** Whether those who were asked something, and still live, have said something to it. */
  get hasAnswered(): boolean {
    const living = this.peers.flatMap(({ process }) => process ?? []);
    return this.checker.haveAnswered(new Set(living));
  }

  get leader(): SimPeer | undefined {
    let found: SimPeer | undefined;
    for (const peer of this.peers) {
      if (peer.process?.raft.role !== "leader") continue;
      if (found === undefined || peer.process.raft.currentTerm > (found.process?.raft.currentTerm ?? 0)) found = peer;
    }
    return found;
  }

  /** The times are the world's; to look at the peer's clock would take some. */
  #watched(id: string, watcher: Watcher, create: RaftFactory = createTraced): RaftFactory {
    const tell = (step: TraceStep) => watcher.step(id, { ...step, at: this.queue.now });
    return (options, stored, reader, clock) => {
      const now = clock.now();
      return create(options, stored, reader, { now: () => now }, tell);
    };
  }

  #send(from: number, packet: Packet, at: number): void {
    this.network.send(from, this.#positions.get(packet.to) ?? from, packet, at);
  }

  #deliver(to: number, delivery: Delivery): void {
    const peer = this.peers[to];
    if (peer === undefined) return;
    const { process, lingering } = peer;
    if (delivery.kind === "packet" && this.plan.fenced) {
      const { from, fromIncarnation, toIncarnation } = delivery;
      const sender = this.peers[this.#positions.get(from) ?? to]?.process;
      if (sender?.incarnation !== fromIncarnation) return;
      if (process === undefined || (toIncarnation !== 0 && toIncarnation !== process.incarnation)) return;
    }
    // Whoever gets one may write to it.
    const copy = lingering === undefined || this.plan.fenced ? undefined : copyOf(delivery);
    if (process?.take(delivery)) peer.notify(process);
    if (copy !== undefined && lingering?.take(copy)) peer.notify(lingering);
  }

  #reply(client: number, replies: readonly LaneReply[], at: number): void {
    for (const reply of replies) this.checker.replies(client, reply);
    if (client === 0) {
      for (const reply of replies) {
        if (reply.kind === "leader" && reply.leader !== undefined)
          this.clients.leader = this.#positions.get(reply.leader) ?? 0;
      }
      return;
    }
    for (const reply of replies) {
      this.hash.addText(reply.kind);
      if (reply.kind === "results") this.hash.add(crc32(reply.results));
      if (reply.kind === "answers") this.hash.add(crc32(reply.answers));
    }
    this.queue.add(at + this.#draw.between(LANE_MS), () => this.clients.receive(client, replies));
  }

  #addTurn(position: number, process: Process): void {
    const { raft, lastApplied } = process;
    this.#turns++;
    const { hash } = this;
    if (this.plan.leases && raft.role === "leader") this.#checkLeases(process);
    // Who campaigns while it takes a snapshot, or takes one while it campaigns, comes to many places that others do not.
    if (this.#ambush.isLaid && raft.role.endsWith("candidate")) process.shell.wantSnapshot();
    hash.add(this.queue.now);
    hash.add(position);
    hash.addText(raft.role);
    for (const value of [raft.currentTerm, raft.commitIndex, raft.log.lastIndex, lastApplied]) hash.add(value);
  }

  /** Of all who lead, those in the middle of a turn excepted. */
  #checkLeases(turning: Process): void {
    const { now } = this.queue;
    this.#leases.committed(this.checker.commits.lastIndex, turning.busyUntil);
    for (const { process, clock } of this.peers) {
      if (process?.raft.role !== "leader" || (process !== turning && process.busyUntil > now)) continue;
      this.#leases.check(process, process.raft.leaseIndex(clock.now()), now);
    }
  }

  /** A process has died; its peer starts again, if it may. */
  #buried(position: number, { process, role, point }: Death): void {
    const peer = this.peers[position];
    if (peer === undefined) return;
    const key = `${point} / ${role}`;
    this.deaths.set(key, (this.deaths.get(key) ?? 0) + 1);
    this.hash.addText(key);
    if (process !== undefined) this.checker.died(process);
    const { newsLateMs } = peer;
    peer.newsLateMs = 0;
    if (this.peers.every((each) => each.process === undefined && each.lingering === undefined)) {
      for (const each of this.peers) each.isCold = true;
    }
    this.#note(peer, `** dies: ${point}${peer.isGivenUp ? ", and is given up" : ""}`);
    if (process !== undefined && this.plan.news) {
      const news = { kind: "down", peer: peer.id, incarnation: process.incarnation } as const;
      for (const other of this.peers) {
        if (other !== peer && other.isUp)
          this.network.tell(position, other.position, news, this.queue.now + newsLateMs);
      }
    }
    const downMs = peer.downMs > 0 ? peer.downMs : this.#draw.between([10, 500]);
    peer.downMs = 0;
    this.#restart(peer, downMs);
  }

  #restart(peer: SimPeer, delayMs: number): void {
    if (peer.isGivenUp || peer.isUp) return;
    this.queue.add(this.queue.now + delayMs, () => {
      if (this.#frozen.has(peer.position) || peer.isGivenUp || peer.isUp) return;
      this.#note(peer, "** starts");
      peer.start();
    });
  }

  #deposed(): number[] {
    const latest = this.leader?.process?.raft.currentTerm ?? 0;
    const positions: number[] = [];
    for (const { process, position } of this.peers) {
      if (process?.raft.role === "leader" && process.raft.currentTerm < latest) positions.push(position);
    }
    return positions;
  }

  #find(victim: Victim): SimPeer | undefined {
    return victim === "leader" ? this.leader : this.peers[victim];
  }

  get #surroundings(): Surroundings {
    const { peers, network, clients, queue } = this;
    return {
      ...{ peers, network, clients, queue, draw: this.#draw, ambush: this.#ambush },
      find: (victim) => this.#find(victim),
      later: (ms, then, peer) => this.#later(ms, then, peer),
    };
  }

  /** Ends a fault later; not if it is to stay for ever by then. */
  #later(ms: number, undo: () => void, peer?: SimPeer): void {
    this.queue.add(this.queue.now + ms, () => {
      if (peer === undefined ? this.#frozen.size === 0 : !this.#frozen.has(peer.position)) undo();
    });
  }

  #note(peer: SimPeer | undefined, text: string): void {
    this.#options.watcher?.note(peer?.id, this.queue.now, text);
  }

  /** @throws Violation when the machine of a replica is not what it should be, says whoever wrote it. */
  checkMachines(check: NonNullable<Workload["check"]>): void {
    for (const { process, id } of this.peers) {
      const wrong = process === undefined ? undefined : check(process.machine);
      if (wrong !== undefined) throw new Violation("the machine's own check", `${id}: ${wrong}`);
    }
  }
}
