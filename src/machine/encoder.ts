import { setFloat64 } from "../raft/bytes.ts";
import type { ByteRange } from "../raft/entry.ts";
import { unfilledBytes } from "../raft/unfilled-bytes.ts";

/*
 * Writes common values, in the bytes in which the package's packer writes them. It takes about half of the time that a check
 * and that packer take, one after the other. What is rare is left to those two, and so is to say what is wrong with a value
 * that cannot be encoded.
 */

/** Values share a buffer of this size, one behind the other. */
const SLAB_BYTES = 64 << 10;
/** A value that does not fit behind the others moves to the next such buffer; a longer one to a buffer of its own. */
const MOST_SHARED_BYTES = SLAB_BYTES / 4;
/** What nests deeper is left to others. */
const MAX_DEPTH = 32;
/** To write a text of no more units takes less here than to call for it. */
const MOST_SHORT_UNITS = 24;
/** The bytes of a text of more units are counted before there is room for the most that it may take. */
const MOST_UNCOUNTED_UNITS = 256;
/** UTF-8 takes no more bytes for a UTF-16 unit. */
const MOST_BYTES_A_UNIT = 3;
/** As much more than it takes may be asked for a text. */
const MOST_UNCOUNTED_BYTES = MOST_UNCOUNTED_UNITS * MOST_BYTES_A_UNIT + 16;
/** What stands before the content of a text or byte string takes no more. */
const HEAD_BYTES = 5;

const NOT_ASCII = 0x80;
const ascending = new Uint8Array(8);

// Node's own, without a Buffer for each target.
const { utf8Write } = Buffer.prototype as unknown as {
  utf8Write(this: Uint8Array, text: string, at: number): number;
};

/** Encodes one value after the other. */
export class Encoder {
  #slab = unfilledBytes(SLAB_BYTES);
  /** Of the slab: up to here it is taken. */
  #taken = 0;
  /** Where the value at hand is written, from `#start` to `#at`: the slab, or a buffer of its own. */
  #target = this.#slab;
  #start = 0;
  #at = 0;
  /** How many bytes it may take, about. */
  #mostBytes = Number.POSITIVE_INFINITY;
  /** Somebody's getter may want something encoded in the middle of a value. */
  #isBusy = false;

  /**
   * @param mostBytes a value that takes more is left to others too.
   * @returns bytes to keep, which share their buffer with others; undefined for a value that is left to others.
   */
  encode(value: unknown, mostBytes = Number.POSITIVE_INFINITY): Uint8Array | undefined {
    const range = this.encodeRange(value, mostBytes, 0);
    return range && viewOf(range);
  }

  /**
   * {@link encode}, without a view for the bytes.
   * @param apart so many bytes are left between them and those of the value before, if both share a buffer.
   */
  encodeRange(value: unknown, mostBytes: number, apart: number): ByteRange | undefined {
    const range = this.#write(value, mostBytes, apart);
    if (range === undefined || range.end - range.start > mostBytes) return undefined;
    if (range.bytes === this.#slab) this.#taken = range.end;
    return range;
  }

  /** {@link encode}, but the bytes are good only until the next call of either. */
  encodeBriefly(value: unknown): Uint8Array | undefined {
    const range = this.#write(value, Number.POSITIVE_INFINITY, 0);
    return range && viewOf(range);
  }

  #write(value: unknown, mostBytes: number, apart: number): ByteRange | undefined {
    if (this.#isBusy) return undefined;
    this.#start = Math.min(this.#taken + apart, this.#slab.length);
    this.#at = this.#start;
    this.#mostBytes = mostBytes;
    this.#isBusy = true;
    try {
      if (this.#value(value, 0)) return { bytes: this.#target, start: this.#start, end: this.#at };
    } catch {
      // It is too large, or reading it failed: whoever reads it again says so.
    } finally {
      this.#isBusy = false;
      this.#target = this.#slab;
    }
    return undefined;
  }

  /** @returns false for what is left to others. */
  #value(value: unknown, depth: number): boolean {
    switch (typeof value) {
      case "string":
        return this.#text(value);
      case "number":
        this.#number(value);
        return true;
      case "boolean":
        this.#byte(value ? 0xc3 : 0xc2);
        return true;
      case "undefined":
        this.#byte(0xd4);
        this.#byte(0);
        this.#byte(0);
        return true;
      case "object":
        if (value === null) {
          this.#byte(0xc0);
          return true;
        }
        return depth < MAX_DEPTH && this.#object(value, depth + 1);
      default:
        return false;
    }
  }

  #object(value: object, depth: number): boolean {
    if (Array.isArray(value)) {
      // Once: somebody's getter may make it longer or shorter meanwhile.
      const { length } = value;
      this.#head(length, 0x90, 16, 0xdc);
      for (let at = 0; at < length; at++) if (!this.#value(value[at], depth)) return false;
      return true;
    }
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype) return this.#map(value as Record<string, unknown>, depth);
    if (prototype === Uint8Array.prototype || prototype === Buffer.prototype) return this.#bytes(value as Uint8Array);
    return false;
  }

  #map(value: Record<string, unknown>, depth: number): boolean {
    const keys = Object.keys(value);
    this.#head(keys.length, 0x80, 16, 0xde);
    for (let at = 0; at < keys.length; at++) {
      const key = keys[at] as string;
      if (key === "__proto__" || !this.#text(key) || !this.#value(value[key], depth)) return false;
    }
    return true;
  }

  #bytes(value: Uint8Array): boolean {
    // Its own properties may say anything.
    if (Object.hasOwn(value, "length")) return false;
    const { length } = value;
    this.#room(length + HEAD_BYTES);
    if (length < 0x100) this.#uint(0xc4, length, 1);
    else if (length < 0x1_0000) this.#uint(0xc5, length, 2);
    else this.#uint(0xc6, length, 4);
    this.#target.set(value, this.#at);
    this.#at += length;
    return true;
  }

  #text(text: string): boolean {
    if (text.length <= MOST_SHORT_UNITS && this.#shortText(text)) return true;
    const counted = text.length > MOST_UNCOUNTED_UNITS;
    this.#room((counted ? Buffer.byteLength(text) : text.length * MOST_BYTES_A_UNIT) + HEAD_BYTES);
    const begin = this.#at + headBytes(text.length);
    const length = utf8Write.call(this.#target, text, begin);
    // As many bytes as units are ASCII; half a surrogate pair would have become something else.
    if (length !== text.length && !(text as string & { isWellFormed(): boolean }).isWellFormed()) return false;
    const moved = this.#at + headBytes(length);
    if (moved > begin) this.#target.copyWithin(moved, begin, begin + length);
    if (length < 0x20) this.#byte(0xa0 | length);
    else if (length < 0x100) this.#uint(0xd9, length, 1);
    else if (length < 0x1_0000) this.#uint(0xda, length, 2);
    else this.#uint(0xdb, length, 4);
    this.#at = moved + length;
    return true;
  }

  /** @returns false, and nothing is written, if it is not of ASCII. */
  #shortText(text: string): boolean {
    const { length } = text;
    this.#room(length + 1);
    const target = this.#target;
    const begin = this.#at + 1;
    let all = 0;
    for (let at = 0; at < length; at++) {
      const unit = text.charCodeAt(at);
      all |= unit;
      target[begin + at] = unit;
    }
    if (all >= NOT_ASCII) return false;
    target[begin - 1] = 0xa0 | length;
    this.#at = begin + length;
    return true;
  }

  /** Of a list or map: in one byte if it has fewer than `few`. */
  #head(count: number, short: number, few: number, long: number): void {
    if (count < few) this.#byte(short | count);
    else if (count < 0x1_0000) this.#uint(long, count, 2);
    else this.#uint(long + 1, count, 4);
  }

  #number(value: number): void {
    if (value >>> 0 === value) {
      if (value < 0x80) this.#byte(value);
      else if (value < 0x100) this.#uint(0xcc, value, 1);
      else if (value < 0x1_0000) this.#uint(0xcd, value, 2);
      else this.#uint(0xce, value, 4);
    } else if (value >> 0 === value) {
      if (value >= -0x20) this.#byte(value);
      else if (value >= -0x80) this.#uint(0xd0, value, 1);
      else if (value >= -0x8000) this.#uint(0xd1, value, 2);
      else this.#uint(0xd2, value, 4);
    } else {
      this.#byte(0xcb);
      setFloat64(ascending, 0, value);
      for (let byte = 7; byte >= 0; byte--) this.#byte(ascending[byte] as number);
    }
  }

  #uint(type: number, value: number, size: 1 | 2 | 4): void {
    this.#byte(type);
    for (let shift = 8 * (size - 1); shift >= 0; shift -= 8) this.#byte(value >>> shift);
  }

  #byte(byte: number): void {
    if (this.#at === this.#target.length) this.#room(1);
    this.#target[this.#at++] = byte;
  }

  /** Sees to it that so many more bytes can be written. */
  #room(bytes: number): void {
    if (this.#at + bytes <= this.#target.length) return;
    const written = this.#target.subarray(this.#start, this.#at);
    const needed = written.length + bytes;
    if (needed > this.#mostBytes + MOST_UNCOUNTED_BYTES) throw new RangeError("it takes more bytes than it may");
    const isShared = needed <= MOST_SHARED_BYTES;
    this.#target = unfilledBytes(isShared ? SLAB_BYTES : Math.max(needed, 2 * written.length));
    this.#target.set(written);
    this.#start = 0;
    this.#at = written.length;
    if (!isShared) return;
    this.#slab = this.#target;
    this.#taken = 0;
  }
}

function viewOf({ bytes, start, end }: ByteRange): Uint8Array {
  return new Uint8Array(bytes.buffer, start, end - start);
}

/** How many bytes stand before those of a text of so many. */
function headBytes(length: number): number {
  return length < 0x20 ? 1 : length < 0x100 ? 2 : length < 0x1_0000 ? 3 : 5;
}
