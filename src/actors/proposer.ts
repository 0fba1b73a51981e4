import { performance } from "node:perf_hooks";
import type { MessagePort } from "node:worker_threads";
import type { Applied } from "../machine/apply.ts";
import { type ByteRange, rangeBytes } from "../raft/entry.ts";
import type { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { forgetAbort, whenAborted } from "./abort.ts";
import { aborted, callError, doubted, machineThrew, timedOut, unknownOutcome } from "./call-errors.ts";
import { invalidTimeout } from "./call-options.ts";
import type { ClientNetwork } from "./client-network.ts";
import { nextLook } from "./deadlines.ts";
import { type Call, Lane, type LaneOwner } from "./lane.ts";
import { type Leader, Leaders } from "./leaders.ts";
import { CallMeter, type CallOutcome } from "./meter.ts";
import { Numbered } from "./numbered.ts";
import type { AppliedEntry, Consistency, TraceStep } from "./protocol.ts";
import type { CallOptions, CallResult, Waiting } from "./waiting-call.ts";

/** A query whose peers die again and again may be what they die of. */
const MOST_DEATHS = 3;

/** Counted for each call beside its bytes, so that many small ones are bounded too. In memory it is some times as much. */
export const CALL_OVERHEAD_BYTES = 256;

/** The longest that a timer of Node can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What the owner of a proposer hears. */
export interface ProposerEvents {
  readonly onLeader: (peer: PeerId, term: number) => void;
  readonly onApplied: LaneOwner<Call>["onApplied"];
  readonly onTrace: LaneOwner<Call>["onTrace"];
}

/**
 * Brings calls to the peer that they are for, mostly whoever leads, and sees to it that each settles: with a result,
 * with a refusal, or, when its deadline passes, with what is certain by then. A command goes to a second peer only after
 * the first has refused it; a query, which changes nothing, and a command in a session, which has no second effect, also
 * when its peer has died. One in a session, and a query, goes to every new leader as well: where it is may stand still.
 */
export class Proposer implements LaneOwner<Waiting> {
  /** Counts the calls that were submitted. */
  readonly calls = new CallMeter();
  readonly #lanes = new Map<PeerId, Lane<Waiting>>();
  readonly #leaders = new Leaders<Lane<Waiting>>();
  readonly #waiting = new Numbered<Waiting>();
  /** Those of `#waiting` that no leader was there for. */
  readonly #unrouted = new Set<Waiting>();
  #pendingBytes = 0;
  readonly #maxPendingBytes: number;
  readonly #network: ClientNetwork;
  readonly #events: ProposerEvents;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #ended: RaftError | undefined;

  constructor(maxPendingBytes: number, network: ClientNetwork, events: ProposerEvents) {
    this.#maxPendingBytes = maxPendingBytes;
    this.#network = network;
    this.#events = events;
  }

  /** The peer that leads in the latest term heard of. */
  get leader(): PeerId | undefined {
    return this.#leaders.current?.peer;
  }

  /** How many calls wait for an answer. */
  get waitingCalls(): number {
    return this.#waiting.size;
  }

  /** How many bytes they take, of those allowed. */
  get waitingBytes(): number {
    return this.#pendingBytes + CALL_OVERHEAD_BYTES * this.#waiting.size;
  }

  /** A thread of `peer` was started; `ring` tells it of mail. */
  addLane(peer: PeerId, port: MessagePort, ring: () => void): void {
    this.#lanes.set(peer, new Lane(peer, port, ring, this));
  }

  /** The thread of `peer` has ended. */
  endLane(peer: PeerId): void {
    this.#lanes.get(peer)?.end();
  }

  /** Resolves when the thread of `peer` that is known now has ended, and what that means for calls is clear. */
  async laneEnd(peer: PeerId): Promise<void> {
    await this.#lanes.get(peer)?.closed;
  }

  submit(kind: "propose" | Consistency, data: ByteRange, options: CallOptions): Promise<CallResult> {
    const startedAt = performance.now();
    const refusal = this.#refusal(data, options);
    if (refusal !== undefined) {
      this.calls.settled(kind === "propose" ? "propose" : "query", "not-applied", startedAt);
      return rejectedSoon(refusal);
    }
    return new Promise((resolve, reject) => {
      const { to, timeoutMs, signal, onAppended, client, via, inSession = false, minIndex = 0 } = options;
      const call: Waiting = {
        kind,
        data,
        inSession,
        minIndex,
        onAppended,
        id: undefined,
        to,
        startedAt,
        timeoutMs,
        signal,
        client,
        via,
        resolve,
        reject,
        onAbort: undefined,
        number: 0,
        deaths: 0,
        lane: undefined,
        isLost: false,
        isAnswered: false,
        isDoubtful: false,
      };
      if (signal !== undefined) {
        call.onAbort = () => this.#giveUp(call, aborted(signal));
        whenAborted(signal, call.onAbort);
      }
      call.number = this.#waiting.add(call);
      this.#pendingBytes += rangeBytes(data);
      this.#armTimer(startedAt + timeoutMs);
      this.#route(call);
    });
  }

  #refusal(data: ByteRange, { signal, timeoutMs }: CallOptions): RaftError | undefined {
    if (this.#ended !== undefined) return this.#ended;
    if (signal?.aborted) return aborted(signal);
    return invalidTimeout(timeoutMs) ?? this.overloaded(rangeBytes(data));
  }

  #settle(call: Waiting, { result, threw }: Applied, index: number, term: number): void {
    this.#done(call, threw === undefined ? "ok" : "threw");
    if (threw === undefined) call.resolve({ index, term, result });
    else call.reject(doubted(call.isDoubtful, machineThrew(call.kind, threw)));
  }

  #fail(call: Waiting, error: RaftError): void {
    this.#done(call, error.outcome === "unknown" ? "unknown" : "not-applied");
    call.reject(doubted(call.isDoubtful, error));
  }

  #done(call: Waiting, outcome: CallOutcome): void {
    const { number, data, signal, onAbort, kind, startedAt } = call;
    this.#waiting.take(number);
    if (this.#unrouted.size > 0) this.#unrouted.delete(call);
    this.#pendingBytes -= rangeBytes(data);
    if (onAbort !== undefined) forgetAbort(signal, onAbort);
    this.calls.settled(kind === "propose" ? "propose" : "query", outcome, startedAt);
  }

  #isWaiting(call: Waiting): boolean {
    return this.#waiting.get(call.number) === call;
  }

  /**
   * The error of a call that there is no room for beside those that wait already: `bytes` are its own and those of others
   * that are held back elsewhere, of which there are `others`.
   */
  overloaded(bytes: number, others = 0): RaftError | undefined {
    const { waitingBytes } = this;
    if (waitingBytes + bytes + CALL_OVERHEAD_BYTES * others <= this.#maxPendingBytes) return undefined;
    const message = `${waitingBytes} bytes of calls are waiting already, of ${this.#maxPendingBytes} allowed`;
    return callError("ERR_OVERLOADED", message);
  }

  /** Resolves with the peer that leads, as soon as one does. */
  waitForLeader(signal: AbortSignal | undefined): Promise<PeerId> {
    return this.#leaders.wait(signal);
  }

  /** Tries again for those that found no way to the leader: there may be one now. */
  reroute(): void {
    const calls = [...this.#unrouted];
    this.#unrouted.clear();
    for (const call of calls) if (this.#isWaiting(call)) this.#route(call);
  }

  /** Settles all that waits; nothing is taken any more. */
  end(error: RaftError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    clearTimeout(this.#timer);
    for (const call of this.#waiting.values()) this.#giveUp(call, error);
    this.#leaders.end(error);
    for (const lane of this.#lanes.values()) lane.close();
    this.#lanes.clear();
  }

  onLeader(lane: Lane<Waiting>, term: number, leader: PeerId | undefined): void {
    this.#follow(this.#leaders.onView(lane, term, leader));
    // A follower may do for those that cannot reach the leader.
    if (leader !== undefined) this.reroute();
  }

  onSettled(call: Waiting, result: Applied, index: number, term: number): void {
    const delayMs = this.#answerDelay(call);
    if (delayMs === 0) this.#settle(call, result, index, term);
    else if (delayMs !== undefined) this.#later(call, delayMs, () => this.#settle(call, result, index, term));
  }

  onRefused(call: Waiting, error: RaftError): void {
    const delayMs = this.#answerDelay(call);
    if (delayMs === 0) this.#refused(call, error);
    else if (delayMs !== undefined) this.#later(call, delayMs, () => this.#refused(call, error));
  }

  onApplied(peer: PeerId, incarnation: number, entries: readonly AppliedEntry[]): void {
    this.#events.onApplied(peer, incarnation, entries);
  }

  onTrace(peer: PeerId, incarnation: number, steps: readonly TraceStep[]): void {
    this.#events.onTrace(peer, incarnation, steps);
  }

  onClosed(lane: Lane<Waiting>, unsent: readonly Waiting[], sent: readonly Waiting[]): void {
    if (this.#lanes.get(lane.peer) === lane) this.#lanes.delete(lane.peer);
    for (const call of [...unsent, ...sent]) call.lane = undefined;
    this.#follow(this.#leaders.onClosed(lane));
    for (const call of unsent) this.#route(call);
    for (const call of sent) {
      const cause = callError("ERR_PEER_DOWN", `${lane.peer} ended before it answered`, { outcome: "unknown" });
      if (call.inSession) this.#handOn(call);
      else if (call.kind === "propose")
        this.#fail(call, unknownOutcome(`${lane.peer} ended before it answered`, cause));
      else if (++call.deaths >= MOST_DEATHS) this.#fail(call, cause);
      else this.#route(call);
    }
  }

  /** Sends a command in a session once more, while what became of it before is not known. */
  #handOn(call: Waiting): void {
    call.isDoubtful = true;
    call.lane = undefined;
    this.#route(call);
  }

  #route(call: Waiting): void {
    const lane = this.#laneFor(call);
    const fate = lane === undefined ? "blocked" : this.#network.fate(call.client, lane.peer);
    if (this.#ended !== undefined) this.#fail(call, this.#ended);
    else if (lane === undefined && call.to !== undefined) {
      this.#fail(call, callError("ERR_PEER_DOWN", `${call.to} is not running`));
    } else if (lane === undefined || (fate === "blocked" && call.to === undefined)) {
      call.lane = undefined;
      this.#unrouted.add(call);
    } else if (typeof fate === "string") {
      call.isLost = true;
    } else if (fate.delayMs > 0) {
      setTimeout(() => this.#handOver(call, lane), fate.delayMs);
    } else this.#handOver(call, lane);
  }

  #handOver(call: Waiting, lane: Lane<Waiting>): void {
    // Either may have ended on the way.
    if (!this.#isWaiting(call)) return;
    if (this.#lanes.get(lane.peer) !== lane) this.#route(call);
    else if (lane.abandonedBytes + rangeBytes(call.data) > this.#maxPendingBytes) {
      const message = `${lane.peer} has not answered ${lane.abandonedBytes} bytes of calls that were given up`;
      this.#fail(call, callError("ERR_OVERLOADED", message));
    } else {
      call.lane = lane;
      lane.add(call);
    }
  }

  /** An answer came in from the peer. @returns after how long the client gets it; undefined: not at all. */
  #answerDelay(call: Waiting): number | undefined {
    // It was asked in two places, and has its answer from the other.
    if (!this.#isWaiting(call)) return undefined;
    const peer = call.lane?.peer;
    const fate = peer === undefined ? { delayMs: 0 } : this.#network.fate(call.client, peer);
    if (typeof fate !== "string") return fate.delayMs;
    call.isLost = true;
    return undefined;
  }

  #later(call: Waiting, delayMs: number, receive: () => void): void {
    call.isAnswered = true;
    setTimeout(() => {
      call.isAnswered = false;
      if (this.#isWaiting(call)) receive();
    }, delayMs);
  }

  #refused(call: Waiting, error: RaftError): void {
    call.lane = undefined;
    if (call.to === undefined && error.code === "ERR_NOT_LEADER") this.#route(call);
    else if (call.inSession && error.code === "ERR_SUPERSEDED") this.#route(call);
    else this.#fail(call, error);
  }

  #laneFor(call: Waiting): Lane<Waiting> | undefined {
    const { to, kind } = call;
    if (to !== undefined) return this.#lanes.get(to);
    const { current } = this.#leaders;
    if (current !== undefined && this.#reaches(call, current.peer)) return current.lane;
    if (kind === "propose") return undefined;
    // Any peer can answer from what it has, or ask the leader it knows.
    for (const [peer, lane] of this.#lanes) {
      const knowsEnough = kind === "local" || this.#leaders.hasLeader(lane);
      if (knowsEnough && this.#reaches(call, peer)) return lane;
    }
    return undefined;
  }

  #reaches({ via, client }: Waiting, peer: PeerId): boolean {
    return (via === undefined || via.has(peer)) && !this.#network.isBlocked(client, peer);
  }

  /** There is a new leader, if one is given: what waits goes there. */
  #follow(leader: Leader<Lane<Waiting>> | undefined): void {
    if (leader === undefined) return;
    const { peer, term } = leader;
    this.#events.onLeader(peer, term);
    this.reroute();
    for (const call of this.#waiting.values()) {
      const { lane, to, kind, inSession } = call;
      if (lane === undefined || lane === leader.lane || !this.#reaches(call, peer)) continue;
      const isQuery = kind !== "propose" && to === undefined;
      if (!inSession && !isQuery) continue;
      const isWithPeer = lane.forget(call);
      if (inSession && isWithPeer) this.#handOn(call);
      else this.#route(call);
    }
  }

  /** Nobody waits for this call any longer, because of `cause`. */
  #giveUp(call: Waiting, cause: RaftError): void {
    const isWithPeer = call.lane?.forget(call) ?? false;
    const handedOver = call.isLost || call.isAnswered || call.isDoubtful || isWithPeer;
    if (handedOver && call.kind === "propose") this.#fail(call, unknownOutcome(cause.message, cause));
    else this.#fail(call, cause);
  }

  /** One timer for all deadlines: most calls are answered long before theirs. */
  #armTimer(deadline: number): void {
    if (deadline >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    const delayMs = Math.min(MAX_TIMER_MS, Math.max(1, Math.ceil(deadline - performance.now())));
    // Answers that waited while this thread was held up come first: a turn of the event loop brings them in.
    this.#timer = setTimeout(() => setImmediate(() => this.#expire()), delayMs);
  }

  #expire(): void {
    const now = performance.now();
    const overdue: Waiting[] = [];
    let earliest = Number.POSITIVE_INFINITY;
    for (const call of this.#waiting.values()) {
      const deadline = call.startedAt + call.timeoutMs;
      if (deadline > now) earliest = Math.min(earliest, deadline);
      else overdue.push(call);
    }
    this.#timerAt = Number.POSITIVE_INFINITY;
    if (earliest < Number.POSITIVE_INFINITY) this.#armTimer(nextLook(earliest, now));
    for (const call of overdue) this.#giveUp(call, timedOut(call));
  }
}

/** By when the caller listens: Node keeps a list of promises that are rejected before, which takes longer than all else here. */
function rejectedSoon(error: RaftError): Promise<never> {
  return Promise.resolve().then(() => {
    throw error;
  });
}
