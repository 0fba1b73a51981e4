import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";

/** Bounds one drain, so that a flood of mail cannot keep timers from firing. */
const MOST_AT_ONCE = 8_192;
/** The same for what it brings along: all of that goes to the disk in one write, which is to take less than an election. */
const MOST_BYTES_AT_ONCE = 8 << 20;

/** A port, and what takes its messages. */
export interface Slot {
  readonly port: MessagePort;
  readonly receive: (message: unknown) => void;
  /** About how many bytes a message brings along. Default 0. */
  readonly weigh?: (message: unknown) => number;
}

/**
 * The inbox of an actor: several ports, drained together, so that one turn of the actor's loop handles all that waits on
 * any of them.
 */
export class Mailbox {
  readonly #slots: readonly Slot[];

  /** @param slots in the order in which they are drained. */
  constructor(slots: readonly Slot[]) {
    this.#slots = slots;
  }

  /** Hands over all that is waiting. @returns false when there was so much that some was left. */
  drain(): boolean {
    let left = MOST_AT_ONCE;
    let bytesLeft = MOST_BYTES_AT_ONCE;
    for (const { port, receive, weigh } of this.#slots) {
      for (let mail = receiveMessageOnPort(port); mail !== undefined; mail = receiveMessageOnPort(port)) {
        if (weigh !== undefined) bytesLeft -= weigh(mail.message);
        receive(mail.message);
        if (--left <= 0 || bytesLeft <= 0) return false;
      }
    }
    return true;
  }
}
