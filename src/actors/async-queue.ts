/** Values that are pushed at one side and pulled, one at a time, at the other. Holds what nobody has pulled yet. */
export class AsyncQueue<Value> implements AsyncIterableIterator<Value> {
  readonly #values: Value[] = [];
  readonly #waiting: ((result: IteratorResult<Value, undefined>) => void)[] = [];
  readonly #onEnd: () => void;
  #ended = false;

  /** @param onEnd is called once, when nothing can be pushed any more. */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  push(value: Value): void {
    if (this.#ended) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#values.push(value);
    else waiting({ done: false, value });
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
    this.#values.length = 0;
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
