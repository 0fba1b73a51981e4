import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, pack } from "../../src/machine/codec.ts";
import { type KeyValueCommand, KeyValueMap } from "../../src/machine/key-value.ts";

const keys = fc.constantFrom("a", "b", "c", "ab", "é", "__proto__", "constructor");
const values = fc.oneof(
  fc.constantFrom("", "x", "long text", null, false, 0, 1.5, 10n),
  fc.array(fc.constantFrom("x", 1), { maxLength: 2 }),
  fc.record({ n: fc.constantFrom(1, 2), bytes: fc.uint8Array({ maxLength: 2 }) }, { noNullPrototype: true }),
);
const commands: fc.Arbitrary<KeyValueCommand> = fc.oneof(
  fc.record({ op: fc.constant("put" as const), key: keys, value: values }),
  fc.record({ op: fc.constant("get" as const), key: keys }),
  fc.record({ op: fc.constant("append" as const), key: keys, value: fc.constantFrom("x", "yy") }),
  fc.record({ op: fc.constant("delete" as const), key: keys }),
  fc.record({
    op: fc.constant("cas" as const),
    key: keys,
    expected: fc.option(values, { nil: undefined }),
    value: values,
  }),
);

/** The same map as dumb as can be: a list of pairs, values compared by their bytes. */
class Twin {
  pairs: [string, unknown][] = [];

  find(key: string): unknown {
    return this.pairs.find(([other]) => other === key)?.[1];
  }

  set(key: string, value: unknown): void {
    this.pairs = [...this.pairs.filter(([other]) => other !== key), [key, value]];
  }

  apply(command: KeyValueCommand): unknown {
    const before = this.find(command.key);
    if (command.op === "get") return before;
    if (command.op === "delete") {
      this.pairs = this.pairs.filter(([key]) => key !== command.key);
      return before !== undefined;
    }
    if (command.op === "put") {
      this.set(command.key, command.value);
      return before !== undefined;
    }
    if (command.op === "append") {
      if (before !== undefined && typeof before !== "string") return "threw";
      this.set(command.key, (before ?? "") + command.value);
      return ((before ?? "") + command.value).length;
    }
    if (Buffer.compare(pack(before), pack(command.expected)) !== 0) return { swapped: false, value: before };
    this.set(command.key, command.value);
    return { swapped: true, value: undefined };
  }

  sorted(): [string, unknown][] {
    return [...this.pairs].sort(([left], [right]) => (left < right ? -1 : 1));
  }
}

function applied(map: KeyValueMap, command: KeyValueCommand): unknown {
  try {
    return map.apply(decode(pack(command)) as KeyValueCommand);
  } catch {
    return "threw";
  }
}

function contentOf(map: KeyValueMap): [string, unknown][] {
  return (map.query({ op: "keys" }) as string[]).map((key) => [key, map.query({ op: "get", key })]);
}

function filled(...all: KeyValueCommand[]): KeyValueMap {
  const map = new KeyValueMap();
  for (const command of all) map.apply(command);
  return map;
}

describe("KeyValueMap", () => {
  test("does what a dumb twin does, command by command", () => {
    fc.assert(
      fc.property(fc.array(commands, { maxLength: 60 }), (all) => {
        const map = new KeyValueMap();
        const twin = new Twin();
        for (const command of all) expect(applied(map, command)).toStrictEqual(twin.apply(command));
        expect(contentOf(map)).toStrictEqual(twin.sorted());
        expect(map.query({ op: "size" })).toBe(twin.pairs.length);
      }),
      { numRuns: 300 },
    );
  });

  test("a snapshot shows the state of its moment, however it is pulled between later commands", () => {
    fc.assert(
      fc.property(fc.array(commands), fc.array(commands), (before, after) => {
        const map = new KeyValueMap();
        for (const command of before) applied(map, command);
        const content = contentOf(map);
        const snapshot = map.snapshot();
        for (const command of after) applied(map, command);
        const restored = filled({ op: "put", key: "old", value: "to be replaced" });
        restored.restore(snapshot);
        expect(contentOf(restored)).toStrictEqual(content);
      }),
    );
  });

  test("a snapshot of many chunks survives being cut anew", () => {
    const map = new KeyValueMap();
    for (let at = 0; at < 3_000; at++) map.apply({ op: "put", key: `k${at}`, value: "v".repeat(100) });
    const chunks = [...map.snapshot()];
    expect(chunks.length).toBeGreaterThan(3);
    const whole = Buffer.concat(chunks);
    const restored = new KeyValueMap();
    restored.restore(
      (function* cut() {
        for (let at = 0; at < whole.length; at += 999) yield whole.subarray(at, at + 999);
      })(),
    );
    expect(restored.query({ op: "digest" })).toBe(map.query({ op: "digest" }));
  });

  test.each<[string, (whole: Uint8Array) => Uint8Array]>([
    ["is empty", () => new Uint8Array()],
    ["ends within a record", (whole) => whole.subarray(0, -1)],
    ["lacks its last record", (whole) => whole.subarray(0, -(4 + pack(["b", 2]).byteLength))],
  ])("restoring from a snapshot that %s throws and changes nothing", (_, damage) => {
    const source = filled({ op: "put", key: "a", value: 1 }, { op: "put", key: "b", value: 2 });
    const map = filled({ op: "put", key: "kept", value: true });
    expect(() => map.restore([damage(Buffer.concat([...source.snapshot()]))])).toThrow(/ends? /);
    expect(contentOf(map)).toEqual([["kept", true]]);
  });

  test("the digest is that of the content, not of the way there", () => {
    const one = filled({ op: "put", key: "a", value: 1 }, { op: "put", key: "b", value: { n: [1] } });
    const other = filled(
      { op: "put", key: "b", value: 0 },
      { op: "put", key: "a", value: 1 },
      { op: "cas", key: "b", expected: 0, value: { n: [1] } },
    );
    expect(other.query({ op: "digest" })).toBe(one.query({ op: "digest" }));
    other.apply({ op: "append", key: "c", value: "x" });
    expect(other.query({ op: "digest" })).not.toBe(one.query({ op: "digest" }));
  });

  test("keys can be asked for by prefix", () => {
    const map = filled(
      { op: "put", key: "user/2", value: 1 },
      { op: "put", key: "item/1", value: 1 },
      { op: "put", key: "user/1", value: 1 },
    );
    expect(map.query({ op: "keys", prefix: "user/" })).toEqual(["user/1", "user/2"]);
  });

  test.each<[unknown, string]>([
    [undefined, "expected a command, got undefined"],
    [null, "expected a command, got null"],
    ["put", "expected a command, got 'put'"],
    [{ op: "remove", key: "k" }, "op: expected put, get, append, delete or cas, got 'remove'"],
    [{ op: "put", value: 1 }, "put: key: expected a string of at least one character, got undefined"],
    [{ op: "get", key: "" }, "get: key: expected a string of at least one character, got ''"],
    [{ op: "put", key: "k" }, "put: value: expected anything but undefined, which means absent"],
    [{ op: "append", key: "k", value: 5 }, "append: value: expected a string, got 5"],
    [{ op: "append", key: "list", value: "x" }, "append: 'list' holds no string but [ 1 ]"],
    [{ op: "cas", key: "k", value: 1 }, "cas: expected: not given; give undefined for an absent key"],
    [{ op: "cas", key: "k", expected: "v" }, "cas: value: expected anything but undefined, which means absent"],
  ])("the bad command %o throws and changes nothing", (command, message) => {
    const map = filled({ op: "put", key: "k", value: "v" }, { op: "put", key: "list", value: [1] });
    const digest = map.query({ op: "digest" });
    expect(() => map.apply(command as KeyValueCommand)).toThrow(new Error(message));
    expect(map.query({ op: "digest" })).toBe(digest);
  });

  test("bad queries throw", () => {
    const map = new KeyValueMap();
    expect(() => map.query(undefined as never)).toThrow("expected a query, got undefined");
    expect(() => map.query({ op: "count" } as never)).toThrow("op: expected get, keys, size or digest, got 'count'");
    expect(() => map.query({ op: "get" } as never)).toThrow("get: key: expected a string");
  });
});
