import { Fifo } from "../raft/fifo.ts";

/** Values that are pushed at one side and pulled, one at a time, at the other. Holds what nobody has pulled yet. */
export class AsyncQueue<Value> implements AsyncIterableIterator<Value> {
  readonly #values = new Fifo<Value>();
  readonly #waiting: ((result: IteratorResult<Value, undefined>) => void)[] = [];
  readonly #onEnd: () => void;
  readonly #limit: number;
  #dropped = 0;
  #ended = false;

  /**
   * @param onEnd is called once, when nothing can be pushed any more.
   * @param limit the most values that wait; beyond it the oldest are dropped.
   */
  constructor(onEnd: () => void, limit = Number.POSITIVE_INFINITY) {
    this.#onEnd = onEnd;
    this.#limit = limit;
  }

  /** How many values were dropped so far, since they were not pulled in time. */
  get dropped(): number {
    return this.#dropped;
  }

  /** @returns how many values were dropped to make room. */
  push(value: Value): number {
    if (this.#ended) return 0;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      waiting({ done: false, value });
      return 0;
    }
    this.#values.push(value);
    if (this.#values.length <= this.#limit) return 0;
    this.#values.shift();
    this.#dropped++;
    return 1;
  }

  /** What was pushed before can still be pulled. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
    this.#onEnd();
  }

  async next(): Promise<IteratorResult<Value, undefined>> {
    if (this.#values.length > 0) return { done: false, value: this.#values.shift() as Value };
    if (this.#ended) return { done: true, value: undefined };
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async return(): Promise<IteratorResult<Value, undefined>> {
    this.#values.clear();
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
