import { inspect } from "node:util";
import { ChangeHistory } from "./change-history.ts";
import { decodeFirst, decodeWithin } from "./codec.ts";
import { answer, type Cell, type Cells, carryOut, chunks, type WritableCells } from "./key-value-rules.ts";
import type {
  KeyValueAnswer,
  KeyValueCommand,
  KeyValueEntry,
  KeyValueQuery,
  KeyValueResult,
} from "./key-value-types.ts";
import { findRecords } from "./records.ts";
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
    const cells = this.#cells.all();
    return chunks(cells, cells.length, this.#index);
  }

  restore(source: Iterable<Uint8Array>): void {
    const cells = new Map<string, Cell>();
    let head: readonly [count: number, index: number] | undefined;
    for (const { bytes, start, end } of findRecords(source)) {
      if (head === undefined) {
        // The first version of the format has the count alone.
        const first = decodeWithin(bytes, start, end) as number | readonly [number, number];
        head = typeof first === "number" ? [first, 0] : first;
        continue;
      }
      const cell = new RestoredCell(bytes, start, end);
      cells.set(cell.key, cell);
    }
    if (head?.[0] !== cells.size) {
      throw new Error(`a snapshot that ends after ${cells.size} of ${inspect(head?.[0])} entries`);
    }
    this.#cells = new MemoryCells(cells);
    this.#index = head[1];
    this.#history = new ChangeHistory(this.#index, this.#maxChanges);
  }
}

/** The entries of a map in memory. */
class MemoryCells implements Cells, WritableCells {
  /** None is ever written to, so that an array of all of them is a frozen view. */
  readonly #cells: Map<string, Cell>;
  /** Made when it is first asked for, and kept up to date from then on. */
  #sorted: SortedKeys | undefined;

  constructor(cells = new Map<string, Cell>()) {
    this.#cells = cells;
  }

  get size(): number {
    return this.#cells.size;
  }

  get(key: string): Cell | undefined {
    return this.#cells.get(key);
  }

  all(): Cell[] {
    return Array.from(this.#cells.values());
  }

  *from(from: string): Generator<Cell> {
    this.#sorted ??= new SortedKeys(this.#cells.keys());
    for (const key of this.#sorted.from(from)) {
      const cell = this.#cells.get(key);
      if (cell !== undefined) yield cell;
    }
  }

  set(key: string, cell: Cell | undefined): void {
    if (cell === undefined) {
      if (this.#cells.delete(key)) this.#sorted?.delete(key);
      return;
    }
    if (this.#sorted !== undefined && !this.#cells.has(key)) this.#sorted.add(key);
    this.#cells.set(key, cell);
  }
}

/**
 * What stands at a key since a snapshot was restored. Most of a large state is not looked at for long: it stays as it came,
 * bytes outside of the collector's heap, and only keys are made into strings. A whole chunk stays as long as one of its cells.
 */
class RestoredCell implements Cell {
  readonly key: string;
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.key = decodeFirst(bytes, start, end) as string;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  get value(): unknown {
    return this.entry().value;
  }

  get version(): number {
    return this.entry().version;
  }

  entry(): KeyValueEntry {
    const record = decodeWithin(this.#bytes, this.#start, this.#end);
    // The first version of the format has no versions.
    const [key, value, version = 1] = record as [string, unknown, number?];
    return { key, value, version };
  }
}
