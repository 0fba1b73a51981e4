import { MessageChannel } from "node:worker_threads";

const { port1: closed } = new MessageChannel();
closed.close();

/** Frees the memory of a buffer at once, which is empty then: what is transferred to a port that is closed is gone. */
export function freeBuffer(buffer: ArrayBuffer): void {
  closed.postMessage(undefined, [buffer]);
}
