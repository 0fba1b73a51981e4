import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Overlay, type StateTable } from "../../src/machine/overlay.ts";

/** A table in memory, and what brings it up to date. */
function tableOf(content: Map<string, Uint8Array>): StateTable {
  return {
    get: (key) => content.get(key),
    page: ({ from, to, limit }) =>
      [...content]
        .filter(([key]) => key >= from && key < to)
        .sort(([left], [right]) => (left < right ? -1 : 1))
        .slice(0, limit)
        .map(([key, value]) => ({ key, value })),
  };
}

function flush(overlay: Overlay, content: Map<string, Uint8Array>): void {
  for (const [key, value] of overlay.changes) {
    if (value === undefined) content.delete(key);
    else content.set(key, value);
  }
  overlay.clear();
}

const keys = fc.constantFrom("", "a", "aa", "ab", "b", "b\0", "é", "\ud83d\ude00", "\uffff");
const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("put" as const), key: keys, value: fc.nat(9) }),
    fc.record({ kind: fc.constant("delete" as const), key: keys }),
    fc.record({ kind: fc.constant("flush" as const) }),
    fc.record({ kind: fc.constant("end" as const), kept: fc.boolean() }),
  ),
  { maxLength: 40 },
);

describe("an overlay", () => {
  it("reads as a map does in which a command's writes are kept, or taken back as a whole", () => {
    fc.assert(
      fc.property(
        steps,
        fc.record({ prefix: fc.constantFrom("", "a", "b"), from: keys, to: fc.option(keys) }),
        (all, range) => {
          const content = new Map<string, Uint8Array>();
          const overlay = new Overlay(tableOf(content));
          let kept = new Map<string, number>();
          /** The steps of one command. */
          let command: typeof all = [];
          for (const step of [...all, { kind: "end", kept: true } as const]) {
            if (step.kind === "put" || step.kind === "delete") {
              command.push(step);
              continue;
            }
            if (step.kind === "flush") {
              flush(overlay, content);
              continue;
            }
            const twin = new Map(kept);
            const write = command;
            overlay.change(
              (state) => {
                for (const one of write) {
                  if (one.kind === "put") state.put(one.key, one.value);
                  if (one.kind === "delete") expect(state.delete(one.key)).toBe(twin.has(one.key));
                  if (one.kind === "put") twin.set(one.key, one.value);
                  if (one.kind === "delete") twin.delete(one.key);
                  expect(read(state.entries())).toEqual(sorted(twin));
                }
              },
              () => step.kept,
            );
            command = [];
            if (step.kept) kept = twin;
            const { prefix, from, to } = range;
            const inRange = [...kept].filter(
              ([key]) => key.startsWith(prefix) && key >= from && (to === null || key < to),
            );
            expect(read(overlay.reader.entries({ prefix, from, to: to ?? undefined }))).toEqual(sorted(inRange));
            for (const key of ["", "a", "é"]) expect(overlay.reader.get(key)).toBe(kept.get(key));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("gives back the memory of what is taken back or saved", () => {
    const content = new Map<string, Uint8Array>();
    const overlay = new Overlay(tableOf(content));
    const write = (isKept: boolean) =>
      overlay.change(
        (state) => {
          state.put("k", "a long enough value");
          state.delete("k");
          state.put("k", "v");
        },
        () => isKept,
      );
    write(false);
    expect(overlay.bytes).toBe(0);
    write(true);
    const { bytes } = overlay;
    expect(bytes).toBeGreaterThan(1);
    write(false);
    expect(overlay.bytes).toBe(bytes);
    flush(overlay, content);
    expect(overlay.bytes).toBe(0);
    expect(overlay.reader.get("k")).toBe("v");
  });

  it("keeps a value as it was when it was put, and hands out copies", () => {
    const overlay = new Overlay(tableOf(new Map()));
    const value = { list: [1] };
    overlay.change(
      (state) => state.put("k", value),
      () => true,
    );
    value.list.push(2);
    const read = overlay.reader.get("k") as typeof value;
    read.list.push(3);
    expect(overlay.reader.get("k")).toEqual({ list: [1] });
  });

  it("shows what is written ahead while it is read through, and nothing that is removed", () => {
    const overlay = new Overlay(tableOf(new Map()));
    const seen = overlay.change(
      (state) => {
        for (const key of ["a", "b", "c"]) state.put(key, 1);
        const found: string[] = [];
        for (const [key] of state.entries()) {
          found.push(key);
          if (key === "a") state.delete("b");
          if (key === "c") state.put("d", 1);
        }
        return found;
      },
      () => true,
    );
    expect(seen).toEqual(["a", "c", "d"]);
  });

  it.each<[string, unknown, unknown, string]>([
    ["a key that is no string", 5, 1, "expected a string, got 5"],
    ["half a surrogate pair", "\ud83d", 1, "holds half a surrogate pair"],
    ["a key that is too long", "é".repeat(601), 1, "expected at most 1200 bytes, got 1202"],
    ["a value that is undefined", "k", undefined, "undefined cannot be stored; use delete"],
    ["a value that cannot be encoded", "k", () => 1, "a function cannot be encoded"],
  ])("refuses %s", (_, key, value, message) => {
    const overlay = new Overlay(tableOf(new Map()));
    const put = () =>
      overlay.change(
        (state) => state.put(key as string, value),
        () => true,
      );
    expect(put).toThrow(message);
    expect(overlay.changes.size).toBe(0);
  });

  it("takes the longest keys there are, whatever characters they have", () => {
    const overlay = new Overlay(tableOf(new Map()));
    for (const key of ["k".repeat(1_200), "\ud83d\ude00".repeat(300), "\uffff".repeat(400)]) {
      overlay.change(
        (state) => state.put(key, 1),
        () => true,
      );
    }
    expect([...overlay.reader.entries()]).toHaveLength(3);
  });

  it("is not written to by who kept it beyond its command", () => {
    const overlay = new Overlay(tableOf(new Map()));
    const kept = overlay.change(
      (state) => state,
      () => true,
    );
    expect(() => kept.put("k", 1)).toThrow("written to after apply had returned, at 'k'");
    expect(() => kept.delete("k")).toThrow("written to after");
  });
});

function read(entries: Iterable<readonly [string, unknown]>): [string, unknown][] {
  return Array.from(entries, ([key, value]) => [key, value]);
}

function sorted(entries: Iterable<[string, number]>): [string, number][] {
  return [...entries].sort(([left], [right]) => (left < right ? -1 : 1));
}
