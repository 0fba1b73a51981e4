const NOT_ASCII = 0x80;
/** So that nobody who chooses keys can choose them to collide. */
const SEED = Math.floor(Math.random() * 2 ** 32);

/** {@link hashOf} the text from `start` to `end`, without a string of it; undefined if it is not of ASCII. */
export function hashOfText(bytes: Uint8Array, start: number, end: number): number | undefined {
  let hash = SEED;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? NOT_ASCII;
    if (byte >= NOT_ASCII) return undefined;
    hash = mix(hash, byte);
  }
  return spread(hash);
}

/** Of a key: 32 bits, different in each process. */
export function hashOf(key: string): number {
  let hash = SEED;
  for (let at = 0; at < key.length; at++) hash = mix(hash, key.charCodeAt(at));
  return spread(hash);
}

/** FNV-1a, of UTF-16 units. */
function mix(hash: number, unit: number): number {
  return Math.imul(hash ^ unit, 0x01_00_01_93);
}

/** A table looks at the low bits, on which the high ones of a unit have no bearing yet. */
function spread(hash: number): number {
  return hash ^ (hash >>> 15);
}
