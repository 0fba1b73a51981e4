import { type Applied, answerQuery } from "../machine/apply.ts";
import { decode, encodeResults } from "../machine/codec.ts";
import type { StateMachine } from "../machine/state-machine.ts";
import type { Answer } from "./pending.ts";
import { errorData } from "./protocol.ts";

/** About what a query takes beside its own bytes while it waits, here or in an inbox. */
export const QUERY_OVERHEAD_BYTES = 256;

/** A client's question, still encoded. */
export interface Query {
  readonly client: number;
  readonly id: number;
  readonly query: Uint8Array;
  /** It is answered when this entry is applied, at the earliest. */
  readonly minIndex: number;
}

/**
 * Linearizable queries on their way: until the algorithm says from which index on each may be answered, and then until
 * that index is applied.
 */
export class Queries {
  #nextReadId = 1;
  #bytes = 0;
  readonly #reads = new Map<number, Query>();
  /** Ascending by index. */
  #released: { readonly index: number; readonly query: Query }[] = [];

  /** About how much memory those take that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @returns the number under which the algorithm is asked. */
  add(query: Query): number {
    this.#bytes += sizeOf(query);
    const readId = this.#nextReadId++;
    this.#reads.set(readId, query);
    return readId;
  }

  /** The read may be served once `index` is applied. */
  release(readId: number, index: number): void {
    const query = this.refuse(readId);
    if (query !== undefined) this.park(index, query);
  }

  /** The query may be answered once `index` and its own `minIndex` are applied. */
  park(after: number, query: Query): void {
    this.#bytes += sizeOf(query);
    const index = Math.max(after, query.minIndex);
    const before = this.#released.findLastIndex((released) => released.index <= index);
    this.#released.splice(before + 1, 0, { index, query });
  }

  /** The read cannot be served here. @returns who asked. */
  refuse(readId: number): Query | undefined {
    const query = this.#reads.get(readId);
    if (query === undefined) return undefined;
    this.#reads.delete(readId);
    this.#bytes -= sizeOf(query);
    return query;
  }

  /** The client does not wait for a query any more. @returns whether it was still to be answered. */
  cancel(client: number, id: number): boolean {
    const isIt = (query: Query) => query.client === client && query.id === id;
    for (const [readId, query] of this.#reads) {
      if (!isIt(query)) continue;
      this.refuse(readId);
      return true;
    }
    const at = this.#released.findIndex(({ query }) => isIt(query));
    const [cancelled] = at < 0 ? [] : this.#released.splice(at, 1);
    this.#bytes -= cancelled === undefined ? 0 : sizeOf(cancelled.query);
    return cancelled !== undefined;
  }

  /** @returns those that may be answered now that the state machine stands at `lastApplied`. */
  takeReady(lastApplied: number): readonly Query[] {
    const waiting = this.#released.findIndex(({ index }) => index > lastApplied);
    const ready = this.#released.splice(0, waiting < 0 ? this.#released.length : waiting).map(({ query }) => query);
    for (const query of ready) this.#bytes -= sizeOf(query);
    return ready;
  }
}

function sizeOf({ query }: Query): number {
  return query.byteLength + QUERY_OVERHEAD_BYTES;
}

/** Asks the state machine as it is after the entry `index`. */
export function answer(machine: Pick<StateMachine, "query">, { client, id, query }: Query, index: number): Answer {
  let applied: Applied;
  try {
    applied = answerQuery(machine, decode(query));
  } catch (error) {
    const refusal = errorData(error, "ERR_INVALID_COMMAND");
    return { client, reply: { kind: "refused", firstId: id, count: 1, error: refusal } };
  }
  return { client, reply: { kind: "answer", id, answer: encodeResults([applied]), index } };
}
