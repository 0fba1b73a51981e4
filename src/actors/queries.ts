import { type ByteRange, EntryKind, EntryReader, packRanges, parseBatch, wholeOf } from "../raft/entry.ts";
import { Fifo } from "../raft/fifo.ts";

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

/** What `packQueries` was given, one after the other; the first `next` comes to the one behind `skipped`. */
export function queryReader({ packed }: QueryBatch, skipped: number): EntryReader {
  const batch = parseBatch(packed);
  return new EntryReader(batch, batch.firstIndex + skipped);
}

/** A batch on its way. */
export interface WaitingQueries {
  readonly batch: QueryBatch;
  /** How many of the first have their answers. */
  answered: number;
  /** The numbers of those behind them that nobody waits for any more. */
  readonly cancelled: Set<number>;
  /** Whether all that is to be done before they are asked is done. */
  readonly isPrepared: boolean;
}

/** What the state machine has to do before it is asked, and who waits for that. */
interface Unprepared {
  readonly work: Iterator<unknown>;
  readonly waiting: WaitingQueries;
}

/**
 * Queries on their way: until the algorithm says from which index on each may be answered, until that index is applied, and
 * until there is time to answer them.
 */
export class Queries {
  #nextReadId = 1;
  #bytes = 0;
  readonly #reads = new Map<number, WaitingQueries>();
  /** Ascending by index. */
  #released: { readonly index: number; readonly waiting: WaitingQueries }[] = [];
  /** In the order in which they are prepared. */
  readonly #unprepared = new Fifo<Unprepared>();
  /** In the order in which they are answered. */
  readonly #ready = new Fifo<WaitingQueries>();

  /** About how much memory those take that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @returns the number under which the algorithm is asked. */
  add(batch: QueryBatch): number {
    const readId = this.#nextReadId++;
    this.#reads.set(readId, this.#begin(batch));
    return readId;
  }

  /** The read may be served once `index` is applied. */
  release(readId: number, index: number): void {
    const waiting = this.#reads.get(readId);
    this.#reads.delete(readId);
    if (waiting !== undefined) this.#park(index, waiting);
  }

  /** The queries may be answered once `index` and their own `minIndex` are applied. */
  park(after: number, batch: QueryBatch): void {
    this.#park(after, this.#begin(batch));
  }

  /** The queries may be answered as the state machine stands. */
  letIn(batch: QueryBatch): void {
    this.#ready.push(this.#begin(batch));
  }

  /** The read cannot be served here. @returns who asked. */
  refuse(readId: number): QueryBatch | undefined {
    const waiting = this.#reads.get(readId);
    if (waiting === undefined) return undefined;
    this.#reads.delete(readId);
    this.#end(waiting);
    return waiting.batch;
  }

  /**
   * The client does not wait for these queries any more. A batch goes when nobody waits for any of it.
   * @returns those that were still to be answered.
   */
  cancel(client: number, ids: ReadonlySet<number>): number[] {
    const cancelled: number[] = [];
    const isOver = (waiting: WaitingQueries) => {
      if (waiting.batch.client !== client || !cancelIn(waiting, ids, cancelled)) return false;
      this.#end(waiting);
      return true;
    };
    for (const [readId, waiting] of this.#reads) if (isOver(waiting)) this.#reads.delete(readId);
    this.#released = this.#released.filter(({ waiting }) => !isOver(waiting));
    this.#ready.keep((waiting) => !isOver(waiting));
    // What is done for one of these may be of use to those behind it, and most of it may be done.
    for (const { waiting } of this.#unprepared) if (waiting.batch.client === client) cancelIn(waiting, ids, cancelled);
    return cancelled;
  }

  /** @returns the first that may be answered now that the state machine stands at `lastApplied`. It stays until it is `done`. */
  firstReady(lastApplied: number): WaitingQueries | undefined {
    if (this.#released.length === 0) return this.#ready.first;
    const first = this.#released.findIndex(({ index }) => index > lastApplied);
    const ready = this.#released.splice(0, first < 0 ? this.#released.length : first);
    for (const { waiting } of ready) this.#ready.push(waiting);
    return this.#ready.first;
  }

  /** The first that may be answered has all its answers. */
  done(): void {
    const waiting = this.#ready.shift();
    if (waiting !== undefined) this.#end(waiting);
  }

  /** One that was ready waits for `work`. */
  setAside(client: number, id: number, query: Uint8Array, work: Iterator<unknown>): void {
    const batch = { client, firstId: id, count: 1, packed: packQueries([wholeOf(query)]), minIndex: 0 };
    this.#unprepared.push({ work, waiting: this.#begin(batch, true) });
  }

  /** The work that is to be done next. */
  get work(): Iterator<unknown> | undefined {
    return this.#unprepared.first?.work;
  }

  /** It is done. */
  workDone(): void {
    const done = this.#unprepared.shift();
    if (done !== undefined) this.#ready.push(done.waiting);
  }

  #begin(batch: QueryBatch, isPrepared = false): WaitingQueries {
    this.#bytes += sizeOf(batch);
    return { batch, answered: 0, cancelled: new Set(), isPrepared };
  }

  #end({ batch }: WaitingQueries): void {
    this.#bytes -= sizeOf(batch);
  }

  #park(after: number, waiting: WaitingQueries): void {
    const index = Math.max(after, waiting.batch.minIndex);
    const before = this.#released.findLastIndex((released) => released.index <= index);
    this.#released.splice(before + 1, 0, { index, waiting });
  }
}

/**
 * Notes which of the batch are among `ids`, and adds them to `found`.
 * @returns whether that leaves none that somebody waits for.
 */
function cancelIn({ batch, cancelled, answered }: WaitingQueries, ids: ReadonlySet<number>, found: number[]): boolean {
  const { firstId, count } = batch;
  const isLeft = (id: number) => id >= firstId + answered && id < firstId + count && !cancelled.has(id);
  const numbers = ids.size < count ? [...ids] : Array.from({ length: count }, (_, at) => firstId + at);
  for (const id of numbers) {
    if (!isLeft(id) || !ids.has(id)) continue;
    cancelled.add(id);
    found.push(id);
  }
  return cancelled.size === count - answered;
}

function sizeOf({ packed, count }: QueryBatch): number {
  return packed.byteLength + count * QUERY_OVERHEAD_BYTES;
}
