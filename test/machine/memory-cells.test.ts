import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { KeyValueChanges } from "../../src/machine/change-history.ts";
import { pack } from "../../src/machine/codec.ts";
import { PutReader } from "../../src/machine/encoded-put.ts";
import { KeyValueMap } from "../../src/machine/key-value.ts";
import { packRecord as recordOf } from "../../src/machine/key-value-record.ts";
import type { KeyValueEntry } from "../../src/machine/key-value-types.ts";
import { MemoryCells } from "../../src/machine/memory-cells.ts";
import { preparesQueries } from "../../src/machine/offers.ts";
import { joinRecords, RecordFinder } from "../../src/machine/records.ts";

/** Short and long, of ASCII and not, and some of which one is longer than the other by a character alone. */
const keys = fc.oneof(
  fc.string({ minLength: 1, maxLength: 2, unit: fc.constantFrom("a", "b", "é") }),
  fc.string({ minLength: 29, maxLength: 34, unit: fc.constantFrom("a", "é") }),
);

function packRecord(entry: KeyValueEntry): Uint8Array {
  return recordOf(entry).slice();
}

function restored(records: Iterable<Uint8Array>, count = 0): MemoryCells {
  const cells = new MemoryCells(count);
  const finder = new RecordFinder();
  for (const chunk of joinRecords(records)) for (const place of finder.add(chunk)) cells.restore(place);
  return cells;
}

/** @returns whether the cells took it as bytes. */
function put(cells: MemoryCells, key: string, value: unknown): boolean {
  const reader = new PutReader();
  const bytes = pack({ op: "put", key, value });
  if (!reader.read(bytes, 0, bytes.byteLength)) throw new Error(`no put was read: ${key}`);
  return cells.put(bytes, reader) !== undefined;
}

function entriesOf(cells: Iterable<KeyValueEntry>) {
  return Array.from(cells, ({ key, value, version }) => [key, value, version]);
}

type Twin = Map<string, { readonly value: unknown; readonly version: number }>;

function twinEntries(twin: Twin) {
  return Array.from(twin, ([key, { value, version }]) => [key, value, version]);
}

describe("cells in memory", () => {
  test("do what a Map does, some restored, some put as bytes, some as values, and some removed", () => {
    const acts = fc.record({ what: fc.constantFrom("put", "put", "set", "delete"), key: keys, value: fc.nat() });
    fc.assert(
      fc.property(fc.uniqueArray(keys), fc.array(acts, { maxLength: 80 }), fc.nat(80), (there, all, when) => {
        const cells = restored(there.map((key, at) => packRecord({ key, version: 1, value: at })));
        const twin: Twin = new Map(there.map((key, at) => [key, { value: at, version: 1 }]));
        let seen: ReturnType<MemoryCells["all"]> | undefined;
        let seenTwin: unknown;
        for (const [at, { what, key, value }] of all.entries()) {
          if (at === when) {
            seen = cells.all();
            seenTwin = twinEntries(twin);
          }
          const version = (twin.get(key)?.version ?? 0) + 1;
          if (what === "delete") {
            cells.set(key, undefined);
            twin.delete(key);
            continue;
          }
          if (what === "set" || !put(cells, key, value)) cells.set(key, { key, value, version });
          twin.set(key, { value, version });
        }
        expect(cells.size).toBe(twin.size);
        expect(entriesOf(cells.all())).toEqual(twinEntries(twin));
        for (const key of [...there, "a", "b", "é"]) expect(cells.get(key)?.value).toBe(twin.get(key)?.value);
        const sorted = [...twin.keys()].sort();
        expect(Array.from(cells.from("a"), ({ key }) => key)).toEqual(sorted.filter((key) => key >= "a"));
        if (seen !== undefined) expect(entriesOf(seen)).toEqual(seenTwin);
      }),
      { numRuns: 500 },
    );
  });

  test("keep their order in a scan whose keys come and go by bytes", () => {
    const cells = new MemoryCells();
    put(cells, "b", 1);
    expect(Array.from(cells.from(""), ({ key }) => key)).toEqual(["b"]);
    put(cells, "a", 1);
    put(cells, "b", 2);
    cells.set("c", { key: "c", value: 1, version: 1 });
    cells.set("b", undefined);
    expect(Array.from(cells.from(""), ({ key }) => key)).toEqual(["a", "c"]);
  });

  test("are sorted step by step while keys come and go, whoever does that, drops it or cannot wait for it", () => {
    const acts = fc.record({ what: fc.constantFrom("step", "step", "other", "put", "delete"), key: fc.nat(2_000) });
    fc.assert(
      fc.property(fc.array(acts, { maxLength: 60 }), fc.constantFrom("finished", "dropped"), (all, end) => {
        const cells = restored(
          Array.from({ length: 1_500 }, (_, at) => packRecord({ key: `key${at}`, version: 1, value: at })),
        );
        const twin = new Set(Array.from({ length: 1_500 }, (_, at) => `key${at}`));
        const [one, other] = [cells.sort(), cells.sort()];
        for (const { what, key: number } of all) {
          const key = `key${number}`;
          if (what === "step") one?.next();
          else if (what === "other") other?.next();
          else if (what === "put") {
            put(cells, key, 1);
            twin.add(key);
          } else {
            cells.set(key, undefined);
            twin.delete(key);
          }
        }
        if (end === "finished") {
          while (one?.next().done !== true);
          expect(cells.sort()).toBeUndefined();
        }
        expect(Array.from(cells.from("key1"), ({ key }) => key)).toEqual(
          [...twin].sort().filter((key) => key >= "key1"),
        );
        expect(cells.sort()).toBeUndefined();
        // It has come to nothing that anybody would see.
        expect(other?.next().done).toBe(true);
        expect(cells.size).toBe(twin.size);
      }),
    );
  });

  test("are found among tens of thousands, whose numbers are given to others when they are removed", () => {
    const cells = restored(
      Array.from({ length: 20_000 }, (_, at) => packRecord({ key: `key${at}`, version: 1, value: at })),
      20_000,
    );
    const twin = new Map(Array.from({ length: 20_000 }, (_, at) => [`key${at}`, at]));
    for (let at = 0; at < 60_000; at++) {
      const gone = `key${(at * 7_919) % 20_000}`;
      cells.set(gone, undefined);
      twin.delete(gone);
      put(cells, `new${at % 15_000}`, at);
      twin.set(`new${at % 15_000}`, at);
    }
    expect(cells.size).toBe(twin.size);
    expect(Array.from(cells.all(), ({ key, value }) => [key, value])).toEqual([...twin]);
    for (const [key, value] of twin) expect(cells.get(key)?.value).toBe(value);
    expect(cells.get("key0")).toBeUndefined();
  });

  test("count versions from those that were restored or set, in numbers of one byte and of more", () => {
    const versions = [1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 2];
    const cells = restored(versions.map((version) => packRecord({ key: `r${version}`, version, value: "old" })));
    for (const version of versions) {
      cells.set(`s${version}`, { key: `s${version}`, value: "old", version });
      for (const kind of ["r", "s"]) {
        expect(put(cells, `${kind}${version}`, "new")).toBe(true);
        expect(cells.get(`${kind}${version}`)?.version).toBe(version + 1);
        expect(cells.get(`${kind}${version}`)?.entry?.()).toEqual({
          key: `${kind}${version}`,
          value: "new",
          version: version + 1,
        });
      }
    }
    expect(put(cells, `r${2 ** 32 - 2}`, "newer")).toBe(false);
    const beyond = restored([packRecord({ key: "k", version: 2 ** 40, value: "old" })]);
    expect(put(beyond, "k", "new")).toBe(false);
    expect(entriesOf(beyond.all())).toEqual([["k", "old", 2 ** 40]]);
  });

  test("have the record at hand that packing them would make", () => {
    const cells = restored([packRecord({ key: "restored", version: 3, value: { some: "value" } })]);
    put(cells, "put", "x".repeat(300));
    cells.set("set", { key: "set", value: 1, version: 1 });
    for (const key of ["restored", "put"]) {
      const cell = cells.get(key);
      expect(Buffer.from(cell?.record?.() ?? [])).toEqual(Buffer.from(packRecord(cell?.entry?.() as KeyValueEntry)));
    }
    expect(cells.get("set")?.record?.()).toBeUndefined();
  });

  test("refuse two records of one key, and what is no record", () => {
    for (const key of ["a", "é", "a long key, of more bytes than 31 are"]) {
      const record = () => Buffer.from(packRecord({ key, version: 1, value: 1 }));
      expect(() => restored([record(), record()])).toThrow("two records with the key");
    }
    for (const bad of ["text", [1, 2, 3], ["key", 1], { key: 1 }]) {
      expect(() => restored([pack(bad)])).toThrow("no record begins with");
    }
    const cut = packRecord({ key: "a key", version: 1, value: 1 }).slice(0, 5);
    expect(() => restored([cut])).toThrow("no record begins with");
  });
});

/** Runs `run` where `onMade` is called before each byte array of `size` bytes is made. */
function withUint8Array(size: number, onMade: () => void, run: () => void): void {
  const original = globalThis.Uint8Array;
  globalThis.Uint8Array = new Proxy(original, {
    construct(target, args: unknown[], newTarget) {
      if (args[0] === size) onMade();
      return Reflect.construct(target, args, newTarget);
    },
  });
  try {
    run();
  } finally {
    globalThis.Uint8Array = original;
  }
}

function countBuffers(run: () => void, size: number): number {
  let count = 0;
  withUint8Array(size, () => count++, run);
  return count;
}

describe("the memory of cells", () => {
  const KIB = 1 << 10;

  function heldBy(fill: (cells: MemoryCells) => void): { cells: MemoryCells; bytes: number } {
    const cells = new MemoryCells();
    fill(cells);
    return { cells, bytes: cells.heldBytes };
  }

  test("is little for a small map, and about what its records take for one that only grows", () => {
    expect(heldBy((cells) => put(cells, "k", "v")).bytes).toBe(512);
    const { bytes } = heldBy((cells) => {
      for (let at = 0; at < 10_000; at++) put(cells, `k${at}`, "x".repeat(KIB));
    });
    expect(bytes).toBeGreaterThan(10_000 * KIB);
    expect(bytes).toBeLessThan(10_000 * KIB * 1.1);
  });

  test.each([
    ["one after the other", (at: number) => at % 1_000],
    ["at random", (at: number) => (at * 7_919 + ((at * at) % 613)) % 1_000],
    ["most of the time the same", (at: number) => (at % 50 === 0 ? (at / 50) % 1_000 : at % 3)],
  ])("is at most twice what they take and some, if they are overwritten %s", (_, next) => {
    const { cells, bytes } = heldBy((cells) => {
      for (let at = 0; at < 1_000; at++) put(cells, `k${at}`, `${at}:${"x".repeat(4 * KIB)}`);
      for (let at = 0; at < 30_000; at++) put(cells, `k${next(at)}`, `${next(at)}:${"y".repeat(4 * KIB)}`);
    });
    expect(bytes).toBeLessThan(2 * 1_000 * 4.1 * KIB + 1.5 * KIB * KIB);
    for (let at = 0; at < 1_000; at++) expect(String(cells.get(`k${at}`)?.value)).toMatch(new RegExp(`^${at}:[xy]+$`));
  });

  test("is given back when most is removed, and when values take its place; what is left is still right", () => {
    const { cells, bytes } = heldBy((cells) => {
      for (let at = 0; at < 2_000; at++) put(cells, `k${at}`, `${at}:${"x".repeat(4 * KIB)}`);
      for (let at = 0; at < 2_000; at++) {
        if (at % 40 === 0) continue;
        cells.set(`k${at}`, at % 2 === 0 ? undefined : { key: `k${at}`, value: at, version: 2 });
      }
    });
    expect(bytes).toBeLessThan(2 * 50 * 4.1 * KIB + 1.5 * KIB * KIB);
    expect(cells.size).toBe(1_000 + 50);
    for (let at = 0; at < 2_000; at += 40) expect(cells.get(`k${at}`)?.value).toBe(`${at}:${"x".repeat(4 * KIB)}`);
  });

  test("of restored chunks goes too, and of records larger than a chunk", () => {
    const cells = restored(
      Array.from({ length: 1_000 }, (_, at) =>
        packRecord({ key: `k${at}`, version: 1, value: "x".repeat(8 * KIB) }),
      ).map((record) => Buffer.from(record)),
    );
    expect(cells.heldBytes).toBeGreaterThan(8_000 * KIB);
    for (let at = 0; at < 990; at++) cells.set(`k${at}`, undefined);
    for (let at = 0; at < 100; at++) put(cells, "large", "z".repeat(300 * KIB));
    expect(cells.heldBytes).toBeLessThan(2 * 400 * KIB + 1.5 * KIB * KIB);
    for (let at = 990; at < 1_000; at++) expect(cells.get(`k${at}`)?.value).toBe("x".repeat(8 * KIB));
    expect(String(cells.get("large")?.value)).toHaveLength(300 * KIB);
  });

  test("is filled again when nobody reads it any more, and not before", () => {
    const map = new KeyValueMap({ maxChanges: 2_000 });
    const write = (times: number, mark: string) => {
      for (let at = 0; at < times; at++) {
        const key = `k${(at * 7_919) % 4_000}`;
        const bytes = pack({ op: "put", key, value: `${key}:${mark}:${"x".repeat(KIB)}` });
        if (map.applyEncoded(bytes, 0, bytes.byteLength) === undefined) throw new Error(`not taken as bytes: ${key}`);
      }
    };
    write(8_000, "first");
    const view = map.snapshot();
    // About 200 MB are written meanwhile, and moved.
    const made = countBuffers(() => write(100_000, "second"), 128 * KIB);
    expect(made).toBeGreaterThan(0);
    expect(made).toBeLessThan(200);
    const restored = new KeyValueMap();
    restored.restore(view);
    write(8_000, "third");
    const holds = (of: KeyValueMap, mark: string) => (key: string) =>
      String(of.query({ op: "get", key })).startsWith(`${key}:${mark}:x`);
    const keys = Array.from({ length: 4_000 }, (_, at) => `k${at}`);
    expect(keys.filter(holds(restored, "first"))).toHaveLength(4_000);
    expect(keys.filter(holds(map, "third"))).toHaveLength(4_000);
    const { changes } = map.query({ op: "changes", after: 115_900 }) as KeyValueChanges;
    expect(changes.length).toBeGreaterThan(90);
    for (const { key, value } of changes) expect(String(value).startsWith(`${key}:third:`)).toBe(true);
  });

  test("that cannot be had leaves all entries as they were", () => {
    const cells = new MemoryCells();
    for (let at = 0; at < 2_000; at++) put(cells, `k${at}`, `${at}:${"x".repeat(4 * KIB)}`);
    // It is read from, so that none of it can be filled again.
    const view = cells.all();
    let failures = 0;
    const act = (at: number) => {
      if (at % 3 === 0) cells.set(`k${at}`, undefined);
      else if (at % 3 === 1) cells.set(`k${at}`, { key: `k${at}`, value: at, version: 2 });
    };
    const refuse = () => {
      failures++;
      throw new RangeError("no memory");
    };
    withUint8Array(128 * KIB, refuse, () => {
      for (let at = 0; at < 2_000; at++) act(at);
    });
    expect(failures).toBeGreaterThan(0);
    expect(cells.size).toBe(2_000 - 667);
    expect(Array.from(cells.all())).toHaveLength(2_000 - 667);
    for (let at = 1; at < 2_000; at += 3) expect(cells.get(`k${at}`)?.value).toBe(at);
    for (let at = 2; at < 2_000; at += 3) expect(cells.get(`k${at}`)?.value).toBe(`${at}:${"x".repeat(4 * KIB)}`);
    expect(Array.from(view)).toHaveLength(2_000);
    const before = cells.heldBytes;
    put(cells, "k2", "new");
    expect(cells.heldBytes).toBeLessThan(before);
  });
});

test("a map has its keys sorted before the first query that goes through them in order", () => {
  const map = new KeyValueMap();
  for (const key of ["b", "a"]) map.apply({ op: "put", key, value: 1 });
  const scan = { op: "scan" } as const;
  expect(map.prepareQuery({ op: "get", key: "a" })).toBeUndefined();
  const unprepared = map.prepareQuery(scan);
  expect(map.prepareQuery({ op: "keys" })?.next().done).toBe(true);
  expect(map.prepareQuery(scan)).toBeUndefined();
  expect(unprepared?.next().done).toBe(true);
  expect(map.query(scan)).toMatchObject({ entries: [{ key: "a" }, { key: "b" }] });
});

test("a map with a query of its own is not asked what is to be done before that of the map", () => {
  class Own extends KeyValueMap {
    override query(): number {
      return 1;
    }
  }
  expect(preparesQueries(new KeyValueMap())).toBe(true);
  expect(preparesQueries(new Own())).toBe(false);
});
