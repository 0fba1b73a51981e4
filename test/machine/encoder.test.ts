import fc from "fast-check";
import { Packr } from "msgpackr/pack";
import { describe, expect, test } from "vitest";
import { decode } from "../../src/machine/codec.ts";
import { Encoder } from "../../src/machine/encoder.ts";

const packr = new Packr({ useRecords: false, variableMapSize: true, useToJSON: false, copyBuffers: true });

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: fc.constantFrom("x", "é", "€", "😀"), maxLength: 400 }),
  fc.constantFrom("x".repeat(255), "x".repeat(256), "é".repeat(127), "é".repeat(128), "x".repeat(65_536)),
  fc.constantFrom("é".repeat(32_768), "€".repeat(40_000)),
);
const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    text,
    fc.constantFrom(0, -0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, -1, -32, -33, -128, -129),
    fc.constantFrom(-32_768, -32_769, -(2 ** 31), -(2 ** 31) - 1, Number.NaN, Number.POSITIVE_INFINITY, 0.1),
    fc.double(),
    fc.constantFrom(null, undefined, true, false),
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(new Uint8Array(70_000), Buffer.from("a buffer")),
    fc.array(tie("value"), { maxLength: 20 }),
    fc.dictionary(
      text.filter((key) => key !== "__proto__"),
      tie("value"),
      { maxKeys: 20, noNullPrototype: true },
    ),
  ),
})).value;

function bytesOf(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString("hex");
}

/** Values of the property tests come to megabytes, of which texts would be made. */
function isSame(bytes: Uint8Array | undefined, expected: Uint8Array | undefined): boolean {
  return bytes !== undefined && expected !== undefined && Buffer.compare(bytes, expected) === 0;
}

describe("the encoder", () => {
  test("writes values apart from each other, as long as they share a buffer", () => {
    const encoder = new Encoder();
    fc.assert(
      fc.property(fc.array(values, { maxLength: 10 }), fc.nat(20), (all, apart) => {
        const kept = all.map((value) => encoder.encodeRange(value, Number.POSITIVE_INFINITY, apart));
        kept.forEach((range, at) => {
          expect(isSame(range?.bytes.subarray(range.start, range.end), packr.pack(all[at]))).toBe(true);
          const before = kept[at - 1];
          if (before?.bytes === range?.bytes) expect(range?.start).toBe((before?.end ?? 0) + apart);
        });
      }),
      { numRuns: 100 },
    );
  });

  test("writes the bytes that the packer writes, one value after the other", () => {
    const encoder = new Encoder();
    fc.assert(
      fc.property(fc.array(values, { maxLength: 10 }), (all) => {
        const packed = all.map((value) => Buffer.from(packr.pack(value)));
        const kept = all.map((value) => encoder.encode(value));
        const areKept = () => kept.every((bytes, at) => isSame(bytes, packed[at]));
        expect(areKept()).toBe(true);
        expect(all.every((value, at) => isSame(encoder.encodeBriefly(value), packed[at]))).toBe(true);
        expect(areKept()).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test.each<[string, unknown]>([
    ["a date", [new Date(0)]],
    ["a bigint", { n: 1n }],
    ["half a surrogate pair", "a\ud800"],
    ["half a pair in a key", { "\udfff": 1 }],
    ["half a pair in a long text", "x".repeat(500).concat("\ud800")],
    ["a class instance", new (class Point {})()],
    ["another typed array", new Float64Array(1)],
    ["a function", () => 1],
    ["a __proto__ key", JSON.parse('{"__proto__": 1}')],
    ["deep nesting", JSON.parse("[".repeat(40) + "]".repeat(40))],
    [
      "what cannot be read",
      {
        get value() {
          throw new Error("not now");
        },
      },
    ],
  ])("leaves %s to others, and is as before", (_, value) => {
    const encoder = new Encoder();
    const before = encoder.encode("before");
    expect(encoder.encode(value)).toBeUndefined();
    expect(encoder.encodeBriefly({ some: "text", value })).toBeUndefined();
    expect(bytesOf(encoder.encode({ after: 1 }))).toBe(bytesOf(packr.pack({ after: 1 })));
    expect(bytesOf(before)).toBe(bytesOf(packr.pack("before")));
  });

  test("leaves what takes more bytes than it may to others, without writing all of it", () => {
    const encoder = new Encoder();
    const value = { text: "é".repeat(50) };
    const size = packr.pack(value).byteLength;
    expect(encoder.encode(value, size)?.byteLength).toBe(size);
    expect(encoder.encode(value, size - 1)).toBeUndefined();
    const read: number[] = [];
    const parts = Array.from({ length: 100 }, (_, at) => ({
      get part() {
        read.push(at);
        return "x".repeat(10_000);
      },
    }));
    expect(encoder.encode(parts, 100_000)).toBeUndefined();
    expect(read.length).toBeLessThan(15);
  });

  test("leaves a value to others that is to be encoded in the middle of another", () => {
    const encoder = new Encoder();
    let inner: unknown = "never";
    const outer = {
      first: 1,
      get second() {
        inner = encoder.encode("inner");
        return 2;
      },
    };
    expect(bytesOf(encoder.encode(outer))).toBe(bytesOf(packr.pack({ first: 1, second: 2 })));
    expect(inner).toBeUndefined();
  });

  test("reads the length of a list once, whatever its elements do to it", () => {
    const encoder = new Encoder();
    for (const change of [(list: unknown[]) => list.push(2, 3), (list: unknown[]) => list.splice(1)]) {
      const list: unknown[] = [1, 1, 1];
      Object.defineProperty(list, 0, {
        enumerable: true,
        get() {
          change(list);
          return 0;
        },
      });
      const [first, ...rest] = (decode(encoder.encode(list) ?? new Uint8Array()) as unknown[]) ?? [];
      expect(first).toBe(0);
      expect(rest).toHaveLength(2);
    }
  });

  test("leaves bytes to others that say themselves how long they are", () => {
    const lying = Object.defineProperty(new Uint8Array(5), "length", { value: 2 });
    expect(new Encoder().encode(lying)).toBeUndefined();
  });

  test.each([100, 2_000, 10_000, 16_000, 40_000, 200_000])(
    "holds little more than the bytes of values of %d",
    (size) => {
      const encoder = new Encoder();
      const value = { value: "x".repeat(size) };
      const buffers = new Set<ArrayBufferLike>();
      let bytes = 0;
      for (let at = 0; at < 300; at++) {
        const encoded = encoder.encode(value);
        bytes += encoded?.length ?? 0;
        if (encoded !== undefined) buffers.add(encoded.buffer);
      }
      const held = [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
      expect(held).toBeLessThan(1.4 * bytes + 2 * 65_536);
    },
  );
});
