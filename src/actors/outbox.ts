import type { Outgoing } from "../raft/effects.ts";
import type { Message, PeerId } from "../raft/message.ts";
import { encodeFrames, type Packet } from "./wire.ts";

/** Who sends, and by which way. */
export interface OutboxOptions {
  readonly group: string;
  readonly from: PeerId;
  readonly incarnation: number;
  readonly send: (packets: readonly Packet[]) => void;
}

/** Makes one packet for each neighbour of all that is sent to it at once, addressed to the process that was heard last. */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #incarnations = new Map<PeerId, number>();

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** This process of the peer is alive. */
  heard(peer: PeerId, incarnation: number): void {
    this.#incarnations.set(peer, incarnation);
  }

  /** This process of the peer has died; there may be a later one already. */
  died(peer: PeerId, incarnation: number): void {
    if (this.#incarnations.get(peer) === incarnation) this.#incarnations.delete(peer);
  }

  send(outgoing: readonly Outgoing[]): void {
    const [first] = outgoing;
    if (first === undefined) return;
    const { send } = this.#options;
    // Most turns of most peers have one message, the answer to one.
    if (outgoing.length === 1) {
      send([this.#pack(first.to, [first.message])]);
      return;
    }
    const messages = new Map<PeerId, Message[]>();
    for (const { to, message } of outgoing) {
      const queue = messages.get(to);
      if (queue === undefined) messages.set(to, [message]);
      else queue.push(message);
    }
    const packets: Packet[] = [];
    for (const [to, queue] of messages) packets.push(this.#pack(to, queue));
    send(packets);
  }

  #pack(to: PeerId, messages: readonly Message[]): Packet {
    const { group, from, incarnation: fromIncarnation } = this.#options;
    const toIncarnation = this.#incarnations.get(to) ?? 0;
    const isQuiet = messages.every((message) => message.type === "AppendEntries" && message.isQuiet);
    const bytes = encodeFrames(messages);
    return { kind: "packet", group, from, to, fromIncarnation, toIncarnation, isQuiet, bytes };
  }
}
