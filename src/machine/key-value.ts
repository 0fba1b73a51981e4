import { createHash } from "node:crypto";
import { inspect, isDeepStrictEqual } from "node:util";
import { decode, packBriefly } from "./codec.ts";
import { joinRecords, readRecords } from "./records.ts";
import type { StateMachine } from "./state-machine.ts";

/**
 * What a {@link KeyValueMap} can be told. Keys are strings of at least one character; values are anything that can be
 * encoded, but undefined: that stands for "no such key".
 */
export type KeyValueCommand =
  | { readonly op: "put"; readonly key: string; readonly value: unknown }
  /** Reads as a command, and so in the order of the log. A query is cheaper. */
  | { readonly op: "get"; readonly key: string }
  /** Adds to the end of a string, or makes one. Anything else at the key is an error. */
  | { readonly op: "append"; readonly key: string; readonly value: string }
  | { readonly op: "delete"; readonly key: string }
  /** Puts `value` if `expected` is there: the same by structure, or, when undefined, no such key. It must be given. */
  | { readonly op: "cas"; readonly key: string; readonly expected: unknown; readonly value: unknown };

interface KeyValueResults {
  /** Whether the key was there before. */
  put: boolean;
  /** The value, or undefined. */
  get: unknown;
  /** The length of the string that is there now, in UTF-16 units. */
  append: number;
  /** Whether the key was there before. */
  delete: boolean;
  cas: CompareAndSwapResult;
}

/** What a `cas` came to. */
export interface CompareAndSwapResult {
  readonly swapped: boolean;
  /** If not swapped: what is there instead. */
  readonly value: unknown;
}

/** What a command of kind `Command` comes to. */
export type KeyValueResult<Command extends KeyValueCommand = KeyValueCommand> = KeyValueResults[Command["op"]];

/** What a {@link KeyValueMap} can be asked. */
export type KeyValueQuery =
  | { readonly op: "get"; readonly key: string }
  /** All keys, or those that begin with `prefix`, sorted by UTF-16 unit. */
  | { readonly op: "keys"; readonly prefix?: string }
  | { readonly op: "size" }
  /** A hash of all keys and values, to compare the states of peers by. */
  | { readonly op: "digest" };

interface KeyValueAnswers {
  /** The value, or undefined. */
  get: unknown;
  keys: string[];
  size: number;
  /** SHA-256 in hex. */
  digest: string;
}

/** What a query of kind `Query` is answered. */
export type KeyValueAnswer<Query extends KeyValueQuery = KeyValueQuery> = KeyValueAnswers[Query["op"]];

/** Never written to again, so that an array of all cells is a frozen view of the map. */
interface Cell {
  readonly key: string;
  readonly value: unknown;
}

/** The state machine that ships: a map from strings to values. Bad commands throw, and change nothing. */
export class KeyValueMap implements StateMachine<KeyValueCommand, KeyValueResult, KeyValueQuery, KeyValueAnswer> {
  readonly version = 1;
  #cells = new Map<string, Cell>();

  apply(command: KeyValueCommand): KeyValueResult {
    const { key } = check(command);
    const before = this.#cells.get(key)?.value;
    switch (command.op) {
      case "put":
        this.#set(key, present(command));
        return before !== undefined;
      case "get":
        return before;
      case "append": {
        const text = joined(before, command);
        this.#set(key, text);
        return text.length;
      }
      case "delete":
        return this.#cells.delete(key);
      case "cas":
        if (!("expected" in command)) throw new Error("cas: expected: not given; give undefined for an absent key");
        present(command);
        if (!isDeepStrictEqual(before, command.expected)) return { swapped: false, value: before };
        this.#set(key, command.value);
        return { swapped: true, value: undefined };
      default:
        throw unknownOp(command, "put, get, append, delete or cas");
    }
  }

  query(query: KeyValueQuery): KeyValueAnswer {
    if (typeof query !== "object" || query === null) throw new Error(`expected a query, got ${inspect(query)}`);
    switch (query.op) {
      case "get":
        return this.#cells.get(check(query).key)?.value;
      case "keys":
        return this.#sortedKeys().filter((key) => key.startsWith(query.prefix ?? ""));
      case "size":
        return this.#cells.size;
      case "digest":
        return this.#digest();
      default:
        throw unknownOp(query, "get, keys, size or digest");
    }
  }

  /** Takes 10 ms for a million keys; the chunks are made when they are pulled. */
  snapshot(): Iterable<Uint8Array> {
    return chunks(Array.from(this.#cells.values()));
  }

  restore(source: Iterable<Uint8Array>): void {
    const cells = new Map<string, Cell>();
    let expected: unknown;
    for (const record of readRecords(source)) {
      if (expected === undefined) {
        expected = decode(record);
        continue;
      }
      const [key, value] = decode(record) as [string, unknown];
      cells.set(key, { key, value });
    }
    if (expected !== cells.size) {
      throw new Error(`a snapshot that ends after ${cells.size} of ${inspect(expected)} entries`);
    }
    this.#cells = cells;
  }

  #set(key: string, value: unknown): void {
    this.#cells.set(key, { key, value });
  }

  #sortedKeys(): string[] {
    return Array.from(this.#cells.keys()).sort();
  }

  #digest(): string {
    const hash = createHash("sha256");
    const sorted = this.#sortedKeys().map((key) => ({ key, value: this.#cells.get(key)?.value }));
    for (const chunk of chunks(sorted)) hash.update(chunk);
    return hash.digest("hex");
  }
}

/** First the number of entries, then one record an entry. */
function chunks(cells: readonly Cell[]): Iterable<Uint8Array> {
  function* records(): Generator<Uint8Array> {
    yield packBriefly(cells.length);
    for (const cell of cells) yield packBriefly([cell.key, cell.value]);
  }
  return joinRecords(records());
}

function check<Input extends { readonly op: string; readonly key: string }>(command: Input): Input {
  if (typeof command !== "object" || command === null) throw new Error(`expected a command, got ${inspect(command)}`);
  if (typeof command.key !== "string" || command.key === "") {
    throw new Error(
      `${String(command.op)}: key: expected a string of at least one character, got ${inspect(command.key)}`,
    );
  }
  return command;
}

function present({ op, value }: { readonly op: string; readonly value: unknown }): unknown {
  if (value === undefined) throw new Error(`${op}: value: expected anything but undefined, which means absent`);
  return value;
}

function joined(before: unknown, { key, value }: { readonly key: string; readonly value: unknown }): string {
  if (typeof value !== "string") throw new Error(`append: value: expected a string, got ${inspect(value)}`);
  if (before === undefined) return value;
  if (typeof before !== "string") throw new Error(`append: ${inspect(key)} holds no string but ${inspect(before)}`);
  return before + value;
}

function unknownOp(input: never, known: string): Error {
  return new Error(`op: expected ${known}, got ${inspect((input as { op?: unknown }).op)}`);
}
