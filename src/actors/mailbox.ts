import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";

/** Bounds one drain, so that a flood of mail cannot keep timers from firing. */
const MOST_AT_ONCE = 8_192;

/**
 * The inbox of an actor: several ports, drained together. The first message that arrives takes with it everything that
 * is waiting on any port, so that one turn of the actor's loop handles it all.
 */
export class Mailbox {
  readonly #ports: readonly { readonly port: MessagePort; readonly receive: (message: unknown) => void }[];

  /**
   * @param ports each with what takes its messages, in the order in which they are drained.
   * @param onMail is called after a drain.
   */
  constructor(
    ports: readonly { readonly port: MessagePort; readonly receive: (message: unknown) => void }[],
    onMail: () => void,
  ) {
    this.#ports = ports;
    for (const { port, receive } of ports) {
      port.on("message", (message: unknown) => {
        receive(message);
        this.drain();
        onMail();
      });
    }
  }

  /** Hands over all that is waiting. */
  drain(): void {
    let left = MOST_AT_ONCE;
    for (const { port, receive } of this.#ports) {
      for (let mail = receiveMessageOnPort(port); mail !== undefined; mail = receiveMessageOnPort(port)) {
        receive(mail.message);
        if (--left <= 0) return;
      }
    }
  }

  close(): void {
    for (const { port } of this.#ports) port.close();
  }
}
