import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, pack } from "../../src/machine/codec.ts";
import { KeyValueMap, type KeyValueMapOptions } from "../../src/machine/key-value.ts";
import type { KeyValueCommand, KeyValuePage, KeyValueWrite } from "../../src/machine/key-value-types.ts";
import { joinRecords } from "../../src/machine/records.ts";
import { durableMap, type MapUnderTest } from "./fixtures/durable-map.ts";
import { peersMap } from "./fixtures/peers-map.ts";

const keys = fc.constantFrom("a", "b", "c", "ab", "é", "__proto__", "a key of more than thirty-one bytes");
const values = fc.oneof(
  fc.constantFrom("", "x", "long text", null, false, 0, 1.5, 10n),
  fc.array(fc.constantFrom("x", 1), { maxLength: 2 }),
  fc.record({ n: fc.constantFrom(1, 2), bytes: fc.uint8Array({ maxLength: 2 }) }, { noNullPrototype: true }),
);
const writes: fc.Arbitrary<KeyValueWrite> = fc.oneof(
  fc.record({
    op: fc.constant("set" as const),
    key: keys,
    value: values,
    version: fc.option(fc.nat(3), { nil: undefined }),
  }),
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

const commands: fc.Arbitrary<KeyValueCommand> = fc.oneof(
  { weight: 5, arbitrary: writes },
  fc.record({
    op: fc.constant("txn" as const),
    checks: fc.array(fc.record({ key: keys, version: fc.nat(2) }), { maxLength: 1 }),
    commands: fc.array(writes, { maxLength: 4 }),
  }),
);

/** The same map as dumb as can be: a list of pairs, values compared by their bytes. */
class Twin {
  pairs: [string, unknown][] = [];
  versions: Record<string, number> = Object.create(null);

  find(key: string): unknown {
    return this.pairs.find(([other]) => other === key)?.[1];
  }

  set(key: string, value: unknown): void {
    this.pairs = [...this.pairs.filter(([other]) => other !== key), [key, value]];
    this.versions[key] = (this.versions[key] ?? 0) + 1;
  }

  apply(command: KeyValueCommand): unknown {
    if (command.op === "txn") {
      const conflict = command.checks?.find(({ key, version }) => (this.versions[key] ?? 0) !== version);
      if (conflict !== undefined) {
        const { key } = conflict;
        return { ok: false, results: [], conflict: { key, version: this.versions[key] ?? 0 } };
      }
      const [pairs, versions] = [this.pairs, { ...this.versions }];
      const results = command.commands.map((one) => this.apply(one));
      if (!results.includes("threw")) return { ok: true, results, conflict: undefined };
      this.pairs = pairs;
      this.versions = Object.assign(Object.create(null), versions);
      return "threw";
    }
    const before = this.find(command.key);
    if (command.op === "set") {
      const version = this.versions[command.key] ?? 0;
      if (command.version !== undefined && command.version !== version) return { ok: false, version };
      this.set(command.key, command.value);
      return { ok: true, version: version + 1 };
    }
    if (command.op === "get") return before;
    if (command.op === "delete") {
      this.pairs = this.pairs.filter(([key]) => key !== command.key);
      delete this.versions[command.key];
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

function applied(map: MapUnderTest, command: KeyValueCommand): unknown {
  try {
    return map.apply(decode(pack(command)) as KeyValueCommand);
  } catch {
    return "threw";
  }
}

function contentOf(map: MapUnderTest): [string, unknown][] {
  return (map.query({ op: "keys" }) as string[]).map((key) => [key, map.query({ op: "get", key })]);
}

const KINDS = [
  ["KeyValueMap", (options?: KeyValueMapOptions): MapUnderTest => new KeyValueMap(options)],
  ["KeyValueMap in a peer", peersMap],
  ["DurableKeyValueMap", durableMap],
] as const;

describe.each(KINDS)("%s", (_, make) => {
  function filled(...all: KeyValueCommand[]): MapUnderTest {
    const map = make();
    for (const command of all) map.apply(command);
    return map;
  }

  test("does what a dumb twin does, command by command", () => {
    fc.assert(
      fc.property(fc.array(commands, { maxLength: 60 }), (all) => {
        const map = make();
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
        const map = make();
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

  test("a restored map does and answers what the other would", () => {
    fc.assert(
      fc.property(fc.array(commands), fc.array(commands), (before, after) => {
        const map = make();
        for (const command of before) applied(map, command);
        const restored = make();
        restored.restore(map.snapshot());
        const again = make();
        again.restore(restored.snapshot());
        const results = after.map((command) => applied(map, command));
        const entries = map.query({ op: "scan" });
        for (const other of [restored, again]) {
          expect(after.map((command) => applied(other, command))).toStrictEqual(results);
          expect(other.query({ op: "scan" })).toStrictEqual(entries);
          expect(other.query({ op: "digest" })).toBe(map.query({ op: "digest" }));
          expect(Buffer.concat([...other.snapshot()])).toStrictEqual(Buffer.concat([...map.snapshot()]));
          for (const key of ["a", "é", "__proto__"]) {
            expect(other.query({ op: "entry", key })).toStrictEqual(map.query({ op: "entry", key }));
          }
        }
      }),
    );
  });

  test("a snapshot of many chunks survives being cut anew", () => {
    const map = make();
    for (let at = 0; at < 3_000; at++) map.apply({ op: "put", key: `k${at}`, value: "v".repeat(100) });
    const chunks = [...map.snapshot()];
    expect(chunks.length).toBeGreaterThan(3);
    const whole = Buffer.concat(chunks);
    const restored = make();
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
    ["lacks its last record", (whole) => whole.subarray(0, -(4 + pack(["b", 1, 2]).byteLength))],
  ])("restoring from a snapshot that %s throws and changes nothing", (_, damage) => {
    const source = filled({ op: "put", key: "a", value: 1 }, { op: "put", key: "b", value: 2 });
    const map = filled({ op: "put", key: "kept", value: true });
    expect(() => map.restore([damage(Buffer.concat([...source.snapshot()]))])).toThrow(/ends? /);
    expect(contentOf(map)).toEqual([["kept", true]]);
  });

  test("a snapshot may be taken in bit by bit between commands, which are forgotten at its end, and not before", () => {
    fc.assert(
      fc.property(fc.array(commands), fc.array(commands), fc.integer({ min: 1, max: 99 }), (there, own, size) => {
        const source = new KeyValueMap();
        for (const command of there) applied(source, command);
        const whole = Buffer.concat([...source.snapshot()]);
        const [map, undisturbed] = [new KeyValueMap(), new KeyValueMap()];
        const restoration = map.beginRestore();
        const left = [...own];
        for (let at = 0; at < whole.length; at += size) {
          restoration.add(whole.subarray(at, at + size));
          const command = left.shift();
          if (command !== undefined) expect(applied(map, command)).toStrictEqual(applied(undisturbed, command));
        }
        expect(contentOf(map)).toStrictEqual(contentOf(undisturbed));
        restoration.finish();
        expect(Buffer.concat([...map.snapshot()])).toStrictEqual(whole);
        for (const command of own) expect(applied(map, command)).toStrictEqual(applied(source, command));
      }),
    );
  });

  test("the digest is that of the content, not of the way there", () => {
    const one = filled(
      { op: "put", key: "a", value: 1 },
      { op: "put", key: "b", value: "first" },
      { op: "put", key: "b", value: { n: [1] } },
    );
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
    [{ op: "remove", key: "k" }, "op: expected put, set, get, append, delete, cas or txn, got 'remove'"],
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
    const map = make();
    expect(() => map.query(undefined as never)).toThrow("expected a query, got undefined");
    expect(() => map.query({ op: "count" } as never)).toThrow(
      "op: expected get, entry, keys, scan, changes, size or digest, got 'count'",
    );
    expect(() => map.query({ op: "get" } as never)).toThrow("get: key: expected a string");
    expect(() => map.query({ op: "keys", prefix: 5 } as never)).toThrow("keys: prefix: expected a string, got 5");
    expect(() => map.query({ op: "scan", to: null } as never)).toThrow("scan: to: expected a string, got null");
    expect(() => map.query({ op: "changes", after: 0, prefix: [] } as never)).toThrow("changes: prefix: expected");
  });

  test("a version counts the writes of a key, and a set of another version changes nothing", () => {
    const map = make();
    expect(map.apply({ op: "set", key: "k", value: "a", version: 1 })).toEqual({ ok: false, version: 0 });
    expect(map.apply({ op: "set", key: "k", value: "a", version: 0 })).toEqual({ ok: true, version: 1 });
    expect(map.apply({ op: "set", key: "k", value: "b", version: 0 })).toEqual({ ok: false, version: 1 });
    expect(map.apply({ op: "append", key: "k", value: "b" })).toBe(2);
    expect(map.query({ op: "entry", key: "k" })).toEqual({ key: "k", value: "ab", version: 2 });
    expect(map.apply({ op: "delete", key: "k" })).toBe(true);
    expect(map.query({ op: "entry", key: "k" })).toBeUndefined();
  });

  test("a restored map goes on with versions where the other was", () => {
    const map = filled({ op: "put", key: "k", value: 1 }, { op: "put", key: "k", value: 2 });
    const restored = make();
    restored.restore(map.snapshot());
    expect(restored.query({ op: "entry", key: "k" })).toEqual({ key: "k", value: 2, version: 2 });
  });

  test("a page of a scan ends where the next begins, and pages go through all there is while keys come and go", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3 })), fc.nat(4), (all, extra) => {
        const map = filled(...all.map((key) => ({ op: "put", key, value: key }) as const));
        const found: string[] = [];
        for (let from: string | undefined = ""; from !== undefined; ) {
          const page = map.query({ op: "scan", from, limit: 1 + extra }) as KeyValuePage;
          found.push(...page.entries.map(({ key }) => key));
          from = page.next;
        }
        expect(found).toEqual([...all].sort());
        for (const key of all.slice(0, extra)) map.apply({ op: "delete", key });
        expect(map.query({ op: "keys" })).toEqual(all.slice(extra).sort());
      }),
    );
  });

  test("a scan stays within its prefix and its bounds, and refuses a page without an end", () => {
    const map = filled(...["a", "b/1", "b/2", "b/3", "c"].map((key) => ({ op: "put", key, value: 1 }) as const));
    const keysOf = (range: object) =>
      (map.query({ op: "scan", ...range }) as KeyValuePage).entries.map(({ key }) => key);
    expect(keysOf({ prefix: "b/" })).toEqual(["b/1", "b/2", "b/3"]);
    expect(keysOf({ prefix: "b/", from: "b/2" })).toEqual(["b/2", "b/3"]);
    expect(keysOf({ from: "b/3", to: "c" })).toEqual(["b/3"]);
    expect(() => map.query({ op: "scan", limit: 0 })).toThrow("scan: limit: expected an integer from 1 to 1000, got 0");
  });

  test("a page is cut when its values are large", () => {
    const map = filled(
      ...Array.from({ length: 5 }, (_, at) => ({ op: "put", key: `k${at}`, value: "v".repeat(600_000) }) as const),
    );
    expect(map.query({ op: "scan" })).toMatchObject({ entries: [{ key: "k0" }, { key: "k1" }], next: "k2" });
  });

  test("keys and strings have their limits", () => {
    const map = make();
    const longest = "é".repeat(512);
    expect(map.apply({ op: "put", key: longest, value: 1 })).toBe(false);
    expect(() => map.apply({ op: "put", key: `${longest}x`, value: 1 })).toThrow("key: expected at most 1024 bytes");
    map.apply({ op: "put", key: "k", value: "v".repeat(16 << 20) });
    expect(() => map.apply({ op: "append", key: "k", value: "v" })).toThrow("would hold more than 16777216 characters");
  });

  test("tells what has changed since an index, each key once for one transaction", () => {
    const map = make();
    map.apply({ op: "put", key: "a", value: 1 }, { index: 5 });
    map.apply(
      {
        op: "txn",
        commands: [
          { op: "put", key: "b", value: 1 },
          { op: "append", key: "c", value: "x" },
        ],
      },
      { index: 7 },
    );
    map.apply({ op: "delete", key: "a" }, { index: 8 });
    const b = { index: 7, key: "b", value: 1, version: 1 };
    const gone = { index: 8, key: "a", value: undefined, version: 0 };
    const all = [b, { index: 7, key: "c", value: "x", version: 1 }, gone];
    expect(map.query({ op: "changes", after: 5 })).toEqual({ changes: all, firstIndex: 1, upTo: undefined });
    expect(map.query({ op: "changes", after: 0, key: "b" })).toMatchObject({ changes: [b] });
    expect(map.query({ op: "changes", after: 7, prefix: "" })).toMatchObject({ changes: [gone] });
  });

  test("tells nothing of what came and went within one transaction", () => {
    const map = make();
    const come = { op: "put", key: "k", value: 1 } as const;
    const go = { op: "delete", key: "k" } as const;
    map.apply({ op: "txn", commands: [come, go] }, { index: 5 });
    expect(map.query({ op: "changes", after: 0 })).toMatchObject({ changes: [] });
    map.apply({ op: "txn", commands: [come, go, come] }, { index: 6 });
    map.apply({ op: "txn", commands: [come, go] }, { index: 7 });
    expect(map.query({ op: "changes", after: 0 })).toMatchObject({ changes: [{ version: 1 }, { version: 0 }] });
  });

  test("keeps so many changes, and says from where on they are all there", () => {
    const map = make({ maxChanges: 3 });
    for (let index = 1; index <= 20; index++) map.apply({ op: "put", key: "k", value: index }, { index });
    expect(map.query({ op: "changes", after: 16 })).toEqual({ changes: [], firstIndex: 18, upTo: undefined });
    const changes = [18, 19, 20].map((index) => ({ index, key: "k", value: index, version: index }));
    expect(map.query({ op: "changes", after: 17 })).toEqual({ changes, firstIndex: 18, upTo: undefined });
  });

  test("a restored map has no changes before its snapshot, and says so", () => {
    const map = make();
    map.apply({ op: "put", key: "k", value: 1 }, { index: 9 });
    const restored = make();
    restored.restore(map.snapshot());
    expect(restored.query({ op: "changes", after: 8 })).toEqual({ changes: [], firstIndex: 10, upTo: undefined });
    expect(restored.query({ op: "changes", after: 9 })).toEqual({ changes: [], firstIndex: 10, upTo: undefined });
  });
});

test("a snapshot of an earlier format is refused, and changes nothing", () => {
  const map = peersMap();
  map.apply({ op: "put", key: "kept", value: true });
  for (const head of [2, [2, 7]]) {
    const records = [pack(head), pack(["a", 1, 1]), pack(["b", 2, 1])];
    expect(() => map.restore(joinRecords(records))).toThrow("a snapshot of the map of format undefined, expected 3");
  }
  expect(contentOf(map)).toEqual([["kept", true]]);
});
