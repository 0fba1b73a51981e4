import { isDurable } from "../../machine/load.ts";
import { type EncodedMachine, type GradualMachine, restoresGradually, takesEncoded } from "../../machine/offers.ts";
import type { AnyStateMachine, Restoration, StateMachine } from "../../machine/state-machine.ts";

/** The most that a peer's snapshots have more than another's: less than the smallest chunk. */
const MOST = 100;

/**
 * A machine whose snapshots differ in their bytes from those that other peers make of the same state, as a machine's may:
 * parts of two of them do not go together. A durable machine's are not the machine's to decide.
 *
 * @param share 0 to 1: how many bytes, of the most there may be, are put in front of the machine's own.
 */
export function withOwnBytes(machine: AnyStateMachine, share: number): AnyStateMachine {
  return isDurable(machine) ? machine : new OwnBytes(machine, Math.floor(share * MOST));
}

class OwnBytes implements StateMachine {
  readonly #inner: StateMachine;
  readonly #count: number;
  readonly beginRestore?: () => Restoration;

  constructor(inner: StateMachine, count: number) {
    this.#inner = inner;
    this.#count = count;
    if (restoresGradually(inner)) this.beginRestore = () => this.#beginRestore(inner);
  }

  get version(): number {
    return this.#inner.version ?? 0;
  }

  apply(...[command, context]: Parameters<StateMachine["apply"]>): unknown {
    return this.#inner.apply(command, context);
  }

  applyEncoded(...[bytes, start, end, context]: Parameters<EncodedMachine["applyEncoded"]>): unknown {
    return takesEncoded(this.#inner) ? this.#inner.applyEncoded(bytes, start, end, context) : undefined;
  }

  query(query: unknown): unknown {
    return this.#inner.query(query);
  }

  /** The view is frozen now, and pulled later. */
  snapshot(): Iterable<Uint8Array> {
    const view = this.#inner.snapshot();
    return joined(this.#count, view instanceof Uint8Array ? [view] : view);
  }

  restore(chunks: Iterable<Uint8Array>): void {
    this.#inner.restore(withoutFirst(chunks));
  }

  #beginRestore(inner: GradualMachine): Restoration {
    const restoration = inner.beginRestore();
    const own = new OwnFirst();
    return {
      add: (chunk) => {
        const rest = own.without(chunk);
        if (rest.byteLength > 0) restoration.add(rest);
      },
      finish: () => restoration.finish(),
    };
  }
}

function* joined(count: number, chunks: Iterable<Uint8Array>): Iterable<Uint8Array> {
  yield new Uint8Array(1 + count).fill(count);
  yield* chunks;
}

function* withoutFirst(chunks: Iterable<Uint8Array>): Iterable<Uint8Array> {
  const own = new OwnFirst();
  for (const chunk of chunks) {
    const rest = own.without(chunk);
    if (rest.byteLength > 0) yield rest;
  }
}

/** As many bytes as the first one says, and that one. */
class OwnFirst {
  #left: number | undefined;

  /** What of the next chunk is behind them. */
  without(chunk: Uint8Array): Uint8Array {
    if (chunk.byteLength === 0) return chunk;
    this.#left ??= 1 + (chunk[0] ?? 0);
    const rest = chunk.subarray(this.#left);
    this.#left -= chunk.byteLength - rest.byteLength;
    return rest;
  }
}
