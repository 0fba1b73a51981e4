import { MachineChanges } from "./machine-changes.ts";
import {
  type FrozenTable,
  type KeyedRecord,
  type KeyRange,
  type NumberedTable,
  PAGE_BYTES,
  type ReadableRecords,
  type RecordWrite,
  type Table,
} from "./records.ts";
import { SortedNumbers } from "./sorted-numbers.ts";

/** Of a table, the latest of each key; undefined for one that is removed. Bytes that are written over when the overlay is cleared. */
type Changes = Map<string | number, Uint8Array | undefined>;

/** Records with writes on top of them that they do not have yet. */
export class Overlaid implements ReadableRecords {
  readonly #base: ReadableRecords;
  readonly #changes: Readonly<Record<Exclude<Table, "machine">, Changes>> = {
    meta: new Map(),
    log: new Map(),
    terms: new Map(),
    snapshot: new Map(),
  };
  /** The keys of those that are not removed. */
  readonly #keys: Readonly<Record<NumberedTable, SortedNumbers>> = {
    log: new SortedNumbers(),
    terms: new SortedNumbers(),
    snapshot: new SortedNumbers(),
  };
  readonly #machine = new MachineChanges();
  /** Of the tables with numbers, whose keys are written once or in an order that matters. */
  #numbered: RecordWrite[] = [];
  #removals = 0;

  constructor(base: ReadableRecords) {
    this.#base = base;
  }

  /** How many removals there are, each of which makes reading a little slower. */
  get removals(): number {
    return this.#removals;
  }

  /** Puts them on top, in their order. The bytes stay the caller's, who leaves them as they are until `clear()`. */
  add(writes: readonly RecordWrite[]): void {
    for (const write of writes) {
      const { table, key, value } = write;
      if (table === "machine") this.#machine.set(String(key), value);
      else this.#changes[table].set(key, value);
      if (value === undefined) this.#removals++;
      if (table === "meta" || table === "machine") continue;
      this.#numbered.push(write);
      if (value === undefined) this.#keys[table].delete(Number(key));
      else this.#keys[table].add(Number(key));
    }
  }

  /** Forgets what was added: the records below have it now. */
  clear(): void {
    for (const changes of Object.values(this.#changes)) changes.clear();
    for (const keys of Object.values(this.#keys)) keys.clear();
    this.#machine.clear();
    this.#numbered = [];
    this.#removals = 0;
  }

  /** What brings the records below to where they are with this on top of them. */
  writes(): RecordWrite[] {
    const meta = Array.from(this.#changes.meta, ([key, value]): RecordWrite => ({ table: "meta", key, value }));
    const machine = Array.from(this.#machine, ({ key, value }): RecordWrite => ({ table: "machine", key, value }));
    return [...this.#numbered, ...meta, ...machine];
  }

  get(table: Table, key: string | number): Uint8Array | undefined {
    const isMachine = table === "machine";
    const own = isMachine ? this.#machine.get(String(key)) : this.#changes[table].get(key);
    if (own !== undefined) return new Uint8Array(own);
    const isRemoved = isMachine ? this.#machine.has(String(key)) : this.#changes[table].has(key);
    return isRemoved ? undefined : this.#base.get(table, key);
  }

  floor(table: NumberedTable, key: number): number | undefined {
    let found = this.#base.floor(table, key);
    while (found !== undefined && this.#isRemoved(table, found)) found = this.#base.floor(table, found - 1);
    const own = this.#keys[table].floor(key);
    return own === undefined || (found !== undefined && found > own) ? found : own;
  }

  keysFrom(table: NumberedTable, key: number, limit?: number): number[] {
    if (this.#changes[table].size === 0) return this.#base.keysFrom(table, key, limit);
    const below = this.#base.keysFrom(table, key, limit === undefined ? undefined : limit + this.#removals);
    const keys = new Set(below.filter((found) => !this.#isRemoved(table, found)));
    for (const own of this.#keys[table].from(key, limit)) keys.add(own);
    return [...keys].sort((a, b) => a - b).slice(0, limit);
  }

  page(range: KeyRange): KeyedRecord[] {
    return mergedPage(this.#base, this.#machine, range);
  }

  machineKeys(range: KeyRange): string[] {
    const { from, to, limit } = range;
    if (this.#machine.size === 0) return this.#base.machineKeys(range);
    const below = this.#base.machineKeys({ from, to, limit: limit + this.#removals });
    const keys = new Set(below.filter((key) => !this.#machine.has(key)));
    let own = 0;
    for (const { key, value } of this.#machine.between(from, to)) {
      if (own === limit) break;
      if (value === undefined) continue;
      keys.add(key);
      own++;
    }
    return [...keys].sort().slice(0, limit);
  }

  freeze(): FrozenTable {
    const frozen = this.#base.freeze();
    const own = this.#machine.copy();
    return {
      page: (range) => mergedPage(frozen, own, range),
      release: () => frozen.release(),
    };
  }

  #isRemoved(table: NumberedTable, key: number): boolean {
    const changes = this.#changes[table];
    return changes.get(key) === undefined && changes.has(key);
  }
}

/** @param changes what is on top. */
function mergedPage(
  base: Pick<FrozenTable, "page">,
  changes: MachineChanges,
  { from, to, limit }: KeyRange,
): KeyedRecord[] {
  if (changes.size === 0) return base.page({ from, to, limit });
  const merged: KeyedRecord[] = [];
  let bytes = 0;
  const own = changes.between(from, to);
  let next = own.next().value;
  const isFull = () => merged.length >= limit || bytes >= PAGE_BYTES;
  const take = ({ key, value }: KeyedRecord) => {
    if (isFull()) return;
    merged.push({ key, value });
    bytes += value.byteLength;
  };
  /** What is on top and comes before `end`. */
  const takeOwn = (end: string) => {
    for (; next !== undefined && next.key < end && !isFull(); next = own.next().value) {
      if (next.value !== undefined) take({ key: next.key, value: new Uint8Array(next.value) });
    }
  };
  for (let start = from; !isFull(); ) {
    const below = base.page({ from: start, to, limit });
    for (const record of below) {
      takeOwn(record.key);
      // One that is changed or removed comes with what is on top.
      if (next?.key !== record.key) take(record);
    }
    const last = below.at(-1);
    if (last === undefined) {
      takeOwn(to);
      break;
    }
    // The key that comes next in any order of strings.
    start = `${last.key}\0`;
    takeOwn(start);
  }
  return merged;
}
