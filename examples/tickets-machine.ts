import type { StateMachine } from "flotilla";
import type { Workload } from "flotilla/testing";

export type Command =
  | { readonly op: "open"; readonly title: string }
  | { readonly op: "close"; readonly number: number };
export type Query = { readonly number: number };

/** Tickets, numbered from 1 as they are opened. A number is never given twice; or is it? */
export default class Tickets implements StateMachine<Command, number, Query, string | undefined> {
  #titles = new Map<number, string>();
  #last = 0;

  apply(command: Command): number {
    if (command.op === "close") return this.#titles.delete(command.number) ? 1 : 0;
    this.#last++;
    this.#titles.set(this.#last, command.title);
    return this.#last;
  }

  query({ number }: Query): string | undefined {
    return this.#titles.get(number);
  }

  snapshot(): Uint8Array {
    return new TextEncoder().encode(JSON.stringify([...this.#titles]));
  }

  restore(chunks: Iterable<Uint8Array>): void {
    const decoder = new TextDecoder();
    let text = "";
    for (const chunk of chunks) text += decoder.decode(chunk, { stream: true });
    this.#titles = new Map(JSON.parse(text) as [number, string][]);
    this.#last = Math.max(0, ...this.#titles.keys());
  }
}

/** What clients do in a simulation. Whatever is drawn comes from `random`. */
export const simulation: Workload = {
  command(random, count): Command {
    if (random() < 0.5) return { op: "open", title: `ticket ${count}` };
    // One of the last: about every second command opens one.
    return { op: "close", number: Math.max(1, Math.ceil(count / 2) - Math.floor(random() * 4)) };
  },
  query: (random): Query => ({ number: 1 + Math.floor(random() * 100) }),
};
