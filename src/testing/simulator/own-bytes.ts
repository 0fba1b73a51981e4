import { type EncodedMachine, takesEncoded } from "../../machine/apply.ts";
import { isDurable } from "../../machine/load.ts";
import type { AnyStateMachine, StateMachine } from "../../machine/state-machine.ts";

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

  constructor(inner: StateMachine, count: number) {
    this.#inner = inner;
    this.#count = count;
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
}

function* joined(count: number, chunks: Iterable<Uint8Array>): Iterable<Uint8Array> {
  yield new Uint8Array(1 + count).fill(count);
  yield* chunks;
}

/** Without as many bytes as the first one says, and that one. */
function* withoutFirst(chunks: Iterable<Uint8Array>): Iterable<Uint8Array> {
  let left: number | undefined;
  for (const chunk of chunks) {
    if (chunk.byteLength === 0) continue;
    left ??= 1 + (chunk[0] ?? 0);
    const rest = chunk.subarray(left);
    left -= chunk.byteLength - rest.byteLength;
    if (rest.byteLength > 0) yield rest;
  }
}
