/*
 * LMDB orders keys by their bytes, JavaScript orders strings by their UTF-16 units. In UTF-8 both agree but for characters
 * outside the basic plane, which take two units; so each of those units is written by itself, as in CESU-8. Then a store
 * on disk and one in memory go through their keys in the same order.
 */

/** Where each unit of a pair is written by itself. */
const SURROGATE = /[\ud800-\udfff]/;

/** The bytes that stand for a key. */
export function keyBytes(key: string): Buffer {
  if (!SURROGATE.test(key)) return Buffer.from(key, "utf8");
  const bytes: number[] = [];
  for (let at = 0; at < key.length; at++) {
    const unit = key.charCodeAt(at);
    if (unit < 0x80) bytes.push(unit);
    else if (unit < 0x800) bytes.push(0xc0 | (unit >> 6), 0x80 | (unit & 0x3f));
    else bytes.push(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f));
  }
  return Buffer.from(bytes);
}

/** The key that bytes stand for. */
export function keyText(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!hasSurrogate(buffer)) return buffer.toString("utf8");
  const units: number[] = [];
  for (let at = 0; at < buffer.length; ) {
    const [first = 0, second = 0, third = 0] = buffer.subarray(at, at + 3);
    if (first < 0x80) units.push(first);
    else if (first < 0xe0) units.push(((first & 0x1f) << 6) | (second & 0x3f));
    else units.push(((first & 0x0f) << 12) | ((second & 0x3f) << 6) | (third & 0x3f));
    at += first < 0x80 ? 1 : first < 0xe0 ? 2 : 3;
  }
  return units.map((unit) => String.fromCharCode(unit)).join("");
}

/** Whether there is one of the units d800 to dfff: their first two bytes are ed a0 to ed bf. */
function hasSurrogate(bytes: Uint8Array): boolean {
  for (let at = bytes.indexOf(0xed); at !== -1; at = bytes.indexOf(0xed, at + 1)) {
    if ((bytes[at + 1] ?? 0) >= 0xa0) return true;
  }
  return false;
}
