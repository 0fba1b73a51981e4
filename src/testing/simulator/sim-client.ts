import type { Consistency, LaneReply, LaneRequest } from "../../actors/protocol.ts";
import { packQueries } from "../../actors/queries.ts";
import { decodeResults, pack } from "../../machine/codec.ts";
import { packOpenSession, packSessionCommand } from "../../machine/sessions.ts";
import { EntryKind, packEntries, wholeOf } from "../../raft/entry.ts";
import type { History, Invocation } from "../history.ts";
import { Violation } from "./checks/violation.ts";
import type { Draw } from "./draw.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Plan } from "./plan.ts";
import type { NextStep, Step } from "./workload.ts";

/** Most are to the point; the others are not looked at by the model, which knows nothing of being old. */
const CONSISTENCIES = { linearizable: 6, lease: 3, local: 1 } as const;

const SHORTEST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 200;

/** The client that asks those who should know better, and has leaders do something. */
const PROBER = 1_000;

/** What all clients share. */
export interface ClientsOptions {
  readonly plan: Plan;
  readonly queue: EventQueue;
  readonly draw: Draw;
  readonly next: NextStep;
  readonly history: History<unknown, unknown>;
  /** Brings a request to a peer, if it can be brought. */
  readonly send: (client: number, to: number, request: LaneRequest) => void;
  readonly report: (violation: unknown) => void;
  /** The peers that still lead, they think, when another one leads in a later term. */
  readonly deposed: () => readonly number[];
}

interface Call {
  readonly step: Step;
  readonly invocation: Invocation | undefined;
  /** The attempts have numbers from here on; an answer to any of them will do. */
  readonly firstId: number;
  readonly floor: number;
  readonly consistency: Consistency;
  readonly deadline: number;
  readonly sequence: number;
  attempts: number;
}

/** What clients know together: whom they were told of, and the latest entry that any finished call reflects. */
export class Clients {
  readonly #options: ClientsOptions;
  leader = 0;
  /** An operation that begins later reflects at least this entry: real-time order, the heart of linearizability. */
  reflected = 0;
  completed = 0;
  /** Until then nobody begins to change anything. */
  quietUntil = 0;
  /** What was known when each of the questions to deposed leaders was asked. */
  readonly #probes = new Map<number, number>();
  #nextProbe = 1;
  #nextThrown = 1;
  #count = 0;
  #isStopped = false;
  readonly #clients: Client[];

  constructor(options: ClientsOptions) {
    this.#options = options;
    this.#clients = Array.from({ length: options.plan.clients }, (_, at) => new Client(at + 1, options, this));
  }

  start(): void {
    for (const client of this.#clients) client.rest();
  }

  /** No new operations; those under way go on. */
  stop(): void {
    this.#isStopped = true;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Commands outside any session and history, each of so many bytes at least if the machine has such; in one message or many. */
  throwIn(count: number, bytes: number, together: boolean): void {
    const { next, draw, send, plan } = this.#options;
    const commands = Array.from({ length: count }, () => pack(next(draw, { bytes }, this.nextCount()).command));
    for (const data of together ? [commands] : commands.map((command) => [command])) {
      const packed = packEntries(EntryKind.command, data);
      // To whoever may take them: one that is cut off and still leads gets a log of its own so.
      for (let to = 0; to < plan.peers; to++) {
        const firstId = this.#nextThrown;
        this.#nextThrown += data.length;
        send(0, to, { kind: "propose", firstId, count: data.length, packed: packed.slice(), tellAppended: false });
      }
    }
  }

  /** An operation is finished that reflects this entry: nobody who asks from now on may be told of an older state. */
  finished(index: number): void {
    this.completed++;
    this.reflected = Math.max(this.reflected, index);
    for (const to of this.#options.deposed()) this.ask(to);
  }

  /** Asks a peer, whoever it is; its answers have to reflect what is finished by now. */
  ask(to: number): void {
    const { next, draw, send } = this.#options;
    const { query } = next(draw, "query", 0);
    if (query === undefined) return;
    for (const consistency of ["lease", "linearizable"] as const) {
      const firstId = this.#nextProbe++;
      this.#probes.set(firstId, this.reflected);
      send(PROBER, to, {
        kind: "query",
        firstId,
        count: 1,
        packed: packQueries([wholeOf(pack(query))]),
        consistency,
        minIndex: 0,
      });
    }
  }

  /** Has a peer do something, if it leads. */
  urge(to: number): void {
    const { next, draw, send } = this.#options;
    const packed = packEntries(EntryKind.command, [pack(next(draw, { bytes: 1 }, this.nextCount()).command)]);
    send(PROBER, to, { kind: "propose", firstId: this.#nextProbe++, count: 1, packed, tellAppended: false });
  }

  receive(client: number, replies: readonly LaneReply[]): void {
    if (client === PROBER) for (const reply of replies) this.#checkProbe(reply);
    const receiver = this.#clients[client - 1];
    for (const reply of replies) receiver?.receive(reply);
  }

  #checkProbe(reply: LaneReply): void {
    if (reply.kind === "results") this.finished(reply.index);
    const id = reply.kind === "answers" || reply.kind === "refused" ? reply.firstId : 0;
    const floor = this.#probes.get(id) ?? 0;
    this.#probes.delete(id);
    if (reply.kind !== "answers" || reply.index >= floor) return;
    const message = `a peer tells of entry ${reply.index} one who asked when entry ${floor} was known`;
    const violation = new Violation("real-time order", message);
    this.#options.report(violation);
    throw violation;
  }

  nextCount(): number {
    return ++this.#count;
  }
}

/** One client: an operation at a time, in a session, sent again until it is answered or given up. */
class Client {
  readonly #id: number;
  readonly #options: ClientsOptions;
  readonly #all: Clients;
  /** How long the next attempt may go unanswered: they become rarer, or those who are slow would never catch up. */
  #patience: number;
  /** How long it waits when it was refused. */
  #pauseMs = SHORTEST_PAUSE_MS;
  #leader = 0;
  #nextId = 1;
  #session: { readonly id: number; readonly owner: number; sequence: number } | undefined;
  #call: Call | undefined;
  /** The attempts at opening a session have numbers from here on. */
  #opening = 0;

  constructor(id: number, options: ClientsOptions, all: Clients) {
    this.#id = id;
    this.#options = options;
    this.#all = all;
    this.#patience = options.plan.retryMs;
  }

  /** Waits, and begins the next operation. */
  rest(): void {
    const { queue, draw, plan } = this.#options;
    const gapMs = (1_000 * plan.clients) / plan.commandsPerSecond;
    queue.add(queue.now + draw.between([0, 2 * gapMs]), () => this.#begin());
  }

  receive(reply: LaneReply): void {
    switch (reply.kind) {
      case "results":
        this.#settle(reply.firstId, reply.index, reply.results);
        break;
      case "answers":
        this.#settle(reply.firstId, reply.index, reply.answers);
        break;
      case "refused": {
        const call = this.#call;
        const { leader, code } = reply.error;
        if (leader !== undefined) this.#all.leader = Number(leader.slice(1)) - 1;
        if (code === "ERR_UNKNOWN_OUTCOME") break;
        // Soon again, elsewhere: nobody holds the attempt any more.
        const isLatest = call !== undefined ? reply.firstId === call.firstId + call.attempts - 1 : false;
        if (isLatest || (call === undefined && this.#opening > 0)) {
          this.#again(this.#pauseMs, false);
          this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
        }
        break;
      }
      case "appended":
      case "leader":
      case "applied":
      case "trace":
        break;
      default:
        reply satisfies never;
    }
  }

  #begin(): void {
    if (this.#all.isStopped) return;
    if (this.#session === undefined) {
      this.#open();
      return;
    }
    const { plan, draw, next, history, queue } = this.#options;
    const isQuery = draw.chance(plan.queries) || queue.now < this.#all.quietUntil;
    const step = next(draw, isQuery ? "query" : "command", this.#all.nextCount());
    const consistency = draw.weighted(CONSISTENCIES);
    const isJudged = step.input !== undefined && (step.query === undefined || consistency !== "local");
    this.#call = {
      step,
      consistency,
      firstId: this.#nextId,
      floor: this.#all.reflected,
      attempts: 0,
      deadline: queue.now + plan.giveUpMs,
      invocation: isJudged ? history.invoke(this.#id, step.input) : undefined,
      sequence: step.query === undefined ? ++this.#session.sequence : 0,
    };
    this.#attempt();
  }

  #open(): void {
    this.#opening = this.#nextId;
    const { draw } = this.#options;
    this.#session = undefined;
    this.#propose(packOpenSession(this.#owner(), 3_600_000));
    this.#again(this.#patience * draw.between([0.5, 1.5]), true);
  }

  /** The same for all attempts at one opening. */
  #owner(): number {
    return this.#id * 1_000_003 + this.#opening;
  }

  /** Tries again after a while, if nothing has come of the attempt by then. */
  #again(delayMs: number, isUnanswered: boolean): void {
    const { queue } = this.#options;
    const id = this.#nextId;
    queue.add(queue.now + delayMs, () => {
      if (this.#nextId !== id) return;
      if (isUnanswered) this.#patience = Math.min(2 * this.#patience, this.#options.plan.giveUpMs / 2);
      if (this.#call !== undefined) this.#attempt();
      else if (this.#opening > 0) this.#open();
    });
  }

  #attempt(): void {
    const { queue, draw } = this.#options;
    const call = this.#call;
    if (call === undefined) return;
    if (queue.now > call.deadline) {
      this.#giveUp(call);
      return;
    }
    call.attempts++;
    const { step, consistency, floor } = call;
    if (step.query === undefined) this.#proposeCall(call);
    else {
      const packed = packQueries([wholeOf(pack(step.query))]);
      const minIndex = consistency === "local" ? floor : 0;
      this.#send({ kind: "query", firstId: this.#nextId++, count: 1, packed, consistency, minIndex });
    }
    this.#again(this.#patience * draw.between([0.5, 1.5]), true);
  }

  #proposeCall({ step, sequence }: Call): void {
    const session = this.#session;
    if (session === undefined) return;
    const { id, owner } = session;
    const header = { session: id, sequence, acknowledged: sequence, owner };
    this.#propose(packSessionCommand(header, pack(step.command)));
  }

  #propose(data: Uint8Array): void {
    const packed = packEntries(EntryKind.sessionCommand, [data]);
    this.#send({ kind: "propose", firstId: this.#nextId++, count: 1, packed, tellAppended: false });
  }

  #send(request: LaneRequest): void {
    const { draw, plan, send } = this.#options;
    // Some keep to whom they know, and find out late that another leads.
    if (draw.chance(0.5)) this.#leader = this.#all.leader;
    const to = draw.chance(0.8) ? this.#leader : draw.integer(0, plan.peers - 1);
    send(this.#id, to, request);
  }

  #settle(id: number, index: number, results: Uint8Array): void {
    const [applied] = decodeResults(results);
    const call = this.#call;
    if (applied === undefined) return;
    if (call === undefined) {
      if (this.#opening === 0 || id < this.#opening || applied.threw !== undefined) return;
      this.#session = { id: applied.result as number, owner: this.#owner(), sequence: 0 };
      this.#opening = 0;
      this.#patience = this.#options.plan.retryMs;
      this.#all.reflected = Math.max(this.#all.reflected, index);
      this.rest();
      return;
    }
    if (id < call.firstId) return;
    const refusal = applied.threw?.refusal;
    // Another session then; nobody knows what became of the command.
    if (refusal !== undefined) {
      this.#giveUp(call);
      return;
    }
    this.#checkOrder(call, index);
    this.#all.finished(index);
    if (call.invocation !== undefined) {
      const { result, threw } = applied;
      this.#options.history.complete(
        call.invocation,
        threw ? { outcome: "unknown" } : { outcome: "ok", output: result },
      );
    }
    this.#end();
  }

  /** A command stands behind all that was finished before it began; an answer reflects all of that. */
  #checkOrder({ floor, step, consistency }: Call, index: number): void {
    if (step.query === undefined ? index > floor : index >= floor) return;
    const what = step.query === undefined ? "a command" : `a ${consistency} query`;
    const violation = new Violation(
      "real-time order",
      `client ${this.#id}: ${what} reflects entry ${index}, and began when another had seen entry ${floor}`,
    );
    this.#options.report(violation);
    throw violation;
  }

  #giveUp(call: Call): void {
    if (call.invocation !== undefined) this.#options.history.complete(call.invocation, { outcome: "unknown" });
    // The command may come to something later: its number is of no use to another one.
    if (call.step.query === undefined) this.#session = undefined;
    this.#end();
  }

  #end(): void {
    this.#call = undefined;
    this.#pauseMs = SHORTEST_PAUSE_MS;
    this.#patience = this.#options.plan.retryMs;
    this.#nextId++;
    this.rest();
  }
}
