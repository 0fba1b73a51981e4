import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyBytes, keyText } from "../../src/storage/machine-keys.ts";

const units = fc.constantFrom(
  0,
  0x41,
  0x7f,
  0x80,
  0x7ff,
  0x800,
  0xd7ff,
  0xd800,
  0xdbff,
  0xdc00,
  0xdfff,
  0xe000,
  0xffff,
);
const keys = fc.array(units, { maxLength: 5 }).map((all) => String.fromCharCode(...all));

describe("the bytes of a key", () => {
  it("are in the order of the keys' UTF-16 units", () => {
    fc.assert(
      fc.property(keys, keys, (one, other) => {
        const order = one < other ? -1 : one > other ? 1 : 0;
        expect(Buffer.compare(keyBytes(one), keyBytes(other))).toBe(order);
      }),
      { numRuns: 2_000 },
    );
  });

  it("come back as the key, even with half a surrogate pair", () => {
    fc.assert(
      fc.property(keys, (key) => {
        expect(keyText(keyBytes(key))).toBe(key);
      }),
      { numRuns: 2_000 },
    );
  });

  it("are its UTF-8 where there is no surrogate pair", () => {
    for (const key of ["", "plain", "é日本\ud7ff\ue000"]) expect(keyBytes(key)).toEqual(Buffer.from(key, "utf8"));
  });
});
