import { Packr, RESET_BUFFER_MODE } from "msgpackr/pack";
import { type ByteRange, ENTRY_HEADER_BYTES, wholeOf } from "../raft/entry.ts";
import { RaftError } from "../raft/errors.ts";
import type { Applied, Thrown } from "./apply.ts";
import { Decoder } from "./decoder.ts";
import { Encoder } from "./encoder.ts";

// "msgpackr/pack" is the codec without its native addon: nothing native may run in a peer's thread outside its gate.
const packr = new Packr({ useRecords: false, variableMapSize: true, useToJSON: false, copyBuffers: true });

const encoder = new Encoder();
const decoder = new Decoder((rare, start, end) => packr.unpack(rare, { start, end }));

/** How deep values may nest. The stacks of threads differ, and what one can encode all others must be able to decode. */
const MAX_DEPTH = 256;

/** A value that does not come back as it went in; `path` says where it is, `.value[3]`. */
class Unencodable extends Error {
  path = "";
}

function step(key: string | number): string {
  if (typeof key === "number") return `[${key}]`;
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function within(key: string | number, value: unknown, depth: number): number {
  try {
    return weigh(value, depth);
  } catch (error) {
    if (error instanceof Unencodable) error.path = step(key) + error.path;
    throw error;
  }
}

function weighString(value: string): number {
  // Unpaired surrogates have no UTF-8. (The method is older than the type library that this is compiled with.)
  if (!(value as string & { isWellFormed(): boolean }).isWellFormed()) {
    throw new Unencodable("a string with half a surrogate pair cannot be encoded");
  }
  return value.length + 1;
}

function isPlain(prototype: unknown): boolean {
  // The last is Object.prototype of another realm, as test runners have several.
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * Checks that `value` comes back from its bytes as it is: 0.1 µs for a small command, a quarter of what packing costs.
 * @returns no more than the bytes it will take.
 */
function weigh(value: unknown, depth: number): number {
  switch (typeof value) {
    case "string":
      return weighString(value);
    case "number":
    case "boolean":
    case "undefined":
      return 1;
    case "bigint":
      if (BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value) return 9;
      throw new Unencodable(`a bigint of more than 64 bits cannot be encoded: ${value.toString().slice(0, 40)}`);
    case "object":
      return value === null ? 1 : weighObject(value, depth);
    default:
      throw new Unencodable(`a ${typeof value} cannot be encoded`);
  }
}

function weighObject(value: object, depth: number): number {
  if (depth === MAX_DEPTH) {
    throw new Unencodable(`values nested more than ${MAX_DEPTH} deep, or in a circle, cannot be encoded`);
  }
  let bytes = 1;
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) bytes += within(at, value[at], depth + 1);
    return bytes;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (isPlain(prototype)) {
    for (const key of Object.keys(value)) {
      if (key === "__proto__") throw new Unencodable('a key "__proto__" cannot be encoded');
      bytes += weighString(key) + within(key, (value as Record<string, unknown>)[key], depth + 1);
    }
    return bytes;
  }
  if (value instanceof Uint8Array) return bytes + value.byteLength;
  if (prototype === Date.prototype) return bytes + 1;
  const name = (value.constructor as { name?: unknown } | undefined)?.name;
  throw new Unencodable(`an instance of ${String(name || "a class")} cannot be encoded`);
}

/**
 * A value as bytes, in msgpack. What it may hold comes back equal: undefined, null, booleans, numbers, well-formed
 * strings, bigints of 64 bits, Date, Uint8Array, and arrays and plain objects of these. All else is refused rather than
 * turned into something similar: functions, symbols, class instances, Map, Set, other typed arrays, circles. Four things
 * do change: a Buffer comes back as a Uint8Array, -0 as 0, a hole in an array as undefined, and symbol keys are dropped.
 *
 * The bytes are safe to keep, but share their buffer with others: pack or copy them before they go to another thread,
 * since posting a view copies all of its buffer.
 * @param maxBytes the most bytes it may take.
 * @throws RaftError `ERR_INVALID_COMMAND` when it cannot be encoded, saying what and where, or is too large.
 */
export function encode(value: unknown, what: "command" | "query" | "value", maxBytes: number): Uint8Array {
  return encoder.encode(value, maxBytes) ?? encodeRare(value, what, maxBytes);
}

/** {@link encode}, for who packs the bytes with others into a batch of entries. */
export function encodeRange(value: unknown, what: "command" | "query", maxBytes: number): ByteRange {
  const range = encoder.encodeRange(value, maxBytes, ENTRY_HEADER_BYTES);
  return range ?? wholeOf(encodeRare(value, what, maxBytes));
}

/** {@link encodeRange}, with `room` bytes in front of it that are the caller's to write. */
export function encodeBehind(room: number, value: unknown, what: "command", maxBytes: number): ByteRange {
  const range = encoder.encodeRange(value, maxBytes, ENTRY_HEADER_BYTES + room);
  // At the beginning of a buffer there is none.
  if (range !== undefined && range.start > room) return range;
  const { bytes, start, end } = range ?? wholeOf(encodeRare(value, what, maxBytes));
  const moved = new Uint8Array(room + end - start);
  moved.set(bytes.subarray(start, end), room);
  return { bytes: moved, start: room, end: moved.length };
}

/** What the encoder leaves to others, and what nobody can encode. */
function encodeRare(value: unknown, what: "command" | "query" | "value", maxBytes: number): Uint8Array {
  let atLeast: number;
  try {
    atLeast = weigh(value, 0);
  } catch (cause) {
    throw new RaftError("ERR_INVALID_COMMAND", describe(what, cause), { cause });
  }
  // Before it is packed: the packer keeps its buffer, at three times the length of the longest string.
  if (atLeast > maxBytes) throw tooLarge(what, `${atLeast} bytes or more`, maxBytes);
  const bytes = packRare(value);
  if (bytes.byteLength > maxBytes) throw tooLarge(what, `${bytes.byteLength} bytes`, maxBytes);
  return bytes;
}

function tooLarge(what: string, size: string, maxBytes: number): RaftError {
  return new RaftError("ERR_INVALID_COMMAND", `${what}: ${size}, expected at most ${maxBytes}`);
}

function describe(what: string, error: unknown): string {
  if (error instanceof Unencodable) return `${what}${error.path}: ${error.message}`;
  return `${what}: reading it failed`;
}

/** {@link encode} without its checks, for values that were decoded or are known to be fit. */
export function pack(value: unknown): Uint8Array {
  return encoder.encode(value) ?? packRare(value);
}

function packRare(value: unknown): Uint8Array {
  // Out of the packer's scratch buffer, which any other user of the package in this thread may write to.
  return Buffer.from(packr.pack(value, RESET_BUFFER_MODE));
}

/** {@link pack}, but the bytes are good only until anything else is packed: for who copies them at once. */
export function packBriefly(value: unknown): Uint8Array {
  return encoder.encodeBriefly(value) ?? packr.pack(value);
}

/**
 * The value of bytes that `encode` or `pack` made. It shares no memory with them.
 * @throws RaftError `ERR_INVALID_COMMAND` when they are no encoded value.
 */
export function decode(bytes: Uint8Array): unknown {
  return decodeWithin(bytes, 0, bytes.byteLength);
}

/** {@link decode} of the bytes from `start` to `end`. */
export function decodeWithin({ buffer, byteOffset }: Uint8Array, start: number, end: number): unknown {
  try {
    return decoder.decode(buffer, byteOffset + start, byteOffset + end);
  } catch (cause) {
    throw new RaftError("ERR_INVALID_COMMAND", `${end - start} bytes that are no encoded value`, { cause });
  }
}

type PackedThrow = readonly [
  at: number,
  name: string,
  message: string,
  stack: string | undefined,
  refusal?: Thrown["refusal"],
];

/**
 * What commands or queries came to, in order, as bytes in a buffer of their own that can be transferred. Never throws:
 * a result that cannot be encoded becomes a throw that says so.
 */
export function encodeResults(results: readonly Applied[]): Uint8Array<ArrayBuffer> {
  return encodeFit(results) ?? encodeUnfit(results);
}

/** When none was thrown, and none is rare. */
function encodeFit(results: readonly Applied[]): Uint8Array<ArrayBuffer> | undefined {
  const values: unknown[] = [];
  for (const { result, threw } of results) {
    if (threw !== undefined) return undefined;
    values.push(result);
  }
  const bytes = encoder.encodeBriefly(values);
  return bytes && new Uint8Array(bytes);
}

function encodeUnfit(results: readonly Applied[]): Uint8Array<ArrayBuffer> {
  const values: unknown[] = [];
  const throws: PackedThrow[] = [];
  results.forEach(({ threw, result }, at) => {
    const problem = threw ?? unfit(result);
    values.push(problem === undefined ? result : undefined);
    if (problem === undefined) return;
    const { name, message, stack, refusal } = problem;
    throws.push(refusal === undefined ? [at, name, message, stack] : [at, name, message, stack, refusal]);
  });
  return new Uint8Array(packResults(values, throws));
}

function packResults(values: readonly unknown[], throws: readonly PackedThrow[]): Uint8Array {
  try {
    return packr.pack(throws.length === 0 ? values : { values, throws }, RESET_BUFFER_MODE);
  } catch (error) {
    // More than the packer can hold: a buffer has an end.
    const message = `the results together cannot be encoded: ${String(error)}`;
    const all = values.map((_, at): PackedThrow => [at, "RangeError", message, undefined]);
    return packr.pack({ values: values.map(() => undefined), throws: all }, RESET_BUFFER_MODE);
  }
}

function unfit(result: unknown): Thrown | undefined {
  try {
    weigh(result, 0);
    return undefined;
  } catch (error) {
    return { name: "TypeError", message: `it was carried out, but ${describe("result", error)}` };
  }
}

/** What `encodeResults` was given. */
export function decodeResults(bytes: Uint8Array): Applied[] {
  const packed = decode(bytes) as unknown[] | { values: unknown[]; throws: PackedThrow[] };
  if (Array.isArray(packed)) return packed.map((result) => ({ result, threw: undefined }));
  const results = packed.values.map((result): Applied => ({ result, threw: undefined }));
  for (const [at, name, message, stack, refusal] of packed.throws) {
    const threw = { name, message, ...(stack === undefined ? {} : { stack }), ...(refusal && { refusal }) };
    results[at] = { result: undefined, threw };
  }
  return results;
}
