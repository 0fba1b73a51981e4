import { storageError } from "./codec.ts";
import { openRecords } from "./opening.ts";
import { RecordStore } from "./record-store.ts";
import {
  type FrozenTable,
  type KeyedRecord,
  type KeyRange,
  type NumberedTable,
  PAGE_BYTES,
  type Records,
  type RecordWrite,
  type Table,
} from "./records.ts";
import { lowerBound, SortedNumbers } from "./sorted-numbers.ts";
import type { StoreOptions } from "./store.ts";

/** Which disk the store is on. */
export interface MemoryStoreOptions extends StoreOptions {
  readonly disk: MemoryDisk;
  /** How many bytes of a durable machine's new state are written at a time, about. Default 1 MiB. */
  readonly replaceBytes?: number;
}

/** A store on a {@link MemoryDisk}: behaves as the one on disk does, checksums included. */
export class MemoryStore extends RecordStore {
  /**
   * Makes or opens the store on `disk`. To crash a store, drop it and open another on the same disk.
   * @throws RaftError as `LmdbStore.open` does.
   */
  static open(options: MemoryStoreOptions): MemoryStore {
    try {
      return new MemoryStore(options.disk, openRecords(options.disk, options), options.replaceBytes);
    } catch (error) {
      throw storageError("the store in memory cannot be opened", error);
    }
  }
}

/**
 * What outlives a {@link MemoryStore}, with the faults of a disk. Each write of a store, and each opening of one, is one
 * atomic commit.
 */
export class MemoryDisk implements Records {
  /** Whether a commit is durable at once. If not, it waits for `sync`, and `loseUnsynced` can undo it. */
  autoSync = true;
  /** How long the next commit takes, in milliseconds. */
  latencyMs: () => number = () => 0;
  /** Called before a commit that takes time, with its milliseconds: here a simulator moves its clock on. */
  onDelay: (ms: number) => void = () => {};
  readonly #tables: Readonly<Record<Table, MemoryTable>> = {
    meta: new MemoryTable(),
    log: new MemoryTable(),
    terms: new MemoryTable(),
    snapshot: new MemoryTable(),
    machine: new MemoryTable(),
  };
  /** What takes the unsynced commits back, oldest first. */
  #undo: RecordWrite[] = [];
  readonly #failures: { readonly error: Error; readonly when: "before" | "after" }[] = [];

  /** Makes all commits so far durable. */
  sync(): void {
    this.#undo = [];
  }

  /** What a power loss does: all commits since the last `sync` are gone. Any store open on this disk is invalid now. */
  loseUnsynced(): void {
    for (const write of this.#undo.reverse()) this.#apply(write);
    this.#undo = [];
  }

  /**
   * The next commit throws `error`, before it changes anything or after it is done; several calls, several commits.
   */
  failNext(error: Error, when: "before" | "after" = "before"): void {
    this.#failures.push({ error, when });
  }

  /**
   * Flips one bit of a stored record.
   * @param key in `log` the first index of the record, see `read`, as long as no snapshot was installed; in `snapshot`
   * the chunks of all snapshots count on from 0.
   * @param bit counted from the least of the first byte.
   * @throws RangeError when there is no such record or bit.
   */
  flipBit(table: Table, key: string | number, bit: number): void {
    const record = this.#tables[table].get(key);
    const byte = record?.[bit >> 3];
    if (record === undefined || byte === undefined) throw new RangeError(`no bit ${bit} in record ${key} of ${table}`);
    record[bit >> 3] = byte ^ (1 << (bit & 7));
  }

  get(table: Table, key: string | number): Uint8Array | undefined {
    const value = this.#tables[table].get(key);
    return value?.slice();
  }

  floor(table: NumberedTable, key: number): number | undefined {
    return this.#tables[table].floor(key);
  }

  keysFrom(table: NumberedTable, key: number, limit?: number): number[] {
    return this.#tables[table].keysFrom(key, limit);
  }

  page(range: KeyRange): KeyedRecord[] {
    return pageOf(this.#tables.machine, range);
  }

  machineKeys(range: KeyRange): string[] {
    return this.#tables.machine.keysBetween(range);
  }

  freeze(): FrozenTable {
    const frozen = this.#tables.machine.copy();
    return { page: (range) => pageOf(frozen, range), release: () => {} };
  }

  commit(writes: readonly RecordWrite[]): void {
    const ms = this.latencyMs();
    if (ms > 0) this.onDelay(ms);
    const failure = this.#failures.shift();
    if (failure?.when === "before") throw failure.error;
    for (const { table, key, value } of writes) {
      if (!this.autoSync) this.#undo.push({ table, key, value: this.#tables[table].get(key) });
      this.#apply({ table, key, value: value === undefined ? undefined : copyOf(value) });
    }
    if (this.autoSync) this.sync();
    if (failure !== undefined) throw failure.error;
  }

  /** The disk stays as it is. */
  async close(): Promise<void> {}

  #apply({ table, key, value }: RecordWrite): void {
    if (value === undefined) this.#tables[table].delete(key);
    else this.#tables[table].set(key, value);
  }
}

/** Small copies share memory, as those of Buffer do: to allocate some for each takes longer than to fill it. */
const POOL_BYTES = 16 << 10;
const MOST_POOLED_BYTES = POOL_BYTES / 16;
let pool = new ArrayBuffer(POOL_BYTES);
let pooled = 0;

function copyOf(bytes: Uint8Array): Uint8Array {
  const { byteLength } = bytes;
  if (byteLength > MOST_POOLED_BYTES) return bytes.slice();
  if (pooled + byteLength > POOL_BYTES) {
    pool = new ArrayBuffer(POOL_BYTES);
    pooled = 0;
  }
  const copy = new Uint8Array(pool, pooled, byteLength);
  copy.set(bytes);
  pooled += byteLength;
  return copy;
}

function pageOf(table: MemoryTable, range: KeyRange): KeyedRecord[] {
  const records: KeyedRecord[] = [];
  let bytes = 0;
  for (const key of table.keysBetween(range)) {
    const value = table.get(key)?.slice();
    if (value === undefined || bytes >= PAGE_BYTES) break;
    records.push({ key, value });
    bytes += value.byteLength;
  }
  return records;
}

/** A map that knows the order of its keys: of numbers, or of strings when it is asked for it. */
class MemoryTable {
  readonly #values: Map<string | number, Uint8Array>;
  readonly #indices = new SortedNumbers();
  /** The keys that are strings, in order; undefined when that has changed since it was asked for. */
  #sorted: string[] | undefined;

  constructor(values = new Map<string | number, Uint8Array>()) {
    this.#values = values;
  }

  /** Of a table of strings. The values are never written to, only replaced. */
  copy(): MemoryTable {
    return new MemoryTable(new Map(this.#values));
  }

  get(key: string | number): Uint8Array | undefined {
    return this.#values.get(key);
  }

  set(key: string | number, value: Uint8Array): void {
    if (typeof key === "string" && !this.#values.has(key)) this.#sorted = undefined;
    if (typeof key === "number") this.#indices.add(key);
    this.#values.set(key, value);
  }

  delete(key: string | number): void {
    if (!this.#values.delete(key)) return;
    if (typeof key === "number") this.#indices.delete(key);
    else this.#sorted = undefined;
  }

  keysBetween({ from, to, limit }: KeyRange): string[] {
    this.#sorted ??= [...this.#values.keys()].map(String).sort();
    return this.#sorted.slice(lowerBound(this.#sorted, from), lowerBound(this.#sorted, to)).slice(0, limit);
  }

  floor(key: number): number | undefined {
    return this.#indices.floor(key);
  }

  keysFrom(key: number, limit?: number): number[] {
    return this.#indices.from(key, limit);
  }
}
