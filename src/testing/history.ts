import { RaftError } from "../raft/errors.ts";
import { inspectShort } from "./inspect-short.ts";

/** Who calls: one thing at a time. */
export type ClientId = string | number;

/** What is known of a call: it took effect; it certainly did not and never will; or it may have, or may yet. */
export type OperationOutcome = "ok" | "failed" | "unknown";

/** One call of a client. */
export interface Operation<Input, Output> {
  readonly client: ClientId;
  readonly input: Input;
  /** Meaningful only when `ok`. */
  readonly output?: Output | undefined;
  /** Nanoseconds, on one clock for all clients. */
  readonly call: number;
  /**
   * Nanoseconds on that clock, no less than `call`. When the outcome is unknown: when the client gave up, if that is known. The
   * operation may take effect later all the same.
   */
  readonly return?: number | undefined;
  readonly outcome: OperationOutcome;
}

/** A call that was begun, for {@link History.complete}. */
export interface Invocation {
  readonly client: ClientId;
}

/** How a call ended. */
export type Completion<Output> =
  | { readonly outcome: "ok"; readonly output?: Output }
  | { readonly outcome: "failed" | "unknown" };

/**
 * What clients did to an object and what they saw, for `checkLinearizable`. Calls that are not completed are of unknown
 * outcome. Times count from the making of the history.
 */
export class History<Input, Output> implements Iterable<Operation<Input, Output>> {
  readonly #clock: () => bigint;
  readonly #origin: bigint;
  readonly #operations: Operation<Input, Output>[] = [];
  /** Where in the operations a call is that is not completed. */
  readonly #open = new Map<Invocation, number>();
  readonly #busy = new Set<ClientId>();

  /** @param clock nanoseconds that never go back. Default: `process.hrtime.bigint` */
  constructor(clock: () => bigint = process.hrtime.bigint) {
    this.#clock = clock;
    this.#origin = clock();
  }

  /** All calls, in the order in which they were begun. */
  get operations(): readonly Operation<Input, Output>[] {
    return this.#operations;
  }

  [Symbol.iterator](): Iterator<Operation<Input, Output>> {
    return this.#operations[Symbol.iterator]();
  }

  /**
   * A client begins a call: to be said before anything is sent.
   * @throws RaftError `ERR_INVALID_HISTORY` when its call before is not completed.
   */
  invoke(client: ClientId, input: Input): Invocation {
    if (this.#busy.has(client)) {
      throw invalid(`client ${inspectShort(client)} begins a call before the one before is completed`);
    }
    const invocation = { client };
    this.#busy.add(client);
    this.#open.set(invocation, this.#operations.length);
    this.#operations.push({ client, input, call: this.#now(), outcome: "unknown" });
    return invocation;
  }

  /**
   * A call has ended: to be said as soon as the answer is there.
   * @throws RaftError `ERR_INVALID_HISTORY` when it was completed before, or is of another history.
   */
  complete(invocation: Invocation, completion: Completion<Output>): void {
    const at = this.#open.get(invocation);
    const operation = at === undefined ? undefined : this.#operations[at];
    if (at === undefined || operation === undefined) throw invalid("a call is completed that was not open");
    this.#open.delete(invocation);
    this.#busy.delete(invocation.client);
    const { client, input, call } = operation;
    const output = completion.outcome === "ok" ? completion.output : undefined;
    this.#operations[at] = { client, input, output, call, return: this.#now(), outcome: completion.outcome };
  }

  /**
   * Records a call: when `perform` resolves it is `ok`, and what it resolves with is the output. When it rejects with a
   * RaftError whose outcome is `not-applied`, it has failed; with anything else its outcome is unknown. (What a state
   * machine threw at may have changed it.)
   * @throws what `perform` rejects with.
   */
  async record(client: ClientId, input: Input, perform: () => Promise<Output>): Promise<Output> {
    const invocation = this.invoke(client, input);
    try {
      const output = await perform();
      this.complete(invocation, { outcome: "ok", output });
      return output;
    } catch (error) {
      const isFailed = error instanceof RaftError && error.outcome === "not-applied";
      this.complete(invocation, { outcome: isFailed ? "failed" : "unknown" });
      throw error;
    }
  }

  #now(): number {
    return Number(this.#clock() - this.#origin);
  }
}

function invalid(message: string): RaftError {
  return new RaftError("ERR_INVALID_HISTORY", message);
}
