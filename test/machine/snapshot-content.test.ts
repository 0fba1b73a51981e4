import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ContentReader, joinContent } from "../../src/machine/snapshot-content.ts";

const sessions = fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 4 });

function contentOf(records: readonly Uint8Array[], machine: Uint8Array): Buffer {
  return Buffer.concat([...joinContent({ count: records.length, records }, [machine])]);
}

describe("a snapshot's content that comes bit by bit", () => {
  test("is the records of the sessions, and behind them what is the machine's", () => {
    fc.assert(
      fc.property(sessions, fc.uint8Array(), fc.integer({ min: 1, max: 40 }), (records, machine, size) => {
        const whole = contentOf(records, machine);
        const reader = new ContentReader();
        const parts: Uint8Array[] = [];
        for (let at = 0; at < whole.length; at += size) parts.push(reader.add(whole.subarray(at, at + size)));
        expect(reader.sessions?.map((record) => [...record])).toEqual(records.map((record) => [...record]));
        expect([...Buffer.concat(parts)]).toEqual([...machine]);
      }),
    );
  });

  test("has its sessions when the last of them is there, and says how much lacks before", () => {
    const whole = contentOf([new Uint8Array(5)], new Uint8Array());
    const reader = new ContentReader();
    reader.add(whole.subarray(0, -1));
    expect(reader).toMatchObject({ sessions: undefined, lacks: 1 });
    reader.add(whole.subarray(-1));
    expect(reader).toMatchObject({ sessions: [new Uint8Array(5)], lacks: 0 });
  });

  test("is refused when it begins with something else", () => {
    expect(() => new ContentReader().add(new Uint8Array(12))).toThrow("a snapshot of format unknown, expected 1");
  });
});
