import type { Save } from "../raft/effects.ts";
import { type Batch, batchPosition, sliceBatch } from "../raft/entry.ts";
import { invariant, RaftError } from "../raft/errors.ts";
import type { TermRun } from "../raft/log.ts";
import { corrupt, sealBatch, storageError, unsealBatch } from "./codec.ts";
import { batchWrite, metaWrite, termWrite } from "./layout.ts";
import type { Records, RecordWrite } from "./records.ts";
import type { Store, StoredState } from "./store.ts";

/** Where the log ends: what the next batch has to fit. */
interface Tail {
  readonly lastIndex: number;
  readonly endPosition: number;
  /** Never empty. */
  readonly terms: readonly TermRun[];
}

/**
 * The store that all stores here are, over records of some kind. A save is planned first (read, cut, checksummed) and
 * then committed, so that nothing but copying is left to do inside a transaction.
 */
export class RecordStore implements Store {
  readonly state: StoredState;
  readonly #records: Records;
  #tail: Tail;
  /** Why the store is of no more use. */
  #failure: unknown;
  #closed: Promise<void> | undefined;

  /** @param state what `openRecords` returned for these records. */
  constructor(records: Records, state: StoredState) {
    this.#records = records;
    this.state = state;
    this.#tail = state;
  }

  save(save: Save): void {
    this.#checkUsable();
    if (this.#failure !== undefined) throw this.#failure;
    try {
      const { writes, tail } = this.#plan(save);
      if (writes.length === 0) return;
      this.#records.commit(writes);
      this.#tail = tail;
    } catch (error) {
      this.#failure = storageError("the store cannot be written", error, "unknown");
      throw this.#failure;
    }
  }

  read(from: number, maxBytes: number): Batch[] {
    this.#checkUsable();
    const { firstIndex } = this.state;
    const { lastIndex } = this.#tail;
    invariant(
      from >= firstIndex && from <= lastIndex,
      () => `cannot read ${from} of a log of ${firstIndex}..${lastIndex}`,
    );
    try {
      return this.#readUntil(from, lastIndex, maxBytes);
    } catch (error) {
      throw storageError("the store cannot be read", error);
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#records.close();
    return this.#closed;
  }

  #checkUsable(): void {
    if (this.#closed !== undefined) throw new RaftError("ERR_STOPPED", "the store is closed");
  }

  #plan(save: Save): { writes: RecordWrite[]; tail: Tail } {
    const writes: RecordWrite[] = [];
    let tail = this.#tail;
    if (save.truncateFrom !== undefined && save.truncateFrom <= tail.lastIndex) {
      tail = this.#planTruncation(writes, tail, save.truncateFrom);
    }
    for (const batch of save.batches) tail = planAppend(writes, tail, batch);
    if (save.hardState !== undefined) writes.push(metaWrite("hardState", save.hardState));
    return { writes, tail };
  }

  #planTruncation(writes: RecordWrite[], tail: Tail, from: number): Tail {
    const { firstIndex } = this.state;
    invariant(from > firstIndex, () => `cannot drop the entries from ${from} on of a log that begins at ${firstIndex}`);
    const whole = this.#holding(from - 1);
    const kept = sliceBatch(whole, whole.firstIndex, from - 1);
    if (kept !== whole) writes.push({ table: "log", key: kept.firstIndex, value: sealBatch(kept) });
    for (const table of ["log", "terms"] as const) {
      for (const key of this.#records.keysFrom(table, from)) writes.push({ table, key, value: undefined });
    }
    return {
      lastIndex: kept.lastIndex,
      endPosition: batchPosition(kept) + kept.bytes.byteLength,
      terms: tail.terms.filter((run) => run.firstIndex < from),
    };
  }

  #readUntil(from: number, lastIndex: number, maxBytes: number): Batch[] {
    let batch = this.#holding(from);
    const batches = [batch];
    let bytes = batch.bytes.byteLength;
    while (batch.lastIndex < lastIndex && bytes < maxBytes) {
      batch = this.#following(batch);
      batches.push(batch);
      bytes += batch.bytes.byteLength;
    }
    return batches;
  }

  /** The batch that holds entry `index`. */
  #holding(index: number): Batch {
    const key = this.#records.floor("log", index);
    const batch = key === undefined ? undefined : this.#recordAt(key);
    if (batch === undefined || batch.lastIndex < index) throw corrupt(`entry ${index} of the log is missing`);
    return batch;
  }

  #following(batch: Batch): Batch {
    const index = batch.lastIndex + 1;
    const next = this.#recordAt(index);
    const position = batchPosition(batch) + batch.bytes.byteLength;
    if (batchPosition(next) !== position || next.term < batch.term) {
      throw corrupt(`the log record of entry ${index} does not fit the one before it`);
    }
    return next;
  }

  #recordAt(index: number): Batch {
    const record = this.#records.get("log", index);
    if (record === undefined) throw corrupt(`entry ${index} of the log is missing`);
    return unsealBatch(index, record);
  }
}

function planAppend(writes: RecordWrite[], tail: Tail, batch: Batch): Tail {
  const lastTerm = tail.terms.at(-1)?.term ?? 0;
  invariant(
    batch.firstIndex === tail.lastIndex + 1 && batchPosition(batch) === tail.endPosition && batch.term >= lastTerm,
    () =>
      `a batch from ${batch.firstIndex} at ${batchPosition(batch)} in term ${batch.term} does not fit a log that ends ` +
      `with ${tail.lastIndex} at ${tail.endPosition} in term ${lastTerm}`,
  );
  writes.push(batchWrite(batch));
  let { terms } = tail;
  if (batch.term !== lastTerm) {
    const run = { firstIndex: batch.firstIndex, term: batch.term };
    writes.push(termWrite(run));
    terms = [...terms, run];
  }
  return { lastIndex: batch.lastIndex, endPosition: tail.endPosition + batch.bytes.byteLength, terms };
}
