import { getFloat64 } from "../raft/bytes.ts";
import { isAscii } from "./msgpack.ts";

/*
 * Reads what the packer writes of the values that may be encoded: msgpack without records and references. The package's own
 * unpacker took a fifth of a busy cluster's CPU, where this takes about two thirds of the time for a command; and it drops a
 * byte order mark at the beginning of a long string. What is rare is left to it.
 */

/** Reads what lies from `start` to `end` of `source`: a date, of some form or other. */
type ReadRare = (source: Uint8Array, start: number, end: number) => unknown;

/** How many bytes an extension takes in all, by its first byte from 0xd4 on. */
const EXTENSION_BYTES = [3, 4, 6, 10, 18] as const;

/** Strings that stand in many values, such as the names of their fields, are made once. */
const KNOWN_STRINGS = 256;
const MOST_KNOWN_BYTES = 16;
const knownBytes = Array.from({ length: KNOWN_STRINGS }, () => new Uint8Array());
const known = new Array<string>(KNOWN_STRINGS).fill("");

/** A text of no more bytes takes less to make here than to call for. */
const MOST_SHORT_BYTES = 12;

/** A number that is read, from big-endian to little-endian. */
const reversed = new Uint8Array(8);

// Node's own, without a Buffer for each text; a TextDecoder takes twice as long.
const { utf8Slice } = Buffer.prototype as unknown as {
  utf8Slice(this: Uint8Array, start: number, end: number): string;
};

/** Goes over one encoded value; to be used again for the next. */
export class Decoder {
  /**
   * All of the buffer that was read from last: the many values in one share it. Never a Buffer, which would make Buffers of the
   * byte strings inside.
   */
  #source: Uint8Array = new Uint8Array();
  #at = 0;
  #end = 0;
  readonly #readRare: ReadRare;

  constructor(readRare: ReadRare) {
    this.#readRare = readRare;
  }

  /**
   * The value in the bytes of `buffer` from `start` to `end`, which it is to fill. It shares no memory with them.
   * @throws RangeError when it does not, and what `readRare` throws.
   */
  decode(buffer: ArrayBufferLike, start: number, end: number): unknown {
    this.#begin(buffer, start, end);
    const value = this.#value();
    if (this.#at !== end) throw new RangeError(`a value ends at ${this.#at}, and its bytes at ${end}`);
    return value;
  }

  #begin(buffer: ArrayBufferLike, start: number, end: number): void {
    if (this.#source.buffer !== buffer) this.#source = new Uint8Array(buffer);
    this.#at = start;
    this.#end = end;
  }

  #value(): unknown {
    const type = this.#byte();
    if (type < 0x80) return type;
    if (type < 0x90) return this.#map(type & 0x0f);
    if (type < 0xa0) return this.#array(type & 0x0f);
    if (type < 0xc0) return this.#text(type & 0x1f);
    if (type >= 0xe0) return type - 0x100;
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#bytes(this.#uint(1));
      case 0xc5:
        return this.#bytes(this.#uint(2));
      case 0xc6:
        return this.#bytes(this.#uint(4));
      case 0xcb:
        return this.#float();
      case 0xcc:
        return this.#uint(1);
      case 0xcd:
        return this.#uint(2);
      case 0xce:
        return this.#uint(4);
      case 0xcf:
        return this.#bigint();
      case 0xd0:
        return (this.#uint(1) << 24) >> 24;
      case 0xd1:
        return (this.#uint(2) << 16) >> 16;
      case 0xd2:
        return this.#uint(4) | 0;
      case 0xd3:
        return BigInt.asIntN(64, this.#bigint());
      case 0xd9:
        return this.#text(this.#uint(1));
      case 0xda:
        return this.#text(this.#uint(2));
      case 0xdb:
        return this.#text(this.#uint(4));
      case 0xdc:
        return this.#array(this.#uint(2));
      case 0xdd:
        return this.#array(this.#uint(4));
      case 0xde:
        return this.#map(this.#uint(2));
      case 0xdf:
        return this.#map(this.#uint(4));
      default:
        return this.#extension(type);
    }
  }

  #map(size: number): Record<string, unknown> {
    this.#room(2 * size);
    const object: Record<string, unknown> = {};
    for (let left = size; left > 0; left--) {
      const key = this.#key();
      // It would be the object's prototype, and no key.
      if (key === "__proto__") throw new RangeError('a key "__proto__"');
      object[key] = this.#value();
    }
    return object;
  }

  #key(): string {
    const type = this.#source[this.#at] as number;
    const length = type & 0x1f;
    if ((type & 0xe0) === 0xa0 && length <= MOST_KNOWN_BYTES) {
      this.#take(1);
      return this.#known(this.#take(length), length);
    }
    const key = this.#value();
    if (typeof key !== "string") throw new RangeError(`a key that is no string: ${String(key)}`);
    return key;
  }

  #array(length: number): unknown[] {
    this.#room(length);
    const array: unknown[] = [];
    for (let left = length; left > 0; left--) array.push(this.#value());
    return array;
  }

  #text(length: number): string {
    const start = this.#take(length);
    const source = this.#source;
    if (length <= MOST_SHORT_BYTES && isAscii(source, start, this.#at)) return shortText(source, start, this.#at);
    return utf8Slice.call(source, start, this.#at);
  }

  #known(start: number, length: number): string {
    const source = this.#source;
    const place =
      (length * 31 + (source[start] as number) * 7 + (source[start + length - 1] as number)) % KNOWN_STRINGS;
    const bytes = knownBytes[place] as Uint8Array;
    if (bytes.length === length) {
      let same = 0;
      while (same < length && bytes[same] === source[start + same]) same++;
      if (same === length) return known[place] as string;
    }
    const text = utf8Slice.call(source, start, this.#at);
    knownBytes[place] = source.slice(start, this.#at);
    known[place] = text;
    return text;
  }

  #bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#source.slice(start, this.#at);
  }

  #float(): number {
    const start = this.#take(8);
    for (let byte = 0; byte < 8; byte++) reversed[7 - byte] = this.#source[start + byte] as number;
    return getFloat64(reversed, 0);
  }

  #bigint(): bigint {
    const high = this.#uint(4);
    return (BigInt(high) << 32n) | BigInt(this.#uint(4));
  }

  /** Undefined, and dates. */
  #extension(type: number): unknown {
    const start = this.#at - 1;
    const fixed = EXTENSION_BYTES[type - 0xd4];
    if (fixed === undefined && type !== 0xc7) throw new RangeError(`no value begins with the byte ${type}`);
    this.#take(fixed === undefined ? 1 + this.#uint(1) : fixed - 1);
    if (type === 0xd4 && this.#source[start + 1] === 0) return undefined;
    return this.#readRare(this.#source, start, this.#at);
  }

  #uint(size: 1 | 2 | 4): number {
    let value = 0;
    for (let at = this.#take(size); at < this.#at; at++) value = value * 256 + (this.#source[at] as number);
    return value;
  }

  #byte(): number {
    return this.#source[this.#take(1)] as number;
  }

  /** @returns where the next `size` bytes begin. */
  #take(size: number): number {
    this.#room(size);
    const start = this.#at;
    this.#at += size;
    return start;
  }

  #room(size: number): void {
    if (size > this.#end - this.#at)
      throw new RangeError(`${size} bytes at ${this.#at}, and the end is at ${this.#end}`);
  }
}

/** Of a text of ASCII. */
function shortText(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  let at = start;
  for (; at + 4 <= end; at += 4)
    text += String.fromCharCode(unit(bytes, at), unit(bytes, at + 1), unit(bytes, at + 2), unit(bytes, at + 3));
  switch (end - at) {
    case 1:
      return text + String.fromCharCode(unit(bytes, at));
    case 2:
      return text + String.fromCharCode(unit(bytes, at), unit(bytes, at + 1));
    case 3:
      return text + String.fromCharCode(unit(bytes, at), unit(bytes, at + 1), unit(bytes, at + 2));
    default:
      return text;
  }
}

function unit(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}
