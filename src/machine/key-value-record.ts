import { inspect } from "node:util";
import { decodeWithin, packBriefly } from "./codec.ts";
import { hashOf, hashOfText } from "./key-hash.ts";
import type { Cell } from "./key-value-rules.ts";
import type { KeyValueEntry } from "./key-value-types.ts";
import { endOfPlain, textHead, textLength, uintAt } from "./msgpack.ts";
import { recordBytes } from "./record-arena.ts";

/*
 * The record of an entry of the key-value map, in its snapshots and in its memory: the encoded array of key, version and value.
 * The value stands at the end, so that nothing has to be known of it to read the others.
 */

/** What begins an encoded array of three. */
export const RECORD = 0x93;
const NOT_ASCII = 0x80;

/** An entry whose key, version and value are made when they are asked for, each time. */
class RecordCell implements Cell {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  get key(): string {
    return keyOf(this.#bytes, this.#start);
  }

  get version(): number {
    return versionOf(this.#bytes, this.#start) ?? this.entry().version;
  }

  get value(): unknown {
    const at = versionAt(this.#bytes, this.#start);
    const end = endOfPlain(this.#bytes, at);
    return decodeWithin(this.#bytes, end, this.#end);
  }

  entry(): KeyValueEntry {
    const record = decodeWithin(this.#bytes, this.#start, this.#end);
    const [key, version, value] = record as [string, number, unknown];
    return { key, value, version };
  }

  record(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }
}

/** The entry whose record begins at `start`. */
export function recordAt(bytes: Uint8Array, start: number): RecordCell {
  return new RecordCell(bytes, start, start + recordBytes(bytes, start));
}

/** The record of an entry. The bytes are good only until anything else is packed. */
export function packRecord({ key, version, value }: KeyValueEntry): Uint8Array {
  return packBriefly([key, version, value]);
}

/** @throws Error when the bytes from `start` to `end` do not begin as a record does. */
export function checkRecord(bytes: Uint8Array, start: number, end: number): void {
  const isRecord = bytes[start] === RECORD && textHead(bytes, start + 1) > 0 && versionAt(bytes, start) < end;
  if (!isRecord) throw new Error(`no record begins with ${inspect(bytes.subarray(start, Math.min(end, start + 8)))}`);
}

/** Of the record that begins at `start`. */
export function keyOf(bytes: Uint8Array, start: number): string {
  return decodeWithin(bytes, start + 1, versionAt(bytes, start)) as string;
}

/** Of the record that begins at `start`; undefined if it is no whole number of up to four bytes. */
export function versionOf(bytes: Uint8Array, start: number): number | undefined {
  return uintAt(bytes, versionAt(bytes, start));
}

/** Where the text of the key stands in the record that begins at `start`, up to its version. */
export function keyAt(bytes: Uint8Array, start: number): number {
  return start + 1 + textHead(bytes, start + 1);
}

/** Where the version stands in the record that begins at `start`. */
export function versionAt(bytes: Uint8Array, start: number): number {
  const head = textHead(bytes, start + 1);
  return start + 1 + head + textLength(bytes, start + 1, head);
}

/** Whether `key` is that of the record that begins at `start`; no string is made of that, if it is of ASCII. */
export function hasKey(bytes: Uint8Array, start: number, key: string): boolean {
  const end = versionAt(bytes, start);
  const begin = keyAt(bytes, start);
  // A text takes a byte for each unit, or more.
  if (end - begin < key.length) return false;
  for (let at = 0; at < key.length; at++) {
    const byte = bytes[begin + at] ?? NOT_ASCII;
    if (byte >= NOT_ASCII) return keyOf(bytes, start) === key;
    if (byte !== key.charCodeAt(at)) return false;
  }
  return end - begin === key.length;
}

/** {@link hasKey}, for a key of ASCII that lies from `from` to `to` of `source`. */
export function hasKeyText(bytes: Uint8Array, start: number, source: Uint8Array, from: number, to: number): boolean {
  const begin = keyAt(bytes, start);
  if (versionAt(bytes, start) - begin !== to - from) return false;
  for (let at = from; at < to; at++) if (bytes[begin + at - from] !== source[at]) return false;
  return true;
}

/** {@link hashOf} the key of the record that begins at `start`. */
export function hashOfRecord(bytes: Uint8Array, start: number): number {
  return hashOfText(bytes, keyAt(bytes, start), versionAt(bytes, start)) ?? hashOf(keyOf(bytes, start));
}
