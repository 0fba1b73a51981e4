import type { ApplyContext, StateMachine } from "flotilla";

export type Command = { readonly add: number };

/** Counts. Every peer makes one of these in its own thread, and applies the same commands in the same order. */
export default class Counter implements StateMachine<Command, number, "total", number> {
  #total = 0;

  apply({ add }: Command, _context: ApplyContext): number {
    // What is thrown is the command's result, so check before anything changes.
    if (!Number.isSafeInteger(add)) throw new RangeError(`expected a whole number, got ${add}`);
    this.#total += add;
    return this.#total;
  }

  query(): number {
    return this.#total;
  }

  snapshot(): Uint8Array {
    return new TextEncoder().encode(String(this.#total));
  }

  restore(chunks: Iterable<Uint8Array>): void {
    const decoder = new TextDecoder();
    let text = "";
    for (const chunk of chunks) text += decoder.decode(chunk, { stream: true });
    this.#total = Number(text);
  }
}
