import { invariant } from "../raft/errors.ts";
import type { MessageType, PeerId } from "../raft/message.ts";
import { hashSeed, type Random, seededRandom } from "../raft/random.ts";
import { type FaultTable, type LinkRule, REORDER_MS } from "./faults.ts";
import { type LabrpcProfile, labrpcFailureMs, labrpcPlan } from "./labrpc.ts";
import { type Delivery, forEachFrame, isRequest, type Packet } from "./wire.ts";

/**
 * Runs `task` once, `delayMs` from now and never before it returns; of equal delays the first goes first. Returns how
 * to cancel it.
 */
export type Schedule = (delayMs: number, task: () => void) => () => void;

export interface NetworkOptions {
  readonly peers: readonly PeerId[];
  /** Looked at when a message is sent and again when it is delivered. */
  readonly faults: FaultTable;
  /** Every link draws from a sequence of its own that comes from this seed. */
  readonly seed: number;
  readonly schedule: Schedule;
  /** Puts a delivery into a peer's inbox. May be called while `send` or `down` runs. */
  readonly deliver: (to: PeerId, delivery: Delivery) => void;
}

/** What a peer did on the network since it began. */
export interface PeerCounters {
  /** Requests that it sent, delivered or not. */
  readonly rpcs: number;
  /** Bytes of the frames of these, and of its replies that were delivered. */
  readonly bytes: number;
  /** Requests that were delivered to it, a copy counted again. */
  readonly received: number;
}

/** What went over the network since it began: requests when they are sent, replies when they are delivered. */
export interface Counters {
  /** Requests sent, delivered or not. */
  readonly rpcs: number;
  /** Bytes of the frames of requests sent and of replies delivered. */
  readonly bytes: number;
  readonly byType: Readonly<Record<MessageType, number>>;
  readonly byPeer: Readonly<Record<PeerId, PeerCounters>>;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** What is known of a peer at the other end of a link. */
interface End {
  incarnation: number;
  isUp: boolean;
  readonly counters: Writable<PeerCounters>;
}

type Range = readonly [start: number, end: number];

/**
 * Carries packets between peers, as the faults allow. A packet lives only as long as both its ends: what is under way
 * when its sender or its addressee dies is lost. On a link without a rule it is passed on whole and at once; else each
 * message in it meets its own fate.
 */
export class Network {
  readonly #options: NetworkOptions;
  readonly #ends = new Map<PeerId, End>();
  /** By link. */
  readonly #randoms = new Map<string, Random>();
  readonly #byType: Record<MessageType, number> = {
    PreVote: 0,
    PreVoteReply: 0,
    RequestVote: 0,
    RequestVoteReply: 0,
    AppendEntries: 0,
    AppendEntriesReply: 0,
    InstallSnapshot: 0,
    InstallSnapshotReply: 0,
    ReadIndex: 0,
    ReadIndexReply: 0,
  };
  /** How to cancel what is under way. */
  readonly #underWay = new Set<() => void>();
  #closed = false;

  constructor(options: NetworkOptions) {
    this.#options = options;
    for (const peer of options.peers) {
      this.#ends.set(peer, { incarnation: 0, isUp: false, counters: { rpcs: 0, bytes: 0, received: 0 } });
    }
  }

  /** A peer has started; incarnations of one peer ascend. */
  up(peer: PeerId, incarnation: number): void {
    const end = this.#end(peer);
    invariant(
      incarnation > end.incarnation && !end.isUp,
      () => `"${peer}" starts as ${incarnation}, and its incarnation ${end.incarnation} was there before`,
    );
    end.incarnation = incarnation;
    end.isUp = true;
  }

  /**
   * An incarnation of a peer is dead. The news go to the other peers like requests over the links from it: blocked,
   * delayed and dropped like them, but not counted.
   */
  down(peer: PeerId, incarnation: number): void {
    const end = this.#end(peer);
    if (this.#closed || !end.isUp || end.incarnation !== incarnation) return;
    end.isUp = false;
    for (const [to, { isUp, incarnation: toIncarnation }] of this.#ends) {
      if (!isUp) continue;
      const delay = this.#isBlocked(peer, to) ? undefined : this.#fate("request", peer, to).arrivals[0];
      if (delay === undefined) continue;
      this.#after(delay, () => {
        if (!this.#isUp(to, toIncarnation) || this.#isBlocked(peer, to)) return;
        this.#options.deliver(to, { kind: "down", peer, incarnation });
      });
    }
  }

  /**
   * Takes a packet, and with it the buffer of its bytes. One whose sender is not the incarnation that is up is ignored;
   * one for an incarnation that is gone is lost, and its sender is told that it is gone.
   */
  send(sent: Packet): void {
    if (this.#closed || !this.#isUp(sent.from, sent.fromIncarnation)) return;
    this.#countSent(sent);
    const { from, to, bytes } = sent;
    const packet = sent.toIncarnation === 0 ? { ...sent, toIncarnation: this.#end(to).incarnation } : sent;
    if (!this.#isPassable(packet)) {
      this.#tellOfSuccessor(packet);
      this.#failAll(packet, (random, profile) => labrpcFailureMs(random, profile));
      return;
    }
    const { faults } = this.#options;
    if (faults.rule(from, to) === undefined && !disturbs(faults.profile)) {
      this.#pass(packet);
      return;
    }
    const parts = new Map<number, Range[]>();
    forEachFrame(bytes, (type, start, end) => {
      const { arrivals, lostAfter } = this.#fate(isRequest(type) ? "request" : "reply", from, to);
      for (const delay of arrivals) {
        const part = parts.get(delay);
        if (part === undefined) parts.set(delay, [[start, end]]);
        else part.push([start, end]);
      }
      if (lostAfter !== undefined) this.#fail(packet, type, lostAfter);
    });
    // A buffer of its own for each part, since whoever gets one may transfer it away.
    for (const [delay, ranges] of parts) {
      const part = { ...packet, bytes: gather(bytes, ranges) };
      this.#after(delay, () => this.#arrive(part));
    }
  }

  /** A copy of the counters as they stand. */
  counters(): Counters {
    const total = { rpcs: 0, bytes: 0 };
    const byPeer: Record<PeerId, PeerCounters> = {};
    for (const [peer, { counters }] of this.#ends) {
      total.rpcs += counters.rpcs;
      total.bytes += counters.bytes;
      byPeer[peer] = { ...counters };
    }
    return { ...total, byType: { ...this.#byType }, byPeer };
  }

  /** Cancels what is under way, and ignores what is sent from now on. */
  close(): void {
    this.#closed = true;
    for (const cancel of this.#underWay) cancel();
    this.#underWay.clear();
  }

  #end(peer: PeerId): End {
    const end = this.#ends.get(peer);
    invariant(end !== undefined, () => `no peer of this network is named "${peer}"`);
    return end;
  }

  #isUp(peer: PeerId, incarnation: number): boolean {
    const end = this.#end(peer);
    return end.isUp && end.incarnation === incarnation;
  }

  #isBlocked(from: PeerId, to: PeerId): boolean {
    return this.#options.faults.rule(from, to)?.blocked === true;
  }

  #isPassable({ from, fromIncarnation, to, toIncarnation }: Packet): boolean {
    return this.#isUp(from, fromIncarnation) && this.#isUp(to, toIncarnation) && !this.#isBlocked(from, to);
  }

  #random(from: PeerId, to: PeerId): Random {
    const link = `${from}\0${to}`;
    let random = this.#randoms.get(link);
    if (random === undefined) {
      random = seededRandom(hashSeed(this.#options.seed, from, to));
      this.#randoms.set(link, random);
    }
    return random;
  }

  #fate(kind: "request" | "reply", from: PeerId, to: PeerId): Fate {
    const { faults } = this.#options;
    return drawFate(kind, this.#random(from, to), faults.rule(from, to), faults.profile);
  }

  /** Delivers what was under way, unless the link or one of its ends has gone since. */
  #arrive(packet: Packet): void {
    if (this.#isPassable(packet)) this.#pass(packet);
    else this.#failAll(packet, () => 0);
  }

  #pass(packet: Packet): void {
    const sender = this.#end(packet.from).counters;
    const addressee = this.#end(packet.to).counters;
    forEachFrame(packet.bytes, (type, start, end) => {
      if (isRequest(type)) {
        addressee.received++;
      } else {
        sender.bytes += end - start;
        this.#byType[type]++;
      }
    });
    this.#options.deliver(packet.to, packet);
  }

  #countSent({ from, bytes }: Packet): void {
    const sender = this.#end(from).counters;
    forEachFrame(bytes, (type, start, end) => {
      if (!isRequest(type)) return;
      sender.rpcs++;
      sender.bytes += end - start;
      this.#byType[type]++;
    });
  }

  /** A sender that has missed the news, behind a partition say, addresses a process that has been followed by another. */
  #tellOfSuccessor({ from, to, toIncarnation: incarnation }: Packet): void {
    if (!this.#end(to).isUp || incarnation === this.#end(to).incarnation || this.#isBlocked(to, from)) return;
    this.#options.deliver(from, { kind: "down", peer: to, incarnation });
  }

  /** All messages of a packet are lost; a request's caller learns it after `waitMs`, a reply's at once. */
  #failAll(packet: Packet, waitMs: (random: Random, profile: LabrpcProfile) => number): void {
    const { profile } = this.#options.faults;
    if (profile === undefined) return;
    const random = this.#random(packet.from, packet.to);
    forEachFrame(packet.bytes, (type) => {
      this.#fail(packet, type, isRequest(type) ? waitMs(random, profile) : 0);
    });
  }

  /** In the lab's network: tells the peer whose call this message was a part of that the call has failed. */
  #fail({ from, fromIncarnation, to, toIncarnation }: Packet, type: MessageType, delayMs: number): void {
    if (this.#options.faults.profile === undefined) return;
    const [caller, incarnation, callee] = isRequest(type) ? [from, fromIncarnation, to] : [to, toIncarnation, from];
    this.#after(delayMs, () => {
      if (this.#isUp(caller, incarnation)) this.#options.deliver(caller, { kind: "unreachable", peer: callee });
    });
  }

  #after(delayMs: number, task: () => void): void {
    if (this.#closed) return;
    if (delayMs === 0) {
      task();
      return;
    }
    const cancel = this.#options.schedule(delayMs, () => {
      this.#underWay.delete(cancel);
      task();
    });
    this.#underWay.add(cancel);
  }
}

/** What becomes of one message: when it and its copy arrive, or when it is found to be lost; in ms from now. */
interface Fate {
  readonly arrivals: readonly number[];
  readonly lostAfter: number | undefined;
}

/** Draws the fate of a message on a link that is not blocked. */
function drawFate(
  kind: "request" | "reply",
  random: Random,
  rule: LinkRule | undefined,
  profile: LabrpcProfile | undefined,
): Fate {
  const happens = (probability = 0) => probability > 0 && random() < probability;
  const between = ([min, max]: readonly [number, number]) => min + random() * (max - min);
  const plan = profile === undefined ? undefined : labrpcPlan(kind, random, profile);
  const delayMs = plan?.delayMs ?? 0;
  if (plan?.drop || happens(rule?.drop)) return { arrivals: [], lostAfter: delayMs };
  const arrival = () =>
    delayMs + (rule?.delayMs ? between(rule.delayMs) : 0) + (happens(rule?.reorder) ? between(REORDER_MS) : 0);
  return { arrivals: happens(rule?.duplicate) ? [arrival(), arrival()] : [arrival()], lostAfter: undefined };
}

function disturbs(profile: LabrpcProfile | undefined): boolean {
  return profile?.unreliable === true || profile?.longReordering === true;
}

/** Copies of the frames at `ranges`, one behind the other. */
function gather(bytes: Uint8Array, ranges: readonly Range[]): Uint8Array<ArrayBuffer> {
  const gathered = new Uint8Array(ranges.reduce((sum, [start, end]) => sum + end - start, 0));
  let offset = 0;
  for (const [start, end] of ranges) {
    gathered.set(bytes.subarray(start, end), offset);
    offset += end - start;
  }
  return gathered;
}
