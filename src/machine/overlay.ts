import { inspect } from "node:util";
import { SortedKeys } from "../raft/sorted-keys.ts";
import { decode, encode } from "./codec.ts";
import type { StateRange, StateReader, StateWriter } from "./state-machine.ts";

/** The longest key, in bytes of UTF-8: what LMDB can hold, were all of it characters that take more bytes there. */
const MAX_KEY_BYTES = 1_200;
/** The largest value, encoded. */
const MAX_VALUE_BYTES = 256 << 20;
/** How many records are read at a time at first, and how many at most: one is often enough. */
const FIRST_PAGE = 8;
const LARGEST_PAGE = 512;

/** Encoded values under keys, in the order of their UTF-16 units: what an overlay lies on. */
export interface StateTable {
  get(key: string): Uint8Array | undefined;
  /** The first `limit` from the key `from` on and before `to`; fewer only when there are no more, or they are large. */
  page(range: { readonly from: string; readonly to: string; readonly limit: number }): readonly {
    readonly key: string;
    readonly value: Uint8Array;
  }[];
}

/** A change that the table does not have yet; undefined: the key is removed. */
type Change = Uint8Array | undefined;

/**
 * A durable state as its machine sees it: a table, and in memory before it what commands have written since the table was
 * last brought up to date. Each command either leaves all that it wrote, or nothing.
 */
export class Overlay {
  readonly #table: StateTable;
  readonly #changes = new Map<string, Change>();
  /** In order, once somebody has read a range since the last `clear`. */
  #sorted: SortedKeys | undefined;
  /** What the command at hand has changed, with the change that was there before; null: there was none. */
  readonly #undo = new Map<string, Change | null>();
  #bytes = 0;

  constructor(table: StateTable) {
    this.#table = table;
  }

  /** About how much memory the changes take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What the table does not have yet. The bytes are not written to any more. */
  get changes(): ReadonlyMap<string, Uint8Array | undefined> {
    return this.#changes;
  }

  /** The table has all of the changes. */
  clear(): void {
    this.#changes.clear();
    this.#sorted = undefined;
    this.#bytes = 0;
  }

  /** To read from; good until the next change. */
  readonly reader: StateReader = {
    get: (key) => this.#get(key),
    entries: (range) => this.#entries(range),
  };

  /**
   * Runs `write`, and keeps what it writes if it returns and `isGood` says so of what it returned.
   * @throws what `write` throws.
   */
  change<Result>(write: (state: StateWriter) => Result, isGood: (result: Result) => boolean): Result {
    this.#undo.clear();
    let isOver = false;
    const check = (key: string) => {
      if (isOver) throw new Error(`the state was written to after apply had returned, at ${inspect(key)}`);
      checkKey(key);
    };
    let isKept = false;
    try {
      const result = write({
        get: this.reader.get,
        entries: this.reader.entries,
        put: (key, value) => {
          check(key);
          if (value === undefined) throw new Error(`${inspect(key)}: undefined cannot be stored; use delete`);
          this.#set(key, encode(value, "value", MAX_VALUE_BYTES));
        },
        delete: (key) => {
          check(key);
          const isThere = this.#bytesAt(key) !== undefined;
          if (isThere) this.#set(key, undefined);
          return isThere;
        },
      });
      isKept = isGood(result);
      return result;
    } finally {
      isOver = true;
      if (!isKept) this.#takeBack();
    }
  }

  #get(key: string): unknown {
    checkKey(key);
    const bytes = this.#bytesAt(key);
    return bytes === undefined ? undefined : decode(bytes);
  }

  #bytesAt(key: string): Uint8Array | undefined {
    return this.#changes.get(key) ?? (this.#changes.has(key) ? undefined : this.#table.get(key));
  }

  #set(key: string, change: Change): void {
    if (!this.#undo.has(key)) this.#undo.set(key, this.#changes.has(key) ? this.#changes.get(key) : null);
    this.#place(key, change);
  }

  #place(key: string, change: Change | null): void {
    const before = this.#changes.get(key);
    const isNew = !this.#changes.has(key);
    if (!isNew) this.#bytes -= sizeOf(key, before);
    if (change === null) {
      this.#changes.delete(key);
      if (!isNew) this.#sorted?.delete(key);
      return;
    }
    if (isNew) this.#sorted?.add(key);
    this.#changes.set(key, change);
    this.#bytes += sizeOf(key, change);
  }

  #takeBack(): void {
    for (const [key, before] of this.#undo) this.#place(key, before);
    this.#undo.clear();
  }

  /** The table's records and the changes, merged; a change hides the record it replaces. */
  *#entries({ prefix = "", from = "", to }: StateRange = {}): Generator<readonly [string, unknown]> {
    const end = lesser(to ?? BEHIND_ALL_KEYS, endOf(prefix));
    const records = new Records(this.#table, end);
    let next = from > prefix ? from : prefix;
    for (;;) {
      const record = records.at(next);
      const key = lesser(record?.key ?? BEHIND_ALL_KEYS, this.#changedFrom(next) ?? BEHIND_ALL_KEYS);
      if (key >= end) return;
      const bytes = this.#changes.has(key) ? this.#changes.get(key) : record?.value;
      if (bytes !== undefined) yield [key, decode(bytes)];
      // The least string that is greater.
      next = `${key}\0`;
    }
  }

  #changedFrom(key: string): string | undefined {
    this.#sorted ??= new SortedKeys(this.#changes.keys());
    const [first] = this.#sorted.from(key);
    return first;
  }
}

/** Reads on in a table, pages at a time. */
class Records {
  readonly #table: StateTable;
  readonly #end: string;
  #page: ReturnType<StateTable["page"]> = [];
  #at = 0;
  #limit = FIRST_PAGE;
  /** Nothing of the table comes behind the page. */
  #isLast = false;

  constructor(table: StateTable, end: string) {
    this.#table = table;
    this.#end = end;
  }

  /** The first record from `from` on, which never goes back. */
  at(from: string): { readonly key: string; readonly value: Uint8Array } | undefined {
    for (;;) {
      while (this.#at < this.#page.length) {
        const record = this.#page[this.#at];
        if (record !== undefined && record.key >= from) return record;
        this.#at++;
      }
      if (this.#isLast) return undefined;
      this.#page = this.#table.page({ from, to: this.#end, limit: this.#limit });
      this.#isLast = this.#page.length === 0;
      this.#at = 0;
      this.#limit = Math.min(2 * this.#limit, LARGEST_PAGE);
    }
  }
}

/** Greater than any key: none can be as long. */
export const BEHIND_ALL_KEYS = "\uffff".repeat(MAX_KEY_BYTES / 3 + 1);

/** The least string behind all that begin with `prefix`. */
function endOf(prefix: string): string {
  for (let length = prefix.length; length > 0; length--) {
    const unit = prefix.charCodeAt(length - 1);
    if (unit < 0xffff) return prefix.slice(0, length - 1) + String.fromCharCode(unit + 1);
  }
  return BEHIND_ALL_KEYS;
}

function lesser(left: string, right: string): string {
  return left < right ? left : right;
}

function sizeOf(key: string, change: Change): number {
  return key.length + (change?.byteLength ?? 0);
}

function checkKey(key: string): void {
  if (typeof key !== "string") throw new Error(`a key of the state: expected a string, got ${inspect(key)}`);
  if (!(key as string & { isWellFormed(): boolean }).isWellFormed()) {
    throw new Error(`a key of the state: ${inspect(key)} holds half a surrogate pair`);
  }
  if (key.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new Error(
      `a key of the state: expected at most ${MAX_KEY_BYTES} bytes, got ${Buffer.byteLength(key)}: ${key.slice(0, 40)}…`,
    );
  }
}
