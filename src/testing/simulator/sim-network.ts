import { crc32 } from "node:zlib";
import type { Delivery, Packet } from "../../actors/wire.ts";
import type { Draw } from "./draw.ts";
import type { EventQueue } from "./event-queue.ts";
import type { LinkNoise } from "./plan.ts";
import { type CutShape, isCut } from "./shapes.ts";
import type { TraceHash } from "./trace-hash.ts";

/** How long ago a packet may be that comes once more. */
const GHOST_MS = [20, 30_000] as const;

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
  #storms: { readonly loss: number; readonly delayMs: number }[] = [];
  /** Packets that were sent, delivered or not. */
  sent = 0;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#cuts = new Int32Array(options.peers ** 2);
    this.#healed = Array.from({ length: options.peers }, () => false);
  }

  /** @returns what ends the cut. */
  cut(shape: CutShape, order: readonly number[]): () => void {
    const { peers } = this.#options;
    const links: number[] = [];
    for (const [at, from] of order.entries()) {
      for (const [other, to] of order.entries()) {
        if (from !== to && isCut(shape, at, other, peers)) links.push(from * peers + to);
      }
    }
    const add = (count: number) => {
      for (const link of links) this.#cuts[link] = (this.#cuts[link] ?? 0) + count;
    };
    add(1);
    return () => add(-1);
  }

  /** @returns what ends the storm. */
  storm(loss: number, delayMs: number): () => void {
    const storm = { loss, delayMs };
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
    this.#carry(from, to, at, () => packet);
  }

  /** News of a death: over the links from the dead, like packets. */
  tell(from: number, to: number, delivery: Delivery & { kind: "down" }, at: number): void {
    this.#carry(from, to, at, () => delivery);
  }

  #isHealed(from: number, to: number): boolean {
    return this.#healed[from] === true && this.#healed[to] === true;
  }

  #carry(from: number, to: number, at: number, delivery: () => Delivery): void {
    const { draw, noise } = this.#options;
    const isHealed = this.#isHealed(from, to);
    if (this.isBlocked(from, to)) {
      this.#tellLoss(from, to, at);
      return;
    }
    if (isHealed) {
      this.#arrive(from, to, at + draw.between(noise.delayMs), delivery());
      return;
    }
    if (draw.chance(noise.ghost)) this.#arrive(from, to, at + draw.skewed(GHOST_MS), copyOf(delivery()));
    if (draw.chance(noise.loss)) {
      this.#tellLoss(from, to, at);
      return;
    }
    const copies = draw.chance(noise.duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      let delay = draw.between(noise.delayMs);
      if (draw.chance(noise.hold)) delay += draw.between(noise.heldMs);
      let isLost = false;
      for (const storm of this.#storms) {
        delay += draw.between([0, storm.delayMs]);
        isLost ||= draw.chance(storm.loss);
      }
      // Whoever gets a packet may write to it.
      if (!isLost) this.#arrive(from, to, at + delay, copies > 1 ? copyOf(delivery()) : delivery());
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

function copyOf(delivery: Delivery): Delivery {
  return delivery.kind === "packet" ? { ...delivery, bytes: delivery.bytes.slice() } : delivery;
}
