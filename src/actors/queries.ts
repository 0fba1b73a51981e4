import { type ByteRange, EntryKind, forEachEntry, packRanges, parseBatch } from "../raft/entry.ts";

/** About what a query takes beside its own bytes while it waits, here or in an inbox. */
export const QUERY_OVERHEAD_BYTES = 256;

/** A client's questions that came together, still encoded. */
export interface QueryBatch {
  readonly client: number;
  /** They are numbered from here. */
  readonly firstId: number;
  readonly count: number;
  /** See {@link packQueries}. */
  readonly packed: Uint8Array;
  /** They are answered when this entry is applied, at the earliest. */
  readonly minIndex: number;
}

/** Encoded questions in one buffer, in the form that commands have on their way to a log. */
export function packQueries(queries: readonly ByteRange[]): Uint8Array<ArrayBuffer> {
  return packRanges(EntryKind.command, queries);
}

/** What `packQueries` was given; views that must not be kept. */
export function forEachQuery(packed: Uint8Array, visit: (query: Uint8Array, at: number) => void): void {
  let at = 0;
  forEachEntry(parseBatch(packed), 0, (_index, _kind, data) => visit(data, at++));
}

const NONE: readonly QueryBatch[] = [];

/** A batch on its way, and those of it that nobody waits for any more. */
interface Waiting {
  readonly batch: QueryBatch;
  readonly cancelled: Set<number>;
}

/**
 * Linearizable queries on their way: until the algorithm says from which index on each may be answered, and then until
 * that index is applied.
 */
export class Queries {
  #nextReadId = 1;
  #bytes = 0;
  readonly #reads = new Map<number, Waiting>();
  /** Ascending by index. */
  #released: { readonly index: number; readonly waiting: Waiting }[] = [];

  /** About how much memory those take that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @returns the number under which the algorithm is asked. */
  add(batch: QueryBatch): number {
    this.#bytes += sizeOf(batch);
    const readId = this.#nextReadId++;
    this.#reads.set(readId, { batch, cancelled: new Set() });
    return readId;
  }

  /** The read may be served once `index` is applied. */
  release(readId: number, index: number): void {
    const waiting = this.#take(readId);
    if (waiting !== undefined) this.#park(index, waiting);
  }

  /** The queries may be answered once `index` and their own `minIndex` are applied. */
  park(after: number, batch: QueryBatch): void {
    this.#park(after, { batch, cancelled: new Set() });
  }

  /** The read cannot be served here. @returns who asked. */
  refuse(readId: number): QueryBatch | undefined {
    return this.#take(readId)?.batch;
  }

  /**
   * The client does not wait for a query any more. It goes when nobody waits for any of its batch; until then it is
   * answered with the others.
   * @returns whether it was still to be answered.
   */
  cancel(client: number, id: number): boolean {
    const isIn = ({ batch, cancelled }: Waiting) => {
      const { firstId, count } = batch;
      return batch.client === client && id >= firstId && id < firstId + count && !cancelled.has(id);
    };
    for (const [readId, waiting] of this.#reads) {
      if (!isIn(waiting)) continue;
      if (isLast(waiting, id)) this.#take(readId);
      return true;
    }
    const at = this.#released.findIndex(({ waiting }) => isIn(waiting));
    const found = this.#released[at];
    if (found === undefined) return false;
    if (isLast(found.waiting, id)) {
      this.#released.splice(at, 1);
      this.#bytes -= sizeOf(found.waiting.batch);
    }
    return true;
  }

  /** @returns those that may be answered now that the state machine stands at `lastApplied`. */
  takeReady(lastApplied: number): readonly QueryBatch[] {
    if (this.#released.length === 0) return NONE;
    const first = this.#released.findIndex(({ index }) => index > lastApplied);
    const ready = this.#released.splice(0, first < 0 ? this.#released.length : first);
    for (const { waiting } of ready) this.#bytes -= sizeOf(waiting.batch);
    return ready.map(({ waiting }) => waiting.batch);
  }

  #take(readId: number): Waiting | undefined {
    const waiting = this.#reads.get(readId);
    if (waiting === undefined) return undefined;
    this.#reads.delete(readId);
    this.#bytes -= sizeOf(waiting.batch);
    return waiting;
  }

  #park(after: number, waiting: Waiting): void {
    this.#bytes += sizeOf(waiting.batch);
    const index = Math.max(after, waiting.batch.minIndex);
    const before = this.#released.findLastIndex((released) => released.index <= index);
    this.#released.splice(before + 1, 0, { index, waiting });
  }
}

/** Notes that nobody waits for this one. @returns whether that was the last of its batch that somebody waited for. */
function isLast({ batch, cancelled }: Waiting, id: number): boolean {
  cancelled.add(id);
  return cancelled.size === batch.count;
}

function sizeOf({ packed, count }: QueryBatch): number {
  return packed.byteLength + count * QUERY_OVERHEAD_BYTES;
}
