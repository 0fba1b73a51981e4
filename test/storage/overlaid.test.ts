import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemoryDisk } from "../../src/storage/index.ts";
import { Overlaid } from "../../src/storage/overlaid.ts";
import type { RecordWrite } from "../../src/storage/records.ts";

const KEYS = 12;
const value = fc.option(fc.uint8Array({ minLength: 1, maxLength: 3 }), { nil: undefined, freq: 2 });
const write: fc.Arbitrary<RecordWrite> = fc.oneof(
  fc.record({ table: fc.constantFrom("log", "terms", "snapshot"), key: fc.nat(KEYS), value }),
  fc.record({ table: fc.constantFrom("meta", "machine"), key: fc.nat(KEYS).map((n) => `k${n}`), value }),
);
const writes = fc.array(write, { maxLength: 30 });
const range = fc.record({
  from: fc.nat(KEYS).map((n) => `k${n}`),
  to: fc.nat(KEYS).map((n) => `k${n}`),
  limit: fc.integer({ min: 1, max: KEYS }),
});

/** Records with some of the writes on top of them, and records that have them all. */
function both(below: RecordWrite[], above: RecordWrite[]): { base: MemoryDisk; overlaid: Overlaid; whole: MemoryDisk } {
  const [base, whole] = [new MemoryDisk(), new MemoryDisk()];
  base.commit(below);
  whole.commit(below);
  whole.commit(above);
  const overlaid = new Overlaid(base);
  overlaid.add(above);
  return { base, overlaid, whole };
}

describe("records with writes on top of them", () => {
  it("are read as if they had the writes", () => {
    fc.assert(
      fc.property(writes, writes, range, fc.nat(KEYS), (below, above, { from, to, limit }, key) => {
        const { overlaid, whole } = both(below, above);
        for (const table of ["log", "terms", "snapshot"] as const) {
          expect(overlaid.get(table, key)).toEqual(whole.get(table, key));
          expect(overlaid.floor(table, key)).toBe(whole.floor(table, key));
          expect(overlaid.keysFrom(table, key)).toEqual(whole.keysFrom(table, key));
          expect(overlaid.keysFrom(table, key, limit)).toEqual(whole.keysFrom(table, key, limit));
        }
        for (const table of ["meta", "machine"] as const)
          expect(overlaid.get(table, `k${key}`)).toEqual(whole.get(table, `k${key}`));
        expect(overlaid.machineKeys({ from, to, limit })).toEqual(whole.machineKeys({ from, to, limit }));
        expect(overlaid.page({ from, to, limit })).toEqual(whole.page({ from, to, limit }));
      }),
      { numRuns: 2_000 },
    );
  });

  it("are what they say once they are written", () => {
    fc.assert(
      fc.property(writes, writes, (below, above) => {
        const { base, overlaid, whole } = both(below, above);
        base.commit(overlaid.writes());
        overlaid.clear();
        expect(overlaid.writes()).toEqual([]);
        const all = { from: "", to: "z", limit: 1_000 };
        expect(base.page(all)).toEqual(whole.page(all));
        for (const table of ["log", "terms", "snapshot"] as const) {
          expect(overlaid.keysFrom(table, 0)).toEqual(whole.keysFrom(table, 0));
          for (const key of whole.keysFrom(table, 0)) expect(base.get(table, key)).toEqual(whole.get(table, key));
        }
        for (let key = 0; key <= KEYS; key++) expect(base.get("meta", `k${key}`)).toEqual(whole.get("meta", `k${key}`));
      }),
    );
  });

  it("stand still in a frozen view, whatever is written on top and below since", () => {
    fc.assert(
      fc.property(writes, writes, writes, range, (below, above, later, { from, to, limit }) => {
        const own = above.map((each) => ({ ...each, value: each.value?.slice() }));
        const { base, overlaid, whole } = both(below, own);
        const frozen = overlaid.freeze();
        for (const { value: bytes } of own) bytes?.fill(0xee);
        base.commit(later);
        overlaid.clear();
        expect(frozen.page({ from, to, limit }).map(({ key }) => key)).toEqual(
          whole.page({ from, to, limit }).map(({ key }) => key),
        );
        for (const record of frozen.page({ from, to, limit }))
          expect(record.value).toEqual(whole.get("machine", record.key));
      }),
    );
  });

  it("hand out bytes that stay what they are when those of the writes are used again", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const { overlaid } = both([], [{ table: "machine", key: "k1", value: bytes }]);
    const read = [
      overlaid.get("machine", "k1"),
      overlaid.page({ from: "k", to: "l", limit: 9 })[0]?.value,
      overlaid.freeze().page({ from: "k", to: "l", limit: 9 })[0]?.value,
    ];
    bytes.fill(0);
    for (const value of read) expect(value).toEqual(Uint8Array.of(1, 2, 3));
  });

  it("go on behind a page of the records below that is full", () => {
    const below = Array.from({ length: 5 }, (_, at): RecordWrite => {
      return { table: "machine", key: `k${at}`, value: new Uint8Array(400_000).fill(at) };
    });
    const above: RecordWrite[] = [
      { table: "machine", key: "k1", value: undefined },
      { table: "machine", key: "k3a", value: Uint8Array.of(9) },
      { table: "machine", key: "k9", value: Uint8Array.of(9) },
    ];
    const { overlaid } = both(below, above);
    const keys: string[] = [];
    for (let from = "k"; ; ) {
      const page = overlaid.page({ from, to: "l", limit: 100 });
      const last = page.at(-1);
      if (last === undefined) break;
      keys.push(...page.map(({ key }) => key));
      from = `${last.key}\0`;
    }
    expect(keys).toEqual(["k0", "k2", "k3", "k3a", "k4", "k9"]);
  });
});
