/**
 * Has a store verified before the first start of its peer's thread, and not before later ones: what a thread leaves
 * when it dies, LMDB bears. A verification that failed is made again.
 */
export class VerifyOnce {
  readonly #verify: ((signal: AbortSignal) => Promise<void>) | undefined;
  #isDone: boolean;
  #underWay: { readonly settled: Promise<void>; readonly abort: AbortController } | undefined;

  /** @param verify resolves when the store may be opened; undefined when there is nothing to find out. */
  constructor(verify: ((signal: AbortSignal) => Promise<void>) | undefined) {
    this.#verify = verify;
    this.#isDone = verify === undefined;
  }

  /** Whether the store may be opened as it is. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Resolves when the store may be opened, and rejects when it must not; one who comes later waits for the same. */
  verify(): Promise<void> {
    if (this.#isDone || this.#verify === undefined) return Promise.resolve();
    if (this.#underWay === undefined) {
      const abort = new AbortController();
      const settled = this.#run(this.#verify, abort.signal);
      this.#underWay = { settled, abort };
    }
    return this.#underWay.settled;
  }

  /** Ends the verification that is under way, if one is; resolves when it has ended. */
  async abort(): Promise<void> {
    this.#underWay?.abort.abort();
    await this.#underWay?.settled.catch(() => {});
  }

  async #run(verify: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    try {
      await verify(signal);
      this.#isDone = true;
    } finally {
      this.#underWay = undefined;
    }
  }
}
