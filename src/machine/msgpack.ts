/*
 * What lies in encoded bytes, for who does not want values made of it. Of what a decoder accepts this knows the part that the
 * encoder writes.
 */

/** How many bytes stand before those of the text that begins at `at`; 0: it is none. */
export function textHead(bytes: Uint8Array, at: number): number {
  const type = bytes[at] as number;
  if (type >= 0xa0 && type < 0xc0) return 1;
  switch (type) {
    case 0xd9:
      return 2;
    case 0xda:
      return 3;
    case 0xdb:
      return 5;
    default:
      return 0;
  }
}

/** How many bytes the text takes that begins at `at` with `head` of them. */
export function textLength(bytes: Uint8Array, at: number, head: number): number {
  return head === 1 ? (bytes[at] as number) & 0x1f : bigEndian(bytes, at + 1, head - 1);
}

/** Whether the bytes from `start` to `end` are those of a text of ASCII. */
export function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  let all = 0;
  for (let at = start; at < end; at++) all |= bytes[at] as number;
  return all < 0x80;
}

/** Where the value ends that begins at `at`; 0 for one of which that cannot be told at a glance, and for undefined. */
export function endOfPlain(bytes: Uint8Array, at: number): number {
  const type = bytes[at] as number;
  const head = textHead(bytes, at);
  if (head > 0) return at + head + textLength(bytes, at, head);
  if (type < 0x80 || type >= 0xe0) return at + 1;
  switch (type) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return at + 1;
    case 0xc4:
      return at + 2 + bigEndian(bytes, at + 1, 1);
    case 0xc5:
      return at + 3 + bigEndian(bytes, at + 1, 2);
    case 0xc6:
      return at + 5 + bigEndian(bytes, at + 1, 4);
    case 0xcc:
    case 0xd0:
      return at + 2;
    case 0xcd:
    case 0xd1:
      return at + 3;
    case 0xce:
    case 0xd2:
      return at + 5;
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return at + 9;
    default:
      return 0;
  }
}

/** How many bytes a whole number from 0 to 2^32 - 1 takes. */
export function uintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x100 ? 2 : value < 0x1_0000 ? 3 : 5;
}

/** The whole number that begins at `at`, if it is one of those of {@link uintBytes}; else undefined. */
export function uintAt(bytes: Uint8Array, at: number): number | undefined {
  const type = bytes[at] as number;
  if (type < 0x80) return type;
  return type >= 0xcc && type <= 0xce ? bigEndian(bytes, at + 1, 2 ** (type - 0xcc)) : undefined;
}

/** Writes a whole number from 0 to 2^32 - 1. @returns where it ends. */
export function writeUint(bytes: Uint8Array, at: number, value: number): number {
  const size = uintBytes(value) - 1;
  if (size === 0) bytes[at] = value;
  else {
    bytes[at] = size === 4 ? 0xce : 0xcb + size;
    for (let byte = size; byte > 0; byte--) bytes[at + byte] = value >>> (8 * (size - byte));
  }
  return at + size + 1;
}

function bigEndian(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let byte = 0; byte < size; byte++) value = value * 256 + (bytes[at + byte] as number);
  return value;
}
