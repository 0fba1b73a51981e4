import { createHash } from "node:crypto";
import { inspect, isDeepStrictEqual } from "node:util";
import { ChangeHistory, sizeOf } from "./change-history.ts";
import { decode, packBriefly } from "./codec.ts";
import {
  type KeyValueAnswer,
  type KeyValueCommand,
  type KeyValueEntry,
  type KeyValuePage,
  type KeyValueQuery,
  type KeyValueRange,
  type KeyValueResult,
  type KeyValueTransaction,
  type KeyValueWrite,
  MAX_KEY_BYTES,
  MAX_STRING_LENGTH,
  type TransactionResult,
} from "./key-value-types.ts";
import { joinRecords, readRecords } from "./records.ts";
import { SortedKeys } from "./sorted-keys.ts";
import type { ApplyContext, StateMachine } from "./state-machine.ts";

const DEFAULT_PAGE = 100;
const MAX_PAGE = 1_000;
/** About how large an answer of many entries may grow before it is cut. */
const PAGE_BYTES = 1 << 20;

/** What stands at a key. Never written to again, so that an array of all of them is a frozen view of the map. */
type Cell = KeyValueEntry;

/**
 * The state machine that ships: a map from strings to values, each with a version. Bad commands throw, and change nothing.
 */
export class KeyValueMap implements StateMachine<KeyValueCommand, KeyValueResult, KeyValueQuery, KeyValueAnswer> {
  readonly version = 2;
  #cells = new Map<string, Cell>();
  /** Made when it is first asked for, and kept up to date from then on. */
  #sorted: SortedKeys | undefined;
  /** Of the last command. */
  #index = 0;
  #history: ChangeHistory;
  readonly #maxChanges: number | undefined;
  /** The keys that the command at hand has written, with what was there before. */
  readonly #touched = new Map<string, Cell | undefined>();

  /** `maxChanges`: how many changes are kept for who watches; default 10,000. */
  constructor({ maxChanges }: { readonly maxChanges?: number } = {}) {
    this.#maxChanges = maxChanges;
    this.#history = new ChangeHistory(0, maxChanges);
  }

  apply(command: KeyValueCommand, { index }: Pick<ApplyContext, "index"> = { index: this.#index + 1 }): KeyValueResult {
    this.#index = index;
    this.#touched.clear();
    try {
      const result = command?.op === "txn" ? this.#transact(command) : this.#write(command);
      for (const key of this.#touched.keys()) {
        const cell = this.#cells.get(key);
        this.#history.add({ index, key, value: cell?.value, version: cell?.version ?? 0 });
      }
      return result;
    } catch (error) {
      for (const [key, before] of this.#touched) this.#place(key, before);
      throw error;
    }
  }

  query(query: KeyValueQuery): KeyValueAnswer {
    if (typeof query !== "object" || query === null) throw new Error(`expected a query, got ${inspect(query)}`);
    switch (query.op) {
      case "get":
        return this.#cells.get(check(query).key)?.value;
      case "entry":
        return this.#cells.get(check(query).key);
      case "keys":
        return [...this.#keys(query.prefix ?? "", query.prefix ?? "")];
      case "scan":
        return this.#scan(query);
      case "changes": {
        const { after, key, prefix = "" } = query;
        if (!Number.isInteger(after)) throw new Error(`changes: after: expected an index, got ${inspect(after)}`);
        const fits = key === undefined ? (other: string) => other.startsWith(prefix) : (other: string) => other === key;
        return this.#history.since(after, fits, MAX_PAGE);
      }
      case "size":
        return this.#cells.size;
      case "digest":
        return this.#digest();
      default:
        throw unknownOp(query, "get, entry, keys, scan, changes, size or digest");
    }
  }

  /** Takes 10 ms for a million keys; the chunks are made when they are pulled. */
  snapshot(): Iterable<Uint8Array> {
    return chunks(Array.from(this.#cells.values()), this.#index);
  }

  restore(source: Iterable<Uint8Array>): void {
    const cells = new Map<string, Cell>();
    let head: readonly [count: number, index: number] | undefined;
    for (const record of readRecords(source)) {
      if (head === undefined) {
        // The first version of the format has the count alone, and no versions of keys.
        const first = decode(record) as number | readonly [number, number];
        head = typeof first === "number" ? [first, 0] : first;
        continue;
      }
      const [key, value, version = 1] = decode(record) as [string, unknown, number?];
      cells.set(key, { key, value, version });
    }
    if (head?.[0] !== cells.size) {
      throw new Error(`a snapshot that ends after ${cells.size} of ${inspect(head?.[0])} entries`);
    }
    this.#cells = cells;
    this.#sorted = undefined;
    this.#index = head[1];
    this.#history = new ChangeHistory(this.#index, this.#maxChanges);
  }

  #write(command: KeyValueWrite): KeyValueResult<KeyValueWrite> {
    const { key } = check(command);
    const before = this.#cells.get(key);
    switch (command.op) {
      case "put":
        this.#put(key, present(command));
        return before !== undefined;
      case "set": {
        const version = before?.version ?? 0;
        const value = present(command);
        if (command.version !== undefined && checkVersion("set", command.version) !== version) {
          return { ok: false, version };
        }
        this.#put(key, value);
        return { ok: true, version: version + 1 };
      }
      case "get":
        return before?.value;
      case "append": {
        const text = joined(before?.value, command);
        this.#put(key, text);
        return text.length;
      }
      case "delete":
        if (before !== undefined) this.#set(key, undefined);
        return before !== undefined;
      case "cas":
        if (!("expected" in command)) throw new Error("cas: expected: not given; give undefined for an absent key");
        present(command);
        if (!isDeepStrictEqual(before?.value, command.expected)) return { swapped: false, value: before?.value };
        this.#put(key, command.value);
        return { swapped: true, value: undefined };
      default:
        throw unknownOp(command, "put, set, get, append, delete, cas or txn");
    }
  }

  #transact({ checks = [], commands }: KeyValueTransaction): TransactionResult {
    if (!Array.isArray(commands)) throw new Error(`txn: commands: expected an array, got ${inspect(commands)}`);
    if (!Array.isArray(checks)) throw new Error(`txn: checks: expected an array, got ${inspect(checks)}`);
    for (const { key, version: expected } of checks) {
      const { version } = this.#cells.get(check({ op: "txn", key }).key) ?? { version: 0 };
      if (checkVersion("txn", expected) !== version) return { ok: false, results: [], conflict: { key, version } };
    }
    return { ok: true, results: commands.map((command) => this.#write(command)), conflict: undefined };
  }

  #scan({ prefix = "", from = "", to, limit = DEFAULT_PAGE }: KeyValueRange): KeyValuePage {
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
      throw new Error(`scan: limit: expected an integer from 1 to ${MAX_PAGE}, got ${inspect(limit)}`);
    }
    const entries: KeyValueEntry[] = [];
    let bytes = 0;
    for (const key of this.#keys(from > prefix ? from : prefix, prefix)) {
      if (to !== undefined && key >= to) break;
      if (entries.length >= limit || bytes > PAGE_BYTES) return { entries, next: key };
      const cell = this.#cells.get(key);
      if (cell === undefined) continue;
      entries.push(cell);
      bytes += key.length + sizeOf(cell.value);
    }
    return { entries, next: undefined };
  }

  *#keys(from: string, prefix: string): Generator<string> {
    this.#sorted ??= new SortedKeys(this.#cells.keys());
    for (const key of this.#sorted.from(from)) {
      // Those that begin alike stand together.
      if (!key.startsWith(prefix)) return;
      yield key;
    }
  }

  #put(key: string, value: unknown): void {
    this.#set(key, { key, value, version: (this.#cells.get(key)?.version ?? 0) + 1 });
  }

  #set(key: string, cell: Cell | undefined): void {
    if (!this.#touched.has(key)) this.#touched.set(key, this.#cells.get(key));
    this.#place(key, cell);
  }

  #place(key: string, cell: Cell | undefined): void {
    if (cell === undefined) {
      if (this.#cells.delete(key)) this.#sorted?.delete(key);
      return;
    }
    if (this.#sorted !== undefined && !this.#cells.has(key)) this.#sorted.add(key);
    this.#cells.set(key, cell);
  }

  #digest(): string {
    const hash = createHash("sha256");
    const sorted = [...this.#cells.values()].sort((left, right) => (left.key < right.key ? -1 : 1));
    for (const chunk of chunks(sorted, 0)) hash.update(chunk);
    return hash.digest("hex");
  }
}

/** First the number of entries and the index of the last command, then one record an entry. */
function chunks(cells: readonly Cell[], index: number): Iterable<Uint8Array> {
  function* records(): Generator<Uint8Array> {
    yield packBriefly([cells.length, index]);
    for (const { key, value, version } of cells) yield packBriefly([key, value, version]);
  }
  return joinRecords(records());
}

function check<Input extends { readonly op: string; readonly key: string }>(command: Input): Input {
  if (typeof command !== "object" || command === null) throw new Error(`expected a command, got ${inspect(command)}`);
  const { op, key } = command;
  if (typeof key !== "string" || key === "") {
    throw new Error(`${String(op)}: key: expected a string of at least one character, got ${inspect(key)}`);
  }
  if (key.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new Error(`${op}: key: expected at most ${MAX_KEY_BYTES} bytes, got ${Buffer.byteLength(key)}`);
  }
  return command;
}

function checkVersion(op: string, version: number): number {
  if (Number.isInteger(version) && version >= 0) return version;
  throw new Error(`${op}: version: expected a whole number, 0 for an absent key, got ${inspect(version)}`);
}

function present({ op, value }: { readonly op: string; readonly value: unknown }): unknown {
  if (value === undefined) throw new Error(`${op}: value: expected anything but undefined, which means absent`);
  return value;
}

function joined(before: unknown, { key, value }: { readonly key: string; readonly value: unknown }): string {
  if (typeof value !== "string") throw new Error(`append: value: expected a string, got ${inspect(value)}`);
  if (before === undefined) return value;
  if (typeof before !== "string") throw new Error(`append: ${inspect(key)} holds no string but ${inspect(before)}`);
  if (before.length + value.length > MAX_STRING_LENGTH) {
    throw new Error(`append: ${inspect(key)} would hold more than ${MAX_STRING_LENGTH} characters`);
  }
  return before + value;
}

function unknownOp(input: never, known: string): Error {
  return new Error(`op: expected ${known}, got ${inspect((input as { op?: unknown }).op)}`);
}
