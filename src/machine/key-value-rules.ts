import { createHash } from "node:crypto";
import { inspect, isDeepStrictEqual } from "node:util";
import { type ChangeHistory, sizeOf } from "./change-history.ts";
import { decodeWithin, packBriefly } from "./codec.ts";
import { packRecord } from "./key-value-record.ts";
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
import { joinRecords, type RecordPlace } from "./records.ts";

/*
 * What commands and queries of the key-value map mean, wherever its entries are kept. Bad ones throw.
 */

const DEFAULT_PAGE = 100;
const MAX_PAGE = 1_000;
/** About how large an answer of many entries may grow before it is cut. */
const PAGE_BYTES = 1 << 20;

/** What stands at a key. Never written to again; it is to be read before the next change of the map. */
export interface Cell extends KeyValueEntry {
  /** The entry as plain data, of a cell that makes it when it is asked for. */
  entry?(): KeyValueEntry;
  /** The record of it in a snapshot, of a cell that has it. */
  record?(): Uint8Array;
}

/** The entries of a map. */
export interface Cells {
  readonly size: number;
  get(key: string): Cell | undefined;
  /** In the order of the keys' UTF-16 units, from the key `from` on. */
  from(from: string): Iterable<Cell>;
}

/** The same, to be changed. */
export interface WritableCells {
  get(key: string): Cell | undefined;
  /** Undefined removes the entry. */
  set(key: string, cell: Cell | undefined): void;
}

/**
 * Carries out a command. One that throws has changed nothing.
 * @param history is told what became of each key.
 */
export function carryOut(
  cells: WritableCells,
  command: KeyValueCommand,
  index: number,
  history: ChangeHistory,
): KeyValueResult {
  const noted = new NotedCells(cells, index, history);
  if (command?.op !== "txn") return write(noted, command);
  const staged = new StagedCells(noted);
  const result = transact(staged, command);
  staged.release();
  return result;
}

/** Tells the history of what is written. */
class NotedCells implements WritableCells {
  readonly #cells: WritableCells;
  readonly #index: number;
  readonly #history: ChangeHistory;

  constructor(cells: WritableCells, index: number, history: ChangeHistory) {
    this.#cells = cells;
    this.#index = index;
    this.#history = history;
  }

  get(key: string): Cell | undefined {
    return this.#cells.get(key);
  }

  set(key: string, cell: Cell | undefined): void {
    this.#cells.set(key, cell);
    this.#history.add(this.#index, cell ?? { key, value: undefined, version: 0 });
  }
}

/** Holds back what is written until it is released. */
class StagedCells implements WritableCells {
  readonly #cells: WritableCells;
  readonly #written = new Map<string, Cell | undefined>();

  constructor(cells: WritableCells) {
    this.#cells = cells;
  }

  get(key: string): Cell | undefined {
    return this.#written.has(key) ? this.#written.get(key) : this.#cells.get(key);
  }

  set(key: string, cell: Cell | undefined): void {
    this.#written.set(key, cell);
  }

  release(): void {
    for (const [key, cell] of this.#written) {
      // What came and went within the transaction never was.
      if (cell !== undefined || this.#cells.get(key) !== undefined) this.#cells.set(key, cell);
    }
  }
}

/** @param history the latest changes. */
export function answer(cells: Cells, query: KeyValueQuery, history: ChangeHistory): KeyValueAnswer {
  if (typeof query !== "object" || query === null) throw new Error(`expected a query, got ${inspect(query)}`);
  switch (query.op) {
    case "get":
      return cells.get(check(query).key)?.value;
    case "entry":
      return entryAt(cells, check(query).key);
    case "keys":
      checkText("keys", "prefix", query.prefix);
      return Array.from(beginningWith(cells, query.prefix ?? "", query.prefix ?? ""), ({ key }) => key);
    case "scan":
      return scan(cells, query);
    case "changes": {
      const { after, key, prefix = "" } = query;
      if (!Number.isInteger(after)) throw new Error(`changes: after: expected an index, got ${inspect(after)}`);
      checkText("changes", "prefix", prefix);
      const fits = key === undefined ? (other: string) => other.startsWith(prefix) : (other: string) => other === key;
      return history.since(after, fits, MAX_PAGE);
    }
    case "size":
      return cells.size;
    case "digest":
      return digest(cells);
    default:
      throw unknownOp(query, "get, entry, keys, scan, changes, size or digest");
  }
}

/** Whether the answer takes keys in their order. */
export function inOrder({ op }: KeyValueQuery): boolean {
  return op === "scan" || op === "keys" || op === "digest";
}

/** What it sets is the last that it does, so that one that throws has set nothing. */
function write(cells: WritableCells, command: KeyValueWrite): KeyValueResult<KeyValueWrite> {
  const { key } = check(command);
  const before = cells.get(key);
  switch (command.op) {
    case "put":
      put(cells, key, present(command), before);
      return before !== undefined;
    case "set": {
      const version = before?.version ?? 0;
      const value = present(command);
      if (command.version !== undefined && checkVersion("set", command.version) !== version) {
        return { ok: false, version };
      }
      put(cells, key, value, before);
      return { ok: true, version: version + 1 };
    }
    case "get":
      return before?.value;
    case "append": {
      const text = joined(before?.value, command);
      put(cells, key, text, before);
      return text.length;
    }
    case "delete":
      if (before !== undefined) cells.set(key, undefined);
      return before !== undefined;
    case "cas":
      if (!("expected" in command)) throw new Error("cas: expected: not given; give undefined for an absent key");
      present(command);
      if (!isDeepStrictEqual(before?.value, command.expected)) return { swapped: false, value: before?.value };
      put(cells, key, command.value, before);
      return { swapped: true, value: undefined };
    default:
      throw unknownOp(command, "put, set, get, append, delete, cas or txn");
  }
}

function transact(cells: WritableCells, { checks = [], commands }: KeyValueTransaction): TransactionResult {
  if (!Array.isArray(commands)) throw new Error(`txn: commands: expected an array, got ${inspect(commands)}`);
  if (!Array.isArray(checks)) throw new Error(`txn: checks: expected an array, got ${inspect(checks)}`);
  for (const { key, version: expected } of checks) {
    const { version } = cells.get(check({ op: "txn", key }).key) ?? { version: 0 };
    if (checkVersion("txn", expected) !== version) return { ok: false, results: [], conflict: { key, version } };
  }
  return { ok: true, results: commands.map((command) => write(cells, command)), conflict: undefined };
}

function scan(cells: Cells, { prefix = "", from = "", to, limit = DEFAULT_PAGE }: KeyValueRange): KeyValuePage {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new Error(`scan: limit: expected an integer from 1 to ${MAX_PAGE}, got ${inspect(limit)}`);
  }
  for (const [name, value] of Object.entries({ prefix, from, to })) checkText("scan", name, value);
  const entries: KeyValueEntry[] = [];
  let bytes = 0;
  for (const cell of beginningWith(cells, from > prefix ? from : prefix, prefix)) {
    const { key } = cell;
    if (to !== undefined && key >= to) break;
    if (entries.length >= limit || bytes > PAGE_BYTES) return { entries, next: key };
    const entry = entryOf(cell);
    entries.push(entry);
    bytes += key.length + sizeOf(entry.value);
  }
  return { entries, next: undefined };
}

function entryAt(cells: Cells, key: string): KeyValueEntry | undefined {
  const cell = cells.get(key);
  return cell && entryOf(cell);
}

function entryOf(cell: Cell): KeyValueEntry {
  return cell.entry?.() ?? cell;
}

function* beginningWith(cells: Cells, from: string, prefix: string): Generator<Cell> {
  for (const cell of cells.from(from)) {
    // Those that begin alike stand together.
    if (!cell.key.startsWith(prefix)) return;
    yield cell;
  }
}

function put(cells: WritableCells, key: string, value: unknown, before: Cell | undefined): void {
  cells.set(key, { key, value, version: (before?.version ?? 0) + 1 });
}

/** Of what the entries are, however they came: each is packed anew. */
function digest(cells: Cells): string {
  const hash = createHash("sha256");
  for (const chunk of packed(cells.from(""), cells.size, 0, (cell) => packRecord(entryOf(cell)))) hash.update(chunk);
  return hash.digest("hex");
}

/** The one before had other records. */
export const SNAPSHOT_FORMAT = 3;

/** A snapshot: first the number of entries, the index of the last command and the format, then one record an entry. */
export function chunks(cells: Iterable<Cell>, count: number, index: number): Iterable<Uint8Array> {
  return packed(cells, count, index, (cell) => cell.record?.() ?? packRecord(cell));
}

function packed(
  cells: Iterable<Cell>,
  count: number,
  index: number,
  recordOf: (cell: Cell) => Uint8Array,
): Iterable<Uint8Array> {
  function* records(): Generator<Uint8Array> {
    yield packBriefly([count, index, SNAPSHOT_FORMAT]);
    for (const cell of cells) yield recordOf(cell);
  }
  return joinRecords(records());
}

/** What stands in the first record of a snapshot. @throws Error when it has another format. */
export function readHead({ bytes, start, end }: RecordPlace): { readonly count: number; readonly index: number } {
  const head = decodeWithin(bytes, start, end);
  const [count, index, format] = Array.isArray(head) ? (head as number[]) : [];
  if (count === undefined || index === undefined || format !== SNAPSHOT_FORMAT) {
    throw new Error(
      `a snapshot of the map of format ${inspect(format)}, expected ${SNAPSHOT_FORMAT}: its head is ${inspect(head)}`,
    );
  }
  return { count, index };
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

function checkText(op: string, name: string, value: unknown): void {
  if (value === undefined || typeof value === "string") return;
  throw new Error(`${op}: ${name}: expected a string, got ${inspect(value)}`);
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
