import { type Applied, answerQuery, applyCommand } from "../machine/apply.ts";
import { decode, encodeResults } from "../machine/codec.ts";
import type { StateMachine } from "../machine/state-machine.ts";
import type { Outgoing } from "../raft/effects.ts";
import { type Batch, EntryKind, forEachEntry } from "../raft/entry.ts";
import type { Message, PeerId } from "../raft/message.ts";
import type { RaftOptions } from "../raft/options.ts";
import { Raft } from "../raft/raft.ts";
import type { Store } from "../storage/store.ts";
import { type Answer, PendingCommands } from "./pending.ts";
import { type AppliedEntry, type ErrorData, errorData, type LaneReply, type LaneRequest } from "./protocol.ts";
import { type Delivery, decodeFrames, encodeFrames, type Packet } from "./wire.ts";

/**
 * How long one turn applies, about; the rest waits until the mail that came in meanwhile is handled. A peer that was
 * started again has all its log to apply, and is to answer those who want its vote meanwhile.
 */
const APPLY_MS_PER_TURN = 5;
/** How much of the log is fetched at once to be applied. */
const APPLY_BYTES_AT_ONCE = 1 << 20;

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
  readonly machine: StateMachine;
  readonly clock: Clock;
  /** Takes all that is for other peers, one packet for each of them. */
  readonly send: (packets: readonly Packet[]) => void;
  /** Takes what is for a client. */
  readonly reply: (client: number, replies: readonly LaneReply[]) => void;
  /** Hears which entry is about to be applied, and 0 when that is done: what a machine that never returns died of. */
  readonly applying: (index: number) => void;
  /** Called once a turn, before clients hear of what it has changed: who shows this peer's state brings it up to date. */
  readonly publish: () => void;
  /** Whether clients are sent what is applied. */
  readonly trace: boolean;
}

/** What an entry comes to that is not for the state machine. */
const NOTHING: Applied = { result: undefined, threw: undefined };

interface WaitingQuery {
  readonly client: number;
  readonly id: number;
  readonly query: Uint8Array;
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
  /** The process that was last heard of each peer, to address what is sent to it. */
  readonly #incarnations = new Map<PeerId, number>();
  readonly #clients = new Set<number>();
  #lastApplied: number;
  #nextReadId = 1;
  /** Linearizable queries, until the algorithm says from which index on they may be answered. */
  readonly #reads = new Map<number, WaitingQuery>();
  /** Released ones that wait for their index to be applied; ascending by index. */
  #released: { readonly index: number; readonly query: WaitingQuery }[] = [];
  #answers: Answer[] = [];
  #announced: string | undefined;

  constructor(options: ShellOptions) {
    this.#options = options;
    const { store, raft, clock } = options;
    const read = (from: number, maxBytes: number) => store.read(from, maxBytes);
    this.#raft = new Raft(raft, store.state, read, clock.now());
    this.#lastApplied = store.state.firstIndex - 1;
  }

  /** The algorithm's state, for who reports it. */
  get raft(): Pick<Raft, "role" | "currentTerm" | "votedFor" | "leader" | "commitIndex" | "log" | "wakeAt"> {
    return this.#raft;
  }

  get lastApplied(): number {
    return this.#lastApplied;
  }

  /** Whether there is work left without any further mail. */
  get isBusy(): boolean {
    return this.#lastApplied < this.#raft.commitIndex;
  }

  /** A client came; it is told who leads, now and whenever that changes. */
  addClient(client: number): void {
    this.#clients.add(client);
    this.#answers.push({ client, reply: this.#leaderNews() });
  }

  /** Mail from the network. */
  deliver(delivery: Delivery): void {
    const now = this.#options.clock.now();
    switch (delivery.kind) {
      case "packet": {
        this.#incarnations.set(delivery.from, delivery.fromIncarnation);
        for (const message of decodeFrames(delivery.bytes)) {
          this.#raft.step(delivery.from, delivery.fromIncarnation, message, now);
        }
        break;
      }
      case "down":
        if (this.#incarnations.get(delivery.peer) === delivery.incarnation) this.#incarnations.delete(delivery.peer);
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
        if (request.consistency === "local") this.#answer({ client, id: request.id, query: request.query });
        else this.#read({ client, id: request.id, query: request.query });
        break;
      default:
        request satisfies never;
    }
  }

  /** Does all that follows from the mail and from the time. What it throws is the end of this peer's process. */
  turn(): void {
    const { store, clock } = this.#options;
    let now = clock.now();
    this.#raft.advance(now);
    this.#announceLeader();
    for (let effects = this.#raft.effects(); effects !== undefined; effects = this.#raft.effects()) {
      this.#send(effects.before);
      if (effects.save !== undefined) {
        store.save(effects.save);
        now = clock.now();
        this.#raft.saved(now);
        this.#announceLeader();
      }
      this.#send(effects.after);
      for (const { id, index } of effects.reads) this.#release(id, index);
      for (const id of effects.refusedReads) this.#refuseRead(id);
    }
    this.#apply();
    this.#options.publish();
    this.#flush();
  }

  #propose(client: number, { firstId, count, packed, tellAppended }: LaneRequest & { kind: "propose" }): void {
    const appended = this.#raft.propose(packed, this.#options.clock.wall());
    if (appended === undefined) {
      this.#refuse(client, firstId, count);
      return;
    }
    this.#pending.add(client, firstId, appended);
    if (tellAppended) {
      const { firstIndex: index, term } = appended;
      this.#answers.push({ client, reply: { kind: "appended", firstId, count, index, term } });
    }
  }

  #read(query: WaitingQuery): void {
    const id = this.#nextReadId++;
    if (this.#raft.read(id)) this.#reads.set(id, query);
    else this.#refuse(query.client, query.id, 1);
  }

  #release(id: number, index: number): void {
    const query = this.#reads.get(id);
    this.#reads.delete(id);
    if (query !== undefined) this.#released.push({ index, query });
  }

  #refuseRead(id: number): void {
    const query = this.#reads.get(id);
    this.#reads.delete(id);
    if (query !== undefined) this.#refuse(query.client, query.id, 1);
  }

  #refuse(client: number, firstId: number, count: number): void {
    this.#announceLeader();
    const { id } = this.#options.raft;
    const { leader, currentTerm } = this.#raft;
    const hint = leader === undefined ? "no leader is known" : `${leader} does`;
    const message = `${id} does not lead in term ${currentTerm}; ${hint}`;
    const error: ErrorData = { code: "ERR_NOT_LEADER", message, outcome: "not-applied", leader };
    this.#answers.push({ client, reply: { kind: "refused", firstId, count, error } });
  }

  #answer({ client, id, query }: WaitingQuery): void {
    let answer: Applied;
    try {
      answer = answerQuery(this.#options.machine, decode(query));
    } catch (error) {
      const refusal = errorData(error, "ERR_INVALID_COMMAND");
      this.#answers.push({ client, reply: { kind: "refused", firstId: id, count: 1, error: refusal } });
      return;
    }
    this.#answers.push({ client, reply: { kind: "answer", id, answer: encodeResults([answer]) } });
  }

  /** Brings the state machine up to the commit index (Figure 2: one at a time, in order, each once). */
  #apply(): void {
    const { commitIndex, log } = this.#raft;
    const { clock } = this.#options;
    const until = clock.now() + APPLY_MS_PER_TURN;
    let isLate = false;
    while (this.#lastApplied < commitIndex && !isLate) {
      for (const batch of log.read(this.#lastApplied + 1, commitIndex, APPLY_BYTES_AT_ONCE)) {
        this.#applyBatch(batch);
        isLate = clock.now() >= until;
        if (isLate) break;
      }
    }
    this.#answerReleased();
  }

  #applyBatch(batch: Batch): void {
    const { machine, applying, trace } = this.#options;
    const { term, time } = batch;
    const traced: AppliedEntry[] | undefined = trace ? [] : undefined;
    forEachEntry(batch, this.#lastApplied + 1, (index, kind, data) => {
      let result = NOTHING;
      let command: unknown;
      if (kind === EntryKind.command) {
        command = decode(data);
        applying(index);
        result = applyCommand(machine, command, { index, term, time });
        applying(0);
      }
      this.#lastApplied = index;
      this.#pending.applied(index, term, result, this.#answers);
      traced?.push(describe(index, term, kind, command));
    });
    if (traced !== undefined) {
      const { incarnation } = this.#options.store.state;
      const reply: LaneReply = { kind: "applied", incarnation, entries: traced };
      for (const client of this.#clients) this.#answers.push({ client, reply });
    }
  }

  #answerReleased(): void {
    while (this.#released.length > 0) {
      const first = this.#released[0];
      if (first === undefined || first.index > this.#lastApplied) return;
      this.#released.shift();
      this.#answer(first.query);
    }
  }

  #leaderNews(): LaneReply {
    return { kind: "leader", term: this.#raft.currentTerm, leader: this.#raft.leader };
  }

  #announceLeader(): void {
    const { currentTerm, leader } = this.#raft;
    const announced = `${currentTerm} ${leader ?? ""}`;
    if (announced === this.#announced) return;
    this.#announced = announced;
    for (const client of this.#clients) this.#answers.push({ client, reply: this.#leaderNews() });
  }

  #send(outgoing: readonly Outgoing[]): void {
    if (outgoing.length === 0) return;
    const messages = new Map<PeerId, Message[]>();
    for (const { to, message } of outgoing) {
      const queue = messages.get(to);
      if (queue === undefined) messages.set(to, [message]);
      else queue.push(message);
    }
    const { group, raft, store } = this.#options;
    const packets: Packet[] = [];
    for (const [to, queue] of messages) {
      packets.push({
        kind: "packet",
        group,
        from: raft.id,
        to,
        fromIncarnation: store.state.incarnation,
        toIncarnation: this.#incarnations.get(to) ?? 0,
        bytes: encodeFrames(queue),
      });
    }
    this.#options.send(packets);
  }

  #flush(): void {
    if (this.#answers.length === 0) return;
    const replies = new Map<number, LaneReply[]>();
    for (const { client, reply } of this.#answers) {
      const queue = replies.get(client);
      if (queue === undefined) replies.set(client, [reply]);
      else queue.push(reply);
    }
    this.#answers = [];
    for (const [client, queue] of replies) this.#options.reply(client, queue);
  }
}

function describe(index: number, term: number, kind: EntryKind, command: unknown): AppliedEntry {
  switch (kind) {
    case EntryKind.command:
    case EntryKind.sessionCommand:
      return { index, term, kind: "command", command };
    case EntryKind.noop:
      return { index, term, kind: "noop" };
    case EntryKind.configuration:
      return { index, term, kind: "configuration" };
  }
}
