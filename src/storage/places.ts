import type { LongValue } from "./journal-format.ts";
import type { LongTable, RecordWrite, Table } from "./records.ts";

/** Where a long value stands: in which value file, and what part of it. */
export interface Place {
  readonly file: number;
  readonly at: number;
  readonly byteLength: number;
}

/** A change of the table of places: a long value has got its place, or is gone. */
export interface PlaceWrite {
  readonly key: number;
  readonly place: Place | undefined;
}

const NOWHERE = { file: 0, at: 0 };

/** The key under which the place of a value is kept, that of the value and its table's. */
function placeKey(table: LongTable, key: number): number {
  return 2 * key + (table === "snapshot" ? 1 : 0);
}

/** The value whose place is kept under `key`. */
export function placedValue(key: number): { readonly table: LongTable; readonly key: number } {
  return { table: key % 2 === 0 ? "log" : "snapshot", key: Math.floor(key / 2) };
}

/** Where all long values of a store stand, and with that which value files are in use. Their own tables hold empty values. */
export class Places {
  readonly #places = new Map<number, Place>();
  /** How many values of each file are in use. */
  readonly #used = new Map<number, number>();
  /** The keys of what the table of places does not have yet. */
  readonly #changed = new Set<number>();

  /** @param stored what the table of places holds. */
  constructor(stored: Iterable<readonly [key: number, place: Place]>) {
    for (const [key, place] of stored) this.#set(key, place);
  }

  /** The numbers of the value files in which something is in use. */
  get files(): ReadonlySet<number> {
    return new Set(this.#used.keys());
  }

  [Symbol.iterator](): Iterator<[key: number, place: Place]> {
    return this.#places.entries();
  }

  find(table: Table, key: string | number): Place | undefined {
    return isLongTable(table) ? this.#places.get(placeKey(table, Number(key))) : undefined;
  }

  /**
   * Follows a commit: what it writes or removes stands nowhere else any more.
   * @param long its long values.
   * @param from in which value file, and at what position in it, the bytes begin in which they are.
   */
  follow(writes: readonly RecordWrite[], long: readonly LongValue[] = [], from = NOWHERE): void {
    if (this.#places.size > 0) {
      for (const { table, key } of writes) if (isLongTable(table)) this.#drop(placeKey(table, Number(key)));
    }
    for (const { table, key, at, byteLength } of long) {
      const place = placeKey(table, key);
      this.#changed.add(place);
      this.#set(place, { file: from.file, at: from.at + at, byteLength });
    }
  }

  /** What the table of places has to be told. */
  takeChanges(): PlaceWrite[] {
    const changes = Array.from(this.#changed, (key) => ({ key, place: this.#places.get(key) }));
    this.#changed.clear();
    return changes;
  }

  #set(key: number, place: Place): void {
    this.#places.set(key, place);
    this.#used.set(place.file, (this.#used.get(place.file) ?? 0) + 1);
  }

  #drop(key: number): void {
    const place = this.#places.get(key);
    if (place === undefined) return;
    this.#places.delete(key);
    this.#changed.add(key);
    const left = (this.#used.get(place.file) ?? 1) - 1;
    if (left === 0) this.#used.delete(place.file);
    else this.#used.set(place.file, left);
  }
}

function isLongTable(table: Table): table is LongTable {
  return table === "log" || table === "snapshot";
}
