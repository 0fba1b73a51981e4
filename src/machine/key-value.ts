import { ChangeHistory } from "./change-history.ts";
import { PutReader } from "./encoded-put.ts";
import { answer, carryOut, chunks, inOrder, readHead, SNAPSHOT_FORMAT } from "./key-value-rules.ts";
import type {
  KeyValueAnswer,
  KeyValueCommand,
  KeyValueQuery,
  KeyValueResult,
  KeyValueWrite,
} from "./key-value-types.ts";
import { MemoryCells } from "./memory-cells.ts";
import { RecordFinder } from "./records.ts";
import type { ApplyContext, Restoration, StateMachine } from "./state-machine.ts";

/** How the map is made, in memory or durable. */
export interface KeyValueMapOptions {
  /** How many changes are kept for who watches; default 10,000. */
  readonly maxChanges?: number;
}

/**
 * The state machine that ships: a map from strings to values, each with a version. Bad commands throw, and change nothing.
 */
export class KeyValueMap implements StateMachine<KeyValueCommand, KeyValueResult, KeyValueQuery, KeyValueAnswer> {
  readonly version: number = SNAPSHOT_FORMAT;
  readonly #put = new PutReader();
  #cells = new MemoryCells();
  /** Of the last command. */
  #index = 0;
  #history: ChangeHistory;
  readonly #maxChanges: number | undefined;

  constructor({ maxChanges }: KeyValueMapOptions = {}) {
    this.#maxChanges = maxChanges;
    this.#history = new ChangeHistory(0, maxChanges);
  }

  apply(command: KeyValueCommand, { index }: Pick<ApplyContext, "index"> = { index: this.#index + 1 }): KeyValueResult {
    this.#index = index;
    return carryOut(this.#cells, command, index, this.#history);
  }

  /** A put, or a set without a condition, of a key of ASCII and a value that is not made of others: most commands are. */
  applyEncoded(
    bytes: Uint8Array,
    start: number,
    end: number,
    { index }: Pick<ApplyContext, "index"> = { index: this.#index + 1 },
  ): KeyValueResult<KeyValueWrite & { op: "put" | "set" }> | undefined {
    if (!this.#put.read(bytes, start, end)) return undefined;
    const written = this.#cells.put(bytes, this.#put);
    if (written === undefined) return undefined;
    this.#index = index;
    this.#history.addRecord(index, written.chunk, written.start);
    const { version } = written;
    return this.#put.wantsVersion ? { ok: true, version } : version > 1;
  }

  query(query: KeyValueQuery): KeyValueAnswer {
    return answer(this.#cells, query, this.#history);
  }

  /** The first query for keys in their order has them sorted, which takes seconds for millions of them. */
  prepareQuery(query: KeyValueQuery): Iterator<void> | undefined {
    return inOrder(query) ? this.#cells.sort() : undefined;
  }

  /** Takes 10 ms for a million keys; the chunks are made when they are pulled. */
  snapshot(): Iterable<Uint8Array> {
    return chunks(this.#cells.all(), this.#cells.size, this.#index);
  }

  restore(source: Iterable<Uint8Array>): void {
    const restoration = this.beginRestore();
    for (const chunk of source) restoration.add(chunk);
    restoration.finish();
  }

  beginRestore(): Restoration {
    const finder = new RecordFinder();
    let cells: MemoryCells | undefined;
    let count = 0;
    let index = 0;
    return {
      add: (chunk) => {
        for (const place of finder.add(chunk)) {
          if (cells === undefined) {
            ({ count, index } = readHead(place));
            cells = new MemoryCells(count);
          } else if (cells.size < count) cells.restore(place);
          else throw new Error(`a snapshot with more records than the ${count} there should be`);
        }
      },
      finish: () => {
        finder.end();
        if (cells?.size !== count)
          throw new Error(`a snapshot that ends after ${cells?.size ?? 0} of ${count} entries`);
        this.#cells = cells;
        this.#index = index;
        this.#history = new ChangeHistory(index, this.#maxChanges);
      },
    };
  }
}
