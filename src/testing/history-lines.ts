import { RaftError } from "../raft/errors.ts";
import type { ClientId, Operation, OperationOutcome } from "./history.ts";
import { inspectShort } from "./inspect-short.ts";
import type { KeyValueInput } from "./linearizability/key-value.ts";

/** A call of a client of the key-value map, as `keyValueModel` takes it. */
export type KeyValueOperation = Operation<KeyValueInput, unknown>;

type Field = "client" | "op" | "key" | "value" | "version" | "expected" | "applied" | "output" | "call" | "return";
type FieldName = Field | "outcome";
type Fields = Readonly<Partial<Record<FieldName, unknown>>>;

const OPS = "put, get, append, delete, cas or set";
/** As deep as the values of the map may be, within the fields of a line. Who compares them needs a stack. */
const MAX_DEPTH = 257;
const VERSION = "a whole number, 0 for an absent key";

/**
 * Reads a history of a key-value map from JSON lines, one object a call, in any order:
 *
 *     {"client":1,"op":"put","key":"k","value":"v","call":100,"return":250,"outcome":"ok"}
 *
 * - `client`: a number or a string; `call`, `return`: nanoseconds on one clock for all clients, up to 2^53.
 * - `op`: `put` and `append` have a `value`, `cas` has `expected`, `value` and, when it is ok, `applied`. A `set` is a put with
 *   the `version` that it replaces, 0 for an absent key; without one it is done in any case. It has `applied` too.
 * - `output`: what a `get` has read; of a `cas` that was not applied, what was there instead, if that is known. Null
 *   stands for an absent key, in `expected` too. Of a `set` the version that the key has then, if that is known. Of other
 *   operations it is not looked at.
 * - `version` of a `get` that is ok: the version it has read, 0 for an absent key, if that is known.
 * - `outcome`: `ok`, `failed` (certainly without effect, now and later) or `unknown`. When it is left out, it is `ok` with a
 *   `return` and `unknown` without. An unknown one may have a `return`: when the client gave up.
 *
 * Other fields and empty lines are skipped.
 *
 * @throws RaftError `ERR_INVALID_HISTORY`, naming the line: it is no JSON or cut off, a field is missing or of the wrong
 * kind, an operation is unknown, a return is before its call, a client calls while a call of its own is open.
 */
export function parseHistory(text: string): KeyValueOperation[] {
  const lines = text.split("\n");
  const operations: KeyValueOperation[] = [];
  const lineOf = new Map<KeyValueOperation, number>();
  lines.forEach((line, at) => {
    if (line.trim() === "") return;
    const operation = parseLine(line, at + 1, at === lines.length - 1);
    operations.push(operation);
    lineOf.set(operation, at + 1);
  });
  checkClients(operations, (operation) => lineOf.get(operation) ?? 0);
  return operations;
}

/** Writes a history as JSON lines, which `parseHistory` reads. Only values that JSON can hold come back as they were. */
export function formatHistory(history: Iterable<KeyValueOperation>): string {
  let text = "";
  for (const operation of history) text += `${JSON.stringify(toFields(operation))}\n`;
  return text;
}

function toFields({ client, input, output, call, return: end, outcome }: KeyValueOperation): Fields {
  const { key } = input;
  const told = outcome === "ok" ? outputFields(input, output) : {};
  const times = { call, return: end, outcome };
  switch (input.op) {
    case "get":
    case "delete":
      return { client, op: input.op, key, ...told, ...times };
    case "entry":
      return { client, op: "get", key, ...told, ...times };
    case "put":
    case "append":
      return { client, op: input.op, key, value: input.value, ...told, ...times };
    case "set":
      return { client, op: "set", key, version: input.version, value: input.value, ...told, ...times };
    case "cas": {
      const { op, expected = null, value } = input;
      return { client, op, key, expected, value, ...told, ...times };
    }
    default:
      input satisfies never;
      throw new TypeError(`no operation of a history: ${inspectShort(input)}`);
  }
}

function outputFields({ op }: KeyValueInput, output: unknown): Fields {
  switch (op) {
    case "get":
      return { output: output ?? null };
    case "entry": {
      const { value = null, version = 0 } = (output ?? {}) as { value?: unknown; version?: number };
      return { output: value, version };
    }
    case "set": {
      const { ok, version } = output as { ok: boolean; version?: number };
      return { applied: ok, output: version };
    }
    case "cas": {
      const answer = output as { swapped: boolean; value?: unknown };
      const isTold = !answer.swapped && "value" in answer;
      return { applied: answer.swapped, ...(isTold ? { output: answer.value ?? null } : {}) };
    }
    default:
      return {};
  }
}

function invalid(line: number, message: string): RaftError {
  return new RaftError("ERR_INVALID_HISTORY", `line ${line}: ${message}`);
}

function parseLine(line: string, number: number, isUnended: boolean): KeyValueOperation {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw invalid(number, isUnended ? `cut off, or no JSON: ${reason}` : `no JSON: ${reason}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw invalid(number, `expected an object, got ${inspectShort(parsed)}`);
  }
  if (!isWithin(parsed, MAX_DEPTH)) throw invalid(number, `values nested more than ${MAX_DEPTH} deep`);
  return new Line(number, parsed as Fields).operation();
}

/** Whether values nest no deeper than so many levels. */
function isWithin(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return levels > 0 && Object.values(value).every((inner) => isWithin(inner, levels - 1));
}

/** One line, and the errors that name it. */
class Line {
  readonly #number: number;
  readonly #fields: Fields;

  constructor(number: number, fields: Fields) {
    this.#number = number;
    this.#fields = fields;
  }

  operation(): KeyValueOperation {
    const client = this.#client();
    const input = this.#input();
    const call = this.#time("call");
    const end = this.#fields.return === undefined ? undefined : this.#time("return");
    const outcome = this.#outcome(end);
    if (end !== undefined && end < call) throw this.#wrong("return", `a time of ${call}, its call, or later`);
    if (outcome !== "ok") return { client, input, output: undefined, call, return: end, outcome };
    const isEntry = input.op === "get" && this.#fields.version !== undefined;
    const output = isEntry ? this.#entry() : this.#output(input);
    return { client, input: isEntry ? { ...input, op: "entry" } : input, output, call, return: end, outcome };
  }

  #client(): ClientId {
    const client = this.#field("client");
    if (typeof client === "string" || typeof client === "number") return client;
    throw this.#wrong("client", "a number or a string");
  }

  #input(): KeyValueInput {
    const op = this.#field("op");
    const key = this.#field("key");
    if (typeof key !== "string" || key === "") throw this.#wrong("key", "a string of at least one character");
    switch (op) {
      case "get":
      case "delete":
        return { op, key };
      case "put":
        return { op, key, value: this.#value() };
      case "append": {
        const value = this.#value();
        if (typeof value === "string") return { op, key, value };
        throw this.#wrong("value", "a string to append");
      }
      case "set": {
        const { version } = this.#fields;
        const value = this.#value();
        return version === undefined ? { op, key, value } : { op, key, value, version: this.#version("version") };
      }
      case "cas":
        return { op, key, expected: this.#field("expected") ?? undefined, value: this.#value() };
      default:
        throw this.#wrong("op", OPS);
    }
  }

  #value(): unknown {
    const value = this.#field("value");
    if (value === null) throw this.#wrong("value", "anything but null, which stands for an absent key");
    return value;
  }

  #output({ op }: KeyValueInput): unknown {
    if (op === "get") return this.#field("output");
    if (op !== "cas" && op !== "set") return undefined;
    const applied = this.#field("applied");
    if (typeof applied !== "boolean") throw this.#wrong("applied", "true or false");
    const { output } = this.#fields;
    if (op === "set") return output === undefined ? { ok: applied } : { ok: applied, version: this.#version("output") };
    return applied || output === undefined ? { swapped: applied } : { swapped: applied, value: output };
  }

  /** What was read, with its version. */
  #entry(): unknown {
    const value = this.#field("output");
    const version = this.#version("version");
    if ((version === 0) !== (value === null)) {
      throw this.#wrong("version", value === null ? "0 for an absent key" : "1 or more for a key that is there");
    }
    return value === null ? null : { value, version };
  }

  #version(name: "version" | "output"): number {
    const version = this.#fields[name];
    if (Number.isSafeInteger(version) && (version as number) >= 0) return version as number;
    throw this.#wrong(name, VERSION);
  }

  #outcome(end: number | undefined): OperationOutcome {
    const { outcome = end === undefined ? "unknown" : "ok" } = this.#fields;
    if (outcome !== "ok" && outcome !== "failed" && outcome !== "unknown") {
      throw this.#wrong("outcome", "ok, failed or unknown");
    }
    if (outcome === "ok" && end === undefined) throw this.#missing("return");
    return outcome;
  }

  #time(name: FieldName): number {
    const time = this.#field(name);
    if (Number.isSafeInteger(time)) return time as number;
    throw this.#wrong(name, "a whole number of nanoseconds, up to 2^53");
  }

  #field(name: FieldName): unknown {
    const value = this.#fields[name];
    if (value === undefined) throw this.#missing(name);
    return value;
  }

  #missing(name: FieldName): RaftError {
    return invalid(this.#number, `${name}: missing`);
  }

  #wrong(name: FieldName, expected: string): RaftError {
    return invalid(this.#number, `${name}: expected ${expected}, got ${inspectShort(this.#fields[name])}`);
  }
}

/** A client does one thing after the other, as far as is known. */
function checkClients(
  operations: readonly KeyValueOperation[],
  lineOf: (operation: KeyValueOperation) => number,
): void {
  const previous = new Map<ClientId, KeyValueOperation>();
  for (const operation of [...operations].sort((one, other) => one.call - other.call)) {
    const { client, call } = operation;
    const before = previous.get(client);
    if (before?.return !== undefined && before.return > call) {
      const [first, second] = [lineOf(before), lineOf(operation)];
      throw invalid(
        Math.max(first, second),
        `client ${inspectShort(client)} has two calls at once: that of line ${second} begins at ${call}, ` +
          `and that of line ${first} returns at ${before.return}`,
      );
    }
    previous.set(client, operation);
  }
}
