/*
 * Numbers in bytes, little-endian, as a DataView reads and writes them, a RangeError beyond the end included. To make a
 * DataView takes ten times as long as what it is made for here, and for a short array more: its buffer has to be made too.
 */

const scratch = new Uint8Array(8);
const float = new Float64Array(scratch.buffer);
/** What turns the order of eight bytes around on a machine that has the other one. */
const FLIP = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 0 : 7;

function checkRoom(bytes: Uint8Array, at: number, size: number): void {
  if (at < 0 || at + size > bytes.length) {
    throw new RangeError(`${size} bytes at ${at} are not within ${bytes.length}`);
  }
}

export function getUint32(bytes: Uint8Array, at: number): number {
  checkRoom(bytes, at, 4);
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16);
  return (low | ((bytes[at + 3] as number) << 24)) >>> 0;
}

export function setUint32(bytes: Uint8Array, at: number, value: number): void {
  checkRoom(bytes, at, 4);
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

export function getFloat64(bytes: Uint8Array, at: number): number {
  checkRoom(bytes, at, 8);
  for (let byte = 0; byte < 8; byte++) scratch[byte ^ FLIP] = bytes[at + byte] as number;
  const value = float[0] as number;
  // Indices and terms: the engine keeps small integers apart, and objects that hold them without a box for each.
  const integer = value | 0;
  return integer === value ? integer : value;
}

export function setFloat64(bytes: Uint8Array, at: number, value: number): void {
  checkRoom(bytes, at, 8);
  float[0] = value;
  for (let byte = 0; byte < 8; byte++) bytes[at + byte] = scratch[byte ^ FLIP] as number;
}
