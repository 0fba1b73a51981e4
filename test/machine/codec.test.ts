import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Applied } from "../../src/machine/apply.ts";
import { decode, decodeResults, encode, encodeBehind, encodeResults, pack } from "../../src/machine/codec.ts";
import { RaftError } from "../../src/raft/errors.ts";

const NO_LIMIT = Number.POSITIVE_INFINITY;

function problemOf(value: unknown, maxBytes = NO_LIMIT): RaftError {
  try {
    encode(value, "command", maxBytes);
  } catch (error) {
    if (error instanceof RaftError) return error;
    throw error;
  }
  throw new Error("it was encoded");
}

const text = fc.string({ unit: "binary", maxLength: 80 });
const values = fc.letrec<{ value: unknown; list: unknown[]; record: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { depthSize: "medium" },
    fc.constantFrom(null, undefined, true, false),
    fc.double().map((number) => number + 0),
    fc.maxSafeInteger().map((number) => number + 0),
    text,
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    fc.date(),
    fc.uint8Array().map((bytes) => new Uint8Array(bytes)),
    tie("list"),
    tie("record"),
  ),
  list: fc.array(tie("value"), { maxLength: 20 }),
  record: fc.dictionary(
    text.filter((key) => key !== "__proto__"),
    tie("value"),
    { noNullPrototype: true },
  ),
})).value;

describe("encode and decode", () => {
  test("what is encoded comes back equal", () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(decode(encode(value, "command", NO_LIMIT))).toStrictEqual(value);
      }),
    );
  });

  test("a text keeps the byte order mark that it begins with, however long it is, and so does a key", () => {
    for (const length of [1, 20, 64, 65, 300, 70_000]) {
      const marked = "\ufeff".padEnd(length, "é");
      expect(decode(encode({ [marked]: [marked] }, "command", NO_LIMIT))).toStrictEqual({ [marked]: [marked] });
    }
  });

  test("numbers, texts, bytes, lists and maps come back at each size at which their encoding changes", () => {
    const powers = Array.from({ length: 53 }, (_, power) => 2 ** power).flatMap((power) => [power - 1, power, -power]);
    const sizes = [0, 15, 16, 17, 31, 32, 33, 255, 256, 65_535, 65_536];
    const all: unknown[] = [
      ...powers.map((number) => number + 0),
      ...[0.5, -1e300, 5e-324, Number.NaN, Number.POSITIVE_INFINITY],
      ...powers.map((number) => BigInt(number)),
      ...[2n ** 63n, 2n ** 64n - 1n, -(2n ** 63n)],
      ...sizes.map((size) => "x".repeat(size)),
      ...sizes.map((size) => new Uint8Array(size).fill(7)),
      ...sizes.map((size) => new Array<number>(size).fill(1)),
      ...sizes.map((size) => Object.fromEntries(Array.from({ length: size }, (_, at) => [`${at}`, at]))),
      ...[0, 1, -1, 1e12, 1e12 + 1, 2 ** 32 * 1_000, -8.64e15, 8.64e15, Number.NaN].map((time) => new Date(time)),
    ];
    for (const value of all) expect(decode(encode([value], "command", NO_LIMIT))).toStrictEqual([value]);
  });

  test("names that differ in one place alone are told apart, though many have been seen", () => {
    for (let round = 0; round < 3; round++) {
      for (let at = 0; at < 2_000; at++) {
        const object = { [`name ${at}`]: at, [`name ${2_000 + at}`]: `${at}`, "": at };
        expect(decode(encode(object, "command", NO_LIMIT))).toStrictEqual(object);
      }
    }
  });

  test("the same value always gives the same bytes, and what comes after leaves them alone", () => {
    fc.assert(
      fc.property(fc.array(values, { minLength: 2, maxLength: 40 }), (all) => {
        const kept = all.map((value) => encode(value, "query", NO_LIMIT));
        const copies = kept.map((bytes) => Uint8Array.from(bytes));
        for (const value of all) encode(value, "query", NO_LIMIT);
        kept.forEach((bytes, at) => {
          expect(Buffer.compare(bytes, copies[at] ?? new Uint8Array())).toBe(0);
        });
      }),
      { numRuns: 20 },
    );
  });

  test("a map of more than 65,535 keys comes back", () => {
    const large = Object.fromEntries(Array.from({ length: 70_000 }, (_, at) => [`k${at}`, at]));
    expect(decode(encode(large, "command", NO_LIMIT))).toEqual(large);
  });

  test("byte strings come back as plain Uint8Arrays, in memory of their own, whatever the bytes came in", () => {
    const bytes = encode({ payload: Buffer.from([1, 2, 3]) }, "command", NO_LIMIT);
    for (const source of [Buffer.from(bytes), Uint8Array.from(bytes)]) {
      const { payload } = decode(source) as { payload: Uint8Array };
      source.fill(0);
      expect(payload.constructor).toBe(Uint8Array);
      expect(payload).toEqual(new Uint8Array([1, 2, 3]));
    }
  });

  test.each<[string, unknown, string]>([
    ["a function", { op: "put", value: { done: [() => 1] } }, "command.value.done[0]: a function cannot be encoded"],
    ["a symbol", [Symbol("s")], "command[0]: a symbol cannot be encoded"],
    ["a large bigint", { "a b": 2n ** 64n }, 'command["a b"]: a bigint of more than 64 bits cannot be encoded'],
    ["a small bigint", -(2n ** 63n) - 1n, "command: a bigint of more than 64 bits cannot be encoded"],
    ["a Map", { m: new Map([[1, 2]]) }, "command.m: an instance of Map cannot be encoded"],
    ["a Set", new Set(), "command: an instance of Set cannot be encoded"],
    ["an Error", { e: new Error("x") }, "command.e: an instance of Error cannot be encoded"],
    ["another typed array", new Float64Array(2), "command: an instance of Float64Array cannot be encoded"],
    ["an ArrayBuffer", new ArrayBuffer(2), "command: an instance of ArrayBuffer cannot be encoded"],
    ["a class instance", { c: new (class Point {})() }, "command.c: an instance of Point cannot be encoded"],
    ["a broken string", { s: "a\ud800" }, "command.s: a string with half a surrogate pair cannot be encoded"],
    ["a broken key", { "\udfff": 1 }, "command: a string with half a surrogate pair cannot be encoded"],
    ["a __proto__ key", JSON.parse('{"__proto__": 1}'), 'command: a key "__proto__" cannot be encoded'],
  ])("%s is refused, saying where it is", (_, value, message) => {
    const error = problemOf(value);
    expect(error.code).toBe("ERR_INVALID_COMMAND");
    expect(error.message).toContain(message);
  });

  test("a circle and endless nesting are refused, and 256 levels are not", () => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    expect(problemOf(circle).message).toContain("nested more than 256 deep, or in a circle");
    let deep: unknown = 1;
    for (let level = 0; level < 256; level++) deep = [deep];
    expect(decode(encode(deep, "command", NO_LIMIT))).toEqual(deep);
    expect(problemOf([deep]).message).toContain("nested more than 256 deep");
  });

  test("a getter that throws is reported as the cause", () => {
    const cause = new Error("not now");
    const error = problemOf({
      get value() {
        throw cause;
      },
    });
    expect(error.code).toBe("ERR_INVALID_COMMAND");
    expect(error.cause).toBe(cause);
  });

  test("a value may take the limit to the byte, and is refused with both sizes beyond it", () => {
    const value = { key: "k", text: "é".repeat(50) };
    const size = encode(value, "command", NO_LIMIT).byteLength;
    expect(encode(value, "command", size).byteLength).toBe(size);
    expect(problemOf(value, size - 1).message).toBe(`command: ${size} bytes, expected at most ${size - 1}`);
    expect(problemOf({ text: "x".repeat(5000) }, 1000).message).toMatch(/^command: 5\d\d\d bytes or more, .* 1000$/);
  });

  test("what the early size check allows for is never more than the bytes it takes", () => {
    fc.assert(
      fc.property(values, (value) => {
        const size = encode(value, "command", NO_LIMIT).byteLength;
        expect(() => encode(value, "command", size)).not.toThrow();
      }),
    );
  });

  test("bytes that are no value are refused", () => {
    expect(() => decode(new Uint8Array([0xc1 + 6]))).toThrow(RaftError);
    expect(() => decode(new Uint8Array([1, 2]))).toThrow("2 bytes that are no encoded value");
    // A list of four thousand million, a map with a number for a key, and what no value begins with.
    for (const bytes of [[0xdd, 255, 255, 255, 255, 0], [0x81, 1, 1], [0xc1], [0xca, 0, 0, 0, 0], [0xc8, 0, 0, 0]]) {
      expect(() => decode(new Uint8Array(bytes))).toThrow("that are no encoded value");
    }
  });

  test("bytes in which __proto__ is a key are refused", () => {
    const bytes = Buffer.concat([Buffer.from([0x81, 0xa9]), Buffer.from("__proto__"), Buffer.from([0x80])]);
    expect(() => decode(bytes)).toThrow("that are no encoded value");
  });

  test("a value that ends too early is refused, wherever that is, though other bytes follow it in the same buffer", () => {
    fc.assert(
      fc.property(values, (value) => {
        const bytes = encode([value, "end"], "command", NO_LIMIT);
        const whole = new Uint8Array(Buffer.concat([bytes, bytes]));
        for (let end = 0; end < Math.min(bytes.byteLength, 60); end++) {
          expect(() => decode(whole.subarray(0, end))).toThrow(RaftError);
        }
        expect(decode(whole.subarray(0, bytes.byteLength))).toStrictEqual([value, "end"]);
      }),
    );
  });

  test("short texts come back, with a character beyond ASCII at any place of them or at none", () => {
    for (let length = 0; length <= 16; length++) {
      const text = "abcdefghijklmnop\x7f".slice(-length || 17);
      for (const odd of ["é", "\ufeff", "😀", "\0"]) {
        const all = Array.from({ length: length + 1 }, (_, at) => text.slice(0, at) + odd + text.slice(at));
        expect(decode(pack([text, ...all]))).toStrictEqual([text, ...all]);
      }
    }
  });

  test("a view is decoded alone, whatever else its buffer holds", () => {
    const parts = [encode("one", "value", 100), encode([2, "zwei"], "value", 100)];
    const whole = new Uint8Array(Buffer.concat([new Uint8Array(), ...parts]));
    const [first = new Uint8Array()] = parts;
    expect(decode(whole.subarray(0, first.byteLength))).toBe("one");
    expect(decode(whole.subarray(first.byteLength))).toEqual([2, "zwei"]);
    expect(() => decode(whole.subarray(0, 0))).toThrow("0 bytes that are no encoded value");
    expect(() => decode(whole.subarray(0, first.byteLength - 1))).toThrow("3 bytes that are no encoded value");
    expect(() => decode(whole)).toThrow("that are no encoded value");
  });
});

describe("encodeResults and decodeResults", () => {
  const results = fc.array(
    fc.oneof(
      values.map((result): Applied => ({ result, threw: undefined })),
      fc
        .record(
          { name: text, message: text, stack: text },
          { requiredKeys: ["name", "message"], noNullPrototype: true },
        )
        .map((threw): Applied => ({ result: undefined, threw })),
    ),
  );

  test("what came out of commands comes back in order, throws among it", () => {
    fc.assert(
      fc.property(results, (all) => {
        expect(decodeResults(encodeResults(all))).toStrictEqual(all);
      }),
    );
  });

  test("a result that cannot be encoded becomes a throw for its own caller alone", () => {
    const all: Applied[] = [
      { result: 1, threw: undefined },
      { result: { f: () => 1 }, threw: undefined },
      { result: 3, threw: undefined },
    ];
    const [first, second, third] = decodeResults(encodeResults(all));
    expect([first?.result, third?.result]).toEqual([1, 3]);
    expect(second?.threw?.message).toBe("it was carried out, but result.f: a function cannot be encoded");
  });

  test("the bytes lie in a buffer of their own", () => {
    const bytes = encodeResults([{ result: "x", threw: undefined }]);
    expect(bytes.buffer.byteLength).toBe(bytes.byteLength);
  });
});

test("pack is encode without the checks", () => {
  fc.assert(
    fc.property(values, (value) => {
      expect(Buffer.compare(pack(value), encode(value, "command", NO_LIMIT))).toBe(0);
    }),
  );
});

test("what stands in the room in front of values disturbs none of them, short, long or rare", () => {
  const long = fc.integer({ min: 100, max: 40_000 }).map((length) => "x".repeat(length));
  fc.assert(
    fc.property(fc.array(fc.oneof(values, long), { maxLength: 30 }), fc.integer({ min: 1, max: 40 }), (all, room) => {
      const ranges = all.map((value) => encodeBehind(room, value, "command", NO_LIMIT));
      for (const [at, { bytes, start }] of ranges.entries()) bytes.fill(at, start - room, start);
      for (const [at, { bytes, start, end }] of ranges.entries()) {
        expect(decode(bytes.subarray(start, end))).toStrictEqual(all[at]);
        expect(bytes.subarray(start - room, start).every((byte) => byte === at)).toBe(true);
      }
    }),
  );
});
