import { crc32 } from "node:zlib";
import { type Delivery, forEachFrame, type Packet, packetWith } from "../../actors/wire.ts";
import type { MessageType } from "../../raft/message.ts";
import type { Draw } from "./draw.ts";
import type { EventQueue } from "./event-queue.ts";
import type { LinkNoise } from "./plan.ts";
import { type CutShape, isCut } from "./shapes.ts";
import type { TraceHash } from "./trace-hash.ts";

/** How long ago a packet may be that comes once more. */
const GHOST_MS = [20, 30_000] as const;

/** Noise besides that of the links. */
export interface Storm {
  /** What it is about; undefined: everything. */
  readonly of: MessageType | undefined;
  readonly loss: number;
  readonly delayMs: number;
}

interface NetworkOptions {
  readonly peers: number;
  readonly queue: EventQueue;
  readonly draw: Draw;
  readonly noise: LinkNoise;
  readonly hash: TraceHash;
  readonly tellsLoss: boolean;
  readonly deliver: (to: number, delivery: Delivery) => void;
}

/** Links between peers, with all that may befall what goes over them. Peers are numbered from 0. */
export class SimNetwork {
  readonly #options: NetworkOptions;
  /** How many cuts each link is under. */
  readonly #cuts: Int32Array;
  /** Peers between which nothing is wrong any more, whatever else is. */
  readonly #healed: boolean[];
  #storms: Storm[] = [];
  /** By how much all that goes to a peer is late. */
  readonly #late: Float64Array;
  /** Packets that were sent, delivered or not. */
  sent = 0;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#cuts = new Int32Array(options.peers ** 2);
    this.#late = new Float64Array(options.peers);
    this.#healed = Array.from({ length: options.peers }, () => false);
  }

  /** @returns what ends the cut. */
  cut(shape: CutShape, order: readonly number[]): () => void {
    const { peers } = this.#options;
    const links: [number, number][] = [];
    for (const [at, from] of order.entries()) {
      for (const [other, to] of order.entries()) {
        if (from !== to && isCut(shape, at, other, peers)) links.push([from, to]);
      }
    }
    return this.block(links);
  }

  /** @param pairs from whom to whom nothing passes. @returns what ends it. */
  block(pairs: readonly (readonly [from: number, to: number])[]): () => void {
    const links = pairs.map(([from, to]) => from * this.#options.peers + to);
    const add = (count: number) => {
      for (const link of links) this.#cuts[link] = (this.#cuts[link] ?? 0) + count;
    };
    add(1);
    return () => add(-1);
  }

  /** All that goes to a peer takes longer. @returns what ends it; what is under way stays late. */
  late(to: number, ms: number): () => void {
    this.#late[to] = (this.#late[to] ?? 0) + ms;
    return () => {
      this.#late[to] = (this.#late[to] ?? 0) - ms;
    };
  }

  /** @returns what ends the storm. */
  storm(storm: Storm): () => void {
    this.#storms.push(storm);
    return () => {
      this.#storms = this.#storms.filter((other) => other !== storm);
    };
  }

  /** Between these peers all is well from now on. */
  heal(peers: readonly number[]): void {
    for (const peer of peers) this.#healed[peer] = true;
  }

  isBlocked(from: number, to: number): boolean {
    return !this.#isHealed(from, to) && (this.#cuts[from * this.#options.peers + to] ?? 0) > 0;
  }

  /** @param at when it leaves: the sender's turn may have taken a while by then. */
  send(from: number, to: number, packet: Packet, at: number): void {
    const { hash } = this.#options;
    this.sent++;
    hash.add(from * 16 + to);
    hash.add(crc32(packet.bytes));
    this.#carry(from, to, at, packet);
  }

  /** News of a death: over the links from the dead, like packets. */
  tell(from: number, to: number, delivery: Delivery & { kind: "down" }, at: number): void {
    this.#carry(from, to, at, delivery);
  }

  #isHealed(from: number, to: number): boolean {
    return this.#healed[from] === true && this.#healed[to] === true;
  }

  #carry(from: number, to: number, at: number, delivery: Delivery): void {
    const { draw, noise } = this.#options;
    const isHealed = this.#isHealed(from, to);
    if (this.isBlocked(from, to)) {
      this.#tellLoss(from, to, at);
      return;
    }
    if (isHealed) {
      this.#arrive(from, to, at + draw.between(noise.delayMs), delivery);
      return;
    }
    if (draw.chance(noise.ghost > 0 && isRare(delivery) ? Math.sqrt(noise.ghost) : noise.ghost))
      this.#arrive(from, to, at + draw.skewed(GHOST_MS), copyOf(delivery));
    if (draw.chance(noise.loss)) {
      this.#tellLoss(from, to, at);
      return;
    }
    const copies = draw.chance(noise.duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      let delay = draw.between(noise.delayMs) + (this.#late[to] ?? 0);
      if (draw.chance(noise.hold)) delay += draw.between(noise.heldMs);
      let isLost = false;
      for (const storm of this.#storms) {
        if (!isMeant(storm, delivery)) continue;
        delay += draw.between([0, storm.delayMs]);
        isLost ||= draw.chance(storm.loss);
      }
      // Whoever gets a packet may write to it.
      if (!isLost) this.#arrive(from, to, at + delay, copies > 1 ? copyOf(delivery) : delivery);
    }
  }

  #tellLoss(from: number, to: number, at: number): void {
    const { queue, draw, noise, deliver, tellsLoss } = this.#options;
    if (!tellsLoss) return;
    queue.add(at + draw.between(noise.delayMs), () => deliver(from, { kind: "unreachable", peer: `p${to + 1}` }));
  }

  #arrive(from: number, to: number, at: number, delivery: Delivery): void {
    this.#options.queue.add(at, () => {
      if (!this.isBlocked(from, to)) this.#options.deliver(to, delivery);
    });
  }
}

/** Whether a storm is about such a delivery: all, or packets with a message of its type. */
function isMeant({ of }: Storm, delivery: Delivery): boolean {
  return of === undefined || (delivery.kind === "packet" && has(delivery, (type) => type === of));
}

/** Whether one of a packet's messages is so; true for all else. */
function has(delivery: Delivery, isSo: (type: MessageType) => boolean): boolean {
  if (delivery.kind !== "packet") return true;
  let isThere = false;
  forEachFrame(delivery.bytes, (type) => {
    isThere ||= isSo(type);
  });
  return isThere;
}

/** Whether it holds more than replication: there is more to be had from those that come again. */
function isRare(delivery: Delivery): boolean {
  return has(delivery, (type) => type !== "AppendEntries" && type !== "AppendEntriesReply");
}

/** With bytes of its own, for another who gets the same. */
export function copyOf(delivery: Delivery): Delivery {
  return delivery.kind === "packet" ? packetWith(delivery, delivery.bytes.slice()) : delivery;
}
