import type { Answer } from "./pending.ts";
import type { LaneReply } from "./protocol.ts";

/** What a peer has to tell its clients, gathered until it is told: one message for each client. */
export class Replies {
  readonly #send: (client: number, replies: readonly LaneReply[]) => void;
  readonly #clients = new Set<number>();
  #ready: Answer[] = [];
  #afterSave: Answer[] = [];

  constructor(send: (client: number, replies: readonly LaneReply[]) => void) {
    this.#send = send;
  }

  /** A client came; from now on it hears what all hear. */
  addClient(client: number): void {
    this.#clients.add(client);
  }

  /** For who adds answers by itself. */
  get ready(): Answer[] {
    return this.#ready;
  }

  add(client: number, reply: LaneReply): void {
    this.#ready.push({ client, reply });
  }

  /** Not before what was appended in this turn is on the disk; see `saved`. */
  addAfterSave(client: number, reply: LaneReply): void {
    this.#afterSave.push({ client, reply });
  }

  addForAll(reply: LaneReply): void {
    for (const client of this.#clients) this.#ready.push({ client, reply });
  }

  /** What this turn has appended is on the disk. */
  saved(): void {
    if (this.#afterSave.length === 0) return;
    this.#ready.push(...this.#afterSave);
    this.#afterSave = [];
  }

  tell(): void {
    if (this.#ready.length === 0) return;
    const byClient = new Map<number, LaneReply[]>();
    for (const { client, reply } of this.#ready) {
      const queue = byClient.get(client);
      if (queue === undefined) byClient.set(client, [reply]);
      else queue.push(reply);
    }
    this.#ready = [];
    for (const [client, replies] of byClient) this.#send(client, replies);
  }
}
