import { crc32 } from "node:zlib";
import { packBriefly } from "../../../machine/codec.ts";

/** Longer ones are left to native code, which is slow to call and then quick. */
const LONG_TEXT = 128;

const number = new Float64Array(1);
const words = new Uint32Array(number.buffer);

/**
 * A checksum of a value, the same for equal ones, the order of keys included; of what cannot be packed, none: 0. Most
 * commands and results are small and plain, and are walked; all else is packed.
 */
export function fingerprint(value: unknown): number {
  try {
    return add(0x811c9dc5, value) >>> 0;
  } catch {
    return 0;
  }
}

function add(hash: number, value: unknown): number {
  switch (typeof value) {
    case "string":
      return addText(mix(hash, 1), value);
    case "number":
      return addNumber(mix(hash, 2), value);
    case "boolean":
      return mix(hash, value ? 3 : 4);
    case "undefined":
      return mix(hash, 5);
    case "object":
      if (value === null) return mix(hash, 6);
      if (Array.isArray(value)) return addItems(mix(hash, 7), value);
      if (isPlain(Object.getPrototypeOf(value))) return addFields(mix(hash, 8), value);
  }
  return mix(mix(hash, 9), crc32(packBriefly(value)));
}

function isPlain(prototype: unknown): boolean {
  return prototype === Object.prototype || prototype === null;
}

function addItems(hash: number, items: readonly unknown[]): number {
  let sum = mix(hash, items.length);
  for (const item of items) sum = add(sum, item);
  return sum;
}

function addFields(hash: number, fields: object): number {
  let sum = hash;
  for (const key of Object.keys(fields)) sum = add(addText(sum, key), (fields as Record<string, unknown>)[key]);
  return mix(sum, 10);
}

function addText(hash: number, text: string): number {
  const sum = mix(hash, text.length);
  if (text.length > LONG_TEXT) return mix(sum, crc32(text));
  let rest = sum;
  for (let at = 0; at < text.length; at++) rest = mix(rest, text.charCodeAt(at));
  return rest;
}

function addNumber(hash: number, value: number): number {
  // 0 and -0 are packed alike.
  number[0] = value + 0;
  return mix(mix(hash, words[0] ?? 0), words[1] ?? 0);
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
