import { ChangeHistory } from "./change-history.ts";
import { decodeWithin } from "./codec.ts";
import { answer, type Cell, type Cells, carryOut, chunks, type WritableCells } from "./key-value-rules.ts";
import type { KeyValueAnswer, KeyValueCommand, KeyValueQuery, KeyValueResult } from "./key-value-types.ts";
import { findRecords } from "./records.ts";
import { RestoredCells } from "./restored-cells.ts";
import { SortedKeys } from "./sorted-keys.ts";
import type { ApplyContext, StateMachine } from "./state-machine.ts";

/** How the map is made, in memory or durable. */
export interface KeyValueMapOptions {
  /** How many changes are kept for who watches; default 10,000. */
  readonly maxChanges?: number;
}

/**
 * The state machine that ships: a map from strings to values, each with a version. Bad commands throw, and change nothing.
 */
export class KeyValueMap implements StateMachine<KeyValueCommand, KeyValueResult, KeyValueQuery, KeyValueAnswer> {
  readonly version = 2;
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

  query(query: KeyValueQuery): KeyValueAnswer {
    return answer(this.#cells, query, this.#history);
  }

  /** Takes 10 ms for a million keys; the chunks are made when they are pulled. */
  snapshot(): Iterable<Uint8Array> {
    return chunks(this.#cells.all(), this.#cells.size, this.#index);
  }

  restore(source: Iterable<Uint8Array>): void {
    let cells: RestoredCells | undefined;
    let count = 0;
    let index = 0;
    for (const place of findRecords(source)) {
      if (cells === undefined) {
        // The first version of the format has the count alone.
        const first = decodeWithin(place.bytes, place.start, place.end) as number | readonly [number, number];
        [count, index] = typeof first === "number" ? [first, 0] : first;
        cells = new RestoredCells(count);
      } else cells.add(place);
    }
    if (cells?.size !== count) throw new Error(`a snapshot that ends after ${cells?.size ?? 0} of ${count} entries`);
    this.#cells = new MemoryCells(cells);
    this.#index = index;
    this.#history = new ChangeHistory(this.#index, this.#maxChanges);
  }
}

/** The entries of a map in memory: in the order in which their keys came, on every peer. */
class MemoryCells implements Cells, WritableCells {
  readonly #restored: RestoredCells;
  /** Those whose keys came later. No cell is ever written to. */
  readonly #cells = new Map<string, Cell>();
  /** Made when it is first asked for, and kept up to date from then on. */
  #sorted: SortedKeys | undefined;

  constructor(restored = new RestoredCells(0)) {
    this.#restored = restored;
  }

  get size(): number {
    return this.#restored.size + this.#cells.size;
  }

  get(key: string): Cell | undefined {
    return this.#cells.get(key) ?? this.#restored.get(key);
  }

  /** Those that there are now, whatever becomes of them before they are pulled. */
  all(): Iterable<Cell> {
    const restored = this.#restored.all();
    const cells = Array.from(this.#cells.values());
    return (function* () {
      yield* restored;
      yield* cells;
    })();
  }

  *from(from: string): Generator<Cell> {
    this.#sorted ??= new SortedKeys(Array.from(this.all(), ({ key }) => key));
    for (const key of this.#sorted.from(from)) {
      const cell = this.get(key);
      if (cell !== undefined) yield cell;
    }
  }

  set(key: string, cell: Cell | undefined): void {
    if (cell === undefined) {
      if (this.#cells.delete(key) || this.#restored.delete(key)) this.#sorted?.delete(key);
      return;
    }
    if (this.#restored.size > 0 && !this.#cells.has(key) && this.#restored.set(key, cell)) return;
    if (this.#sorted !== undefined && !this.#cells.has(key)) this.#sorted.add(key);
    this.#cells.set(key, cell);
  }
}
