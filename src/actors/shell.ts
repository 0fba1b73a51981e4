import type { Applied } from "../machine/apply.ts";
import { encodeResults } from "../machine/codec.ts";
import { isDurable } from "../machine/load.ts";
import type { AnyStateMachine } from "../machine/state-machine.ts";
import { EMPTY_SAVE, type Save, type SnapshotInfo } from "../raft/effects.ts";
import { BATCH_HEADER_BYTES, type Batch, ENTRY_HEADER_BYTES } from "../raft/entry.ts";
import type { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import type { RaftOptions } from "../raft/options.ts";
import type { Raft } from "../raft/raft.ts";
import type { Store } from "../storage/store.ts";
import { Answerer } from "./answerer.ts";
import { Applier } from "./applier.ts";
import { DurableState } from "./durable-state.ts";
import type { MachineCalls } from "./machine-calls.ts";
import { Outbox } from "./outbox.ts";
import { OwnSnapshots } from "./own-snapshots.ts";
import { PendingCommands } from "./pending.ts";
import type { AppliedEntry, Consistency, ErrorData, LaneReply, LaneRequest, Trace, TraceStep } from "./protocol.ts";
import { Queries, type QueryBatch } from "./queries.ts";
import { Replica } from "./replica.ts";
import { Replies } from "./replies.ts";
import { createRaft as createPlainRaft, type RaftFactory } from "./traced-raft.ts";
import { type ReleaseBuffer, UnusedBuffers } from "./unused-buffers.ts";
import { type Delivery, decodeFrames, type Packet } from "./wire.ts";

/**
 * What a durable machine has written waits this long for a save that takes it along, in milliseconds, so that it costs
 * no flush of its own; after a crash no more than that has to be applied again.
 */
const FLUSH_AFTER_MS = 100;
/** And it waits no longer when it takes this much memory. */
const FLUSH_BYTES = 4 << 20;

/** Two clocks: `now` for timers, in milliseconds, never going back; `wall` for the time stamps of entries. */
export interface Clock {
  now(): number;
  wall(): number;
}

/** What surrounds a shell: threads and ports, or a simulator. */
export interface ShellOptions {
  readonly group: string;
  readonly raft: RaftOptions;
  readonly store: Store;
  readonly machine: AnyStateMachine;
  readonly clock: Clock;
  /** Takes all that is for other peers, one packet for each of them. */
  readonly send: (packets: readonly Packet[]) => void;
  /** Takes what entries and snapshots came in. Default: it is left to the garbage collector. */
  readonly release?: ReleaseBuffer;
  /** Takes what is for a client. */
  readonly reply: (client: number, replies: readonly LaneReply[]) => void;
  /** Hears of every call of the machine, before and after: what a peer does whose machine never returns. */
  readonly calls: Pick<MachineCalls, "enter" | "leave">;
  /** Called once a turn, before clients hear of what it has changed: who shows this peer's state brings it up to date. */
  readonly publish: () => void;
  /** What clients are told besides the answers to what they ask. */
  readonly trace: Trace;
  /** How many bytes of commands, and as many of queries, may wait here; more are refused. Default: no bound. */
  readonly maxPendingBytes?: number;
  /** Entries applied between snapshots; 0: only when asked for. */
  readonly snapshotEvery: number;
  /** The size of a snapshot's chunks. Default: see Snapshotter. */
  readonly chunkBytes?: number;
  /** Makes the peer's instance of the algorithm. Default: a plain one, or one that tells its steps when `trace` is true. */
  readonly createRaft?: RaftFactory | undefined;
  /** A snapshot is in force: taken here, or installed from the leader. */
  readonly onSnapshot: (info: SnapshotInfo, installed: boolean) => void;
  /** The machine could not be snapshot; the snapshot before stays in force, and the log grows on. */
  readonly onSnapshotFailed: (error: RaftError) => void;
}

/**
 * The loop around the algorithm, in which a peer lives: what waits in the inbox is handed in, then `turn` saves, sends,
 * applies and answers. One turn is one write and one message to each neighbour, however much mail there was. It is the
 * same in a thread and in a simulator.
 */
export class Shell {
  readonly #options: ShellOptions;
  readonly #raft: Raft;
  readonly #pending = new PendingCommands<Applied>(encodeResults);
  readonly #outbox: Outbox;
  readonly #replies: Replies;
  readonly #replica: Replica;
  readonly #applier: Applier;
  readonly #answerer: Answerer;
  /** When the state of a durable machine is saved for its own sake. */
  #flushAt = Number.POSITIVE_INFINITY;
  readonly #snapshots: OwnSnapshots;
  /** Whether the store has records to remove that nothing refers to any more. */
  #mustSweep = true;
  readonly #queries = new Queries();
  readonly #unused: UnusedBuffers;
  #announced: { readonly term: number; readonly leader: PeerId | undefined } | undefined;
  /** Those that clients were not told yet; with the option `trace` alone there are any. */
  #steps: TraceStep[] = [];

  constructor(options: ShellOptions) {
    this.#options = options;
    const { store, raft, clock, trace, machine, calls, createRaft = createPlainRaft } = options;
    this.#replies = new Replies(options.reply);
    this.#outbox = new Outbox({
      group: options.group,
      from: raft.id,
      incarnation: store.state.incarnation,
      send: options.send,
    });
    const held = isDurable(machine) ? new DurableState(machine, store.machine) : machine;
    this.#replica = new Replica(raft.id, held, calls);
    const reader = {
      read: (from: number, maxBytes: number) => store.read(from, maxBytes),
      readChunk: (index: number, chunk: number) => store.readChunk(index, chunk),
    };
    const tell = trace === true ? (step: TraceStep) => this.#steps.push(step) : undefined;
    this.#unused = new UnusedBuffers(options.release ?? (() => {}));
    const evicting = { ...raft, onEvicted: (batch: Batch) => this.#unused.evicted(batch) };
    this.#raft = createRaft(evicting, store.state, reader, clock, tell);
    const serving = { replica: this.#replica, replies: this.#replies, now: () => clock.now() };
    this.#applier = new Applier({
      ...serving,
      raft: this.#raft,
      pending: this.#pending,
      tell: () => this.#tell(),
      passed: (bytes) => this.#unused.passed(bytes),
      onApplied: trace === false ? undefined : (...applied) => this.#traceApplied(...applied),
    });
    this.#answerer = new Answerer({ ...serving, queries: this.#queries });
    this.#snapshots = new OwnSnapshots({
      id: raft.id,
      raft: this.#raft,
      replica: this.#replica,
      calls,
      snapshotEvery: options.snapshotEvery,
      chunkBytes: options.chunkBytes,
      saveState: () => {
        if (this.#replica.unsavedBytes !== undefined) this.#save(EMPTY_SAVE);
      },
      onFailed: options.onSnapshotFailed,
    });
    this.#replica.start(store.state, () => store.readSnapshot());
  }

  /** The algorithm's state, for who reports it. */
  get raft(): Pick<
    Raft,
    "role" | "currentTerm" | "votedFor" | "leader" | "commitIndex" | "log" | "snapshot" | "wakeAt" | "leaseIndex"
  > {
    return this.#raft;
  }

  get lastApplied(): number {
    return this.#replica.lastApplied;
  }

  /** Whether there is work left without any further mail. */
  get isBusy(): boolean {
    return this.#replica.lastApplied < this.#raft.commitIndex || this.#answerer.isBusy || this.#mustSweep;
  }

  /** When `turn` is to be called even if no mail comes. */
  get wakeAt(): number {
    return Math.min(this.#raft.wakeAt, this.#snapshots.wakeAt, this.#flushAt);
  }

  /** Takes a snapshot soon, however few entries there are since the last one. @returns false when there are none. */
  wantSnapshot(): boolean {
    return this.#snapshots.want();
  }

  /** A client came; it is told who leads, now and whenever that changes. */
  addClient(client: number): void {
    this.#replies.addClient(client);
    this.#replies.add(client, this.#leaderNews());
  }

  /** Mail from the network. */
  deliver(delivery: Delivery): void {
    const now = this.#options.clock.now();
    switch (delivery.kind) {
      case "packet": {
        this.#outbox.heard(delivery.from, delivery.fromIncarnation);
        // The election timer runs from a heartbeat's arrival, not from when it was looked at (§5.2).
        const at = delivery.arrivedAt ?? now;
        const messages = decodeFrames(delivery.bytes);
        for (const message of messages) this.#raft.step(delivery.from, delivery.fromIncarnation, message, at);
        // Entries stay in the log as they came; of a snapshot this turn saves what is taken.
        if (messages.every(({ type }) => type === "InstallSnapshot")) this.#unused.passed(delivery.bytes);
        break;
      }
      case "down":
        this.#outbox.died(delivery.peer, delivery.incarnation);
        this.#raft.peerDied(delivery.peer, delivery.incarnation, now);
        break;
      case "unreachable":
        this.#raft.unreachable(delivery.peer);
        break;
      default:
        delivery satisfies never;
    }
  }

  /** Mail from a client. */
  request(client: number, request: LaneRequest): void {
    switch (request.kind) {
      case "propose":
        this.#propose(client, request);
        break;
      case "query":
        this.#query({ ...request, client }, request.consistency);
        break;
      case "cancel":
        this.#answerer.cancel(client, request.ids);
        break;
      default:
        request satisfies never;
    }
  }

  /** Does all that follows from the mail and from the time. What it throws is the end of this peer's process. */
  turn(): void {
    const { store, clock } = this.#options;
    const began = clock.now();
    let now = began;
    this.#raft.advance(now);
    this.#announceLeader();
    this.#snapshots.continue(() => clock.now());
    let hasSaved = false;
    let isLate = false;
    for (let effects = this.#raft.effects(); effects !== undefined; effects = this.#raft.effects()) {
      this.#outbox.send(effects.before);
      for (const { message } of effects.before) {
        if (message.type === "InstallSnapshot") this.#unused.passed(message.data);
      }
      for (const { id, index } of effects.reads) this.#queries.release(id, index);
      for (const id of effects.refusedReads) this.#refuseRead(id);
      if (effects.save !== undefined) {
        // What is committed does not wait for a leader's own disk: its followers write meanwhile what it has just sent.
        // A follower's word is waited for, so it writes first.
        if (this.#raft.role === "leader" && !isLate) {
          isLate = !this.#serve();
          this.#tell();
        }
        this.#save(effects.save);
        hasSaved = true;
        now = clock.now();
        this.#raft.saved(now);
        const { snapshot, compactTo, chunks } = effects.save;
        if (snapshot !== undefined || compactTo !== undefined || chunks.length > 0) this.#mustSweep = true;
        for (const chunk of chunks) this.#replica.prepare(chunk);
        if (effects.restore !== undefined) this.#restore(effects.restore);
        if (effects.save.snapshot !== undefined) {
          this.#options.onSnapshot(effects.save.snapshot, effects.restore !== undefined);
        }
        this.#announceLeader();
      }
      this.#outbox.send(effects.after);
    }
    this.#unused.release(this.#replica.lastApplied);
    this.#replies.saved();
    if (!isLate) this.#serve();
    this.#flushState(clock.now());
    this.#snapshots.begin(now);
    this.#tell();
    // Every save removes a little of what is not needed any more; a turn without one has the time for it too.
    if (this.#mustSweep && !hasSaved) this.#mustSweep = store.sweep();
    this.#snapshots.rest(() => clock.now(), began);
  }

  /** Applies what is committed, and answers what that brings within reach. @returns false when there was no time for all. */
  #serve(): boolean {
    const hasApplied = this.#applier.apply();
    return this.#answerer.answer() && hasApplied;
  }

  /** What a durable machine has come to goes along with whatever is saved. */
  #save(save: Save): void {
    const change = this.#replica.change();
    this.#options.store.save(save, change);
    if (change === undefined) return;
    this.#replica.saved();
    this.#flushAt = Number.POSITIVE_INFINITY;
  }

  /** Saves it by itself when no other save has come for a while, or it grows large. */
  #flushState(now: number): void {
    const bytes = this.#replica.unsavedBytes;
    if (bytes === undefined) return;
    if (this.#flushAt === Number.POSITIVE_INFINITY) this.#flushAt = now + FLUSH_AFTER_MS;
    if (now >= this.#flushAt || bytes > FLUSH_BYTES) this.#save(EMPTY_SAVE);
  }

  #propose(client: number, { firstId, count, packed, tellAppended }: LaneRequest & { kind: "propose" }): void {
    const bytes = packed.byteLength - BATCH_HEADER_BYTES - count * ENTRY_HEADER_BYTES;
    if (this.#raft.role === "leader" && this.#isFull(this.#pending.bytes, bytes)) {
      this.#overloaded(client, firstId, count, this.#pending.bytes);
      return;
    }
    const appended = this.#raft.propose(packed, this.#options.clock.wall());
    if (appended === undefined) {
      this.#refuse(client, firstId, count);
      return;
    }
    this.#pending.add(client, firstId, appended, bytes);
    if (tellAppended) {
      const { firstIndex: index, term } = appended;
      this.#replies.addAfterSave(client, { kind: "appended", firstId, count, index, term });
    }
  }

  /** One that is larger than the bound is let in alone. */
  #isFull(waiting: number, more: number): boolean {
    return waiting > 0 && waiting + more > (this.#options.maxPendingBytes ?? Number.POSITIVE_INFINITY);
  }

  #overloaded(client: number, firstId: number, count: number, bytes: number): void {
    const { raft, maxPendingBytes } = this.#options;
    const message = `${bytes} bytes wait at ${raft.id} already, of ${maxPendingBytes} allowed`;
    const error: ErrorData = { code: "ERR_OVERLOADED", message, outcome: "not-applied" };
    this.#replies.add(client, { kind: "refused", firstId, count, error });
  }

  #query(query: QueryBatch, consistency: Consistency): void {
    if (this.#isFull(this.#queries.bytes, query.packed.byteLength)) {
      this.#overloaded(query.client, query.firstId, query.count, this.#queries.bytes);
      return;
    }
    if (consistency === "local") {
      if (this.#replica.lastApplied < query.minIndex) this.#queries.park(query.minIndex, query);
      else this.#queries.letIn(query);
      return;
    }
    if (consistency === "lease") {
      const index = this.#raft.leaseIndex(this.#options.clock.now());
      if (index !== undefined) {
        this.#queries.park(index, query);
        return;
      }
    }
    const readId = this.#queries.add(query);
    if (!this.#raft.read(readId)) this.#refuseRead(readId);
  }

  #refuseRead(readId: number): void {
    const query = this.#queries.refuse(readId);
    if (query !== undefined) this.#refuse(query.client, query.firstId, query.count);
  }

  #refuse(client: number, firstId: number, count: number): void {
    this.#announceLeader();
    const { id } = this.#options.raft;
    const { leader, currentTerm } = this.#raft;
    const hint = leader === undefined ? "no leader is known" : `${leader} does`;
    const message = `${id} does not lead in term ${currentTerm}; ${hint}`;
    const error: ErrorData = { code: "ERR_NOT_LEADER", message, outcome: "not-applied", leader };
    this.#replies.add(client, { kind: "refused", firstId, count, error });
  }

  #traceApplied(entries: readonly AppliedEntry[], firstIndex: number, lastIndex: number): void {
    const { trace, clock, store } = this.#options;
    this.#replies.addForAll({ kind: "applied", incarnation: store.state.incarnation, entries });
    if (trace === true) this.#steps.push({ at: clock.now(), kind: "apply", firstIndex, lastIndex });
  }

  /** §7: begins anew from a snapshot. */
  #restore(snapshot: SnapshotInfo): void {
    this.#snapshots.end();
    this.#replica.restore(snapshot, this.#options.store.readSnapshot());
    this.#pending.coveredBySnapshot(snapshot, this.#replies.ready);
  }

  #leaderNews(): LaneReply {
    return { kind: "leader", term: this.#raft.currentTerm, leader: this.#raft.leader };
  }

  #announceLeader(): void {
    const { currentTerm, leader } = this.#raft;
    if (this.#announced?.term === currentTerm && this.#announced.leader === leader) return;
    this.#announced = { term: currentTerm, leader };
    this.#replies.addForAll(this.#leaderNews());
  }

  /** Clients hear of what this turn has brought so far. */
  #tell(): void {
    this.#options.publish();
    if (this.#steps.length > 0) {
      this.#replies.addForAll({
        kind: "trace",
        incarnation: this.#options.store.state.incarnation,
        steps: this.#steps,
      });
      this.#steps = [];
    }
    this.#replies.tell();
  }
}
