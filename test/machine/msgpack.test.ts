import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pack } from "../../src/machine/codec.ts";
import { endOfPlain, isAscii, textHead, textLength, uintAt, uintBytes, writeUint } from "../../src/machine/msgpack.ts";

const plain = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.constantFrom(
    0,
    1,
    -1,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2 ** 32 - 1,
    2 ** 32,
    -32,
    -33,
    -129,
    -40_000,
    -(2 ** 31),
  ),
  fc.constantFrom(null, true, false, 1.5, Number.NaN, 2n ** 63n, -1n, "x".repeat(70_000), "é".repeat(70_000)),
  fc.uint8Array({ maxLength: 300 }),
  fc.constantFrom(new Uint8Array(70_000)),
);

/** Between other bytes, so that what reads too far does not find an end. */
function amid(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.alloc(3, 0xff), bytes, Buffer.alloc(9, 0xc1)]);
}

describe("what lies in encoded bytes", () => {
  test("the end of a plain value is where the encoder ended it", () => {
    fc.assert(
      fc.property(plain, (value) => {
        const bytes = pack(value);
        expect(endOfPlain(amid(bytes), 3)).toBe(3 + bytes.byteLength);
      }),
    );
  });

  test.each([[undefined], [new Date(0)], [[1]], [{ a: 1 }], [[]], [{}], [Array(20).fill(1)]])(
    "the end of %o is not told",
    (value) => {
      expect(endOfPlain(amid(pack(value)), 3)).toBe(0);
    },
  );

  test("a text is found behind its head, at each length at which that changes, and nothing else is one", () => {
    for (const length of [0, 1, 31, 32, 255, 256, 65_535, 65_536]) {
      const bytes = amid(pack("x".repeat(length)));
      const head = textHead(bytes, 3);
      expect(textLength(bytes, 3, head)).toBe(length);
      expect(Buffer.from(bytes).toString("latin1", 3 + head, 3 + head + length)).toBe("x".repeat(length));
    }
    for (const other of [1, -1, null, [], {}, new Uint8Array(1)]) expect(textHead(amid(pack(other)), 3)).toBe(0);
  });

  test("whole numbers up to 2^32 - 1 are written as the encoder writes them, and read", () => {
    fc.assert(
      fc.property(fc.oneof(fc.constantFrom(0, 127, 128, 255, 256, 65_535, 65_536), fc.nat(2 ** 32 - 1)), (value) => {
        const bytes = amid(new Uint8Array(uintBytes(value)));
        const end = writeUint(bytes, 3, value);
        expect(end).toBe(3 + uintBytes(value));
        expect(Buffer.from(bytes.subarray(3, end))).toEqual(Buffer.from(pack(value)));
        expect(bytes[end]).toBe(0xc1);
        expect(uintAt(bytes, 3)).toBe(value);
      }),
    );
    for (const other of [-1, 1.5, 2 ** 32, "1", null]) expect(uintAt(pack(other), 0)).toBeUndefined();
  });

  test("ASCII ends where a byte has its highest bit", () => {
    const bytes = Buffer.from("abcé");
    expect(isAscii(bytes, 0, 3)).toBe(true);
    expect(isAscii(bytes, 0, 4)).toBe(false);
  });
});
