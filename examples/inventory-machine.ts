import type { ApplyContext, StateMachine } from "flotilla";

export type Command = { readonly op: "receive" | "ship"; readonly item: string; readonly count: number };
export type Query = { readonly item: string };

/** Never changed once it is made: so an array of them is a frozen view. */
interface Stock {
  readonly item: string;
  readonly count: number;
  readonly changedAt: number;
}

export default class Inventory implements StateMachine<Command, number, Query, number> {
  readonly version = 1;
  #stocks = new Map<string, Stock>();

  apply({ op, item, count }: Command, { time }: ApplyContext): number {
    // All that can be wrong is found before anything changes.
    if (op !== "receive" && op !== "ship") throw new Error(`op: expected receive or ship, got ${op}`);
    if (!Number.isSafeInteger(count) || count < 1) throw new Error(`count: expected 1 or more, got ${count}`);
    const before = this.query({ item });
    if (op === "ship" && count > before) throw new Error(`there are ${before} of ${item}, not ${count}`);
    const after = op === "ship" ? before - count : before + count;
    this.#stocks.set(item, { item, count: after, changedAt: time });
    return after;
  }

  query({ item }: Query): number {
    return this.#stocks.get(item)?.count ?? 0;
  }

  snapshot(): Iterable<Uint8Array> {
    // Copied now; the generator runs later, while further commands are applied.
    return encode([...this.#stocks.values()]);
  }

  restore(chunks: Iterable<Uint8Array>): void {
    const stocks = new Map<string, Stock>();
    for (const line of linesOf(chunks)) {
      const stock = JSON.parse(line) as Stock;
      stocks.set(stock.item, stock);
    }
    this.#stocks = stocks;
  }
}

function* encode(stocks: readonly Stock[]): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  for (const stock of stocks) yield encoder.encode(`${JSON.stringify(stock)}\n`);
}

/** The lines again: chunks come back cut anywhere, even within a character. */
function* linesOf(chunks: Iterable<Uint8Array>): Generator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
