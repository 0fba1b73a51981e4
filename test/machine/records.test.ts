import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { joinRecords, readRecords } from "../../src/machine/records.ts";

const records = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 });

function copies(source: Iterable<Uint8Array>): number[][] {
  return Array.from(source, (record) => Array.from(record));
}

describe("records", () => {
  test("come back whatever the chunks are cut into", () => {
    fc.assert(
      fc.property(records, fc.array(fc.nat({ max: 9 })), (all, cuts) => {
        const bytes = Buffer.concat([...joinRecords(all)]);
        const chunks: Uint8Array[] = [];
        let at = 0;
        for (const cut of cuts) {
          chunks.push(bytes.subarray(at, at + cut));
          at += cut;
        }
        chunks.push(bytes.subarray(at));
        expect(copies(readRecords(chunks))).toEqual(copies(all));
      }),
    );
  });

  test("that end too early are an error, wherever they are cut", () => {
    fc.assert(
      fc.property(records, fc.nat(), (all, where) => {
        const bytes = Buffer.concat([...joinRecords([...all, new Uint8Array([1, 2, 3])])]);
        const ends = [0];
        for (const record of all) ends.push((ends.at(-1) ?? 0) + 4 + record.byteLength);
        const end = where % bytes.byteLength;
        fc.pre(!ends.includes(end));
        expect(() => copies(readRecords([bytes.subarray(0, end)]))).toThrow("bytes too early");
      }),
    );
  });

  test("are pulled only for the chunk that is asked for, and chunks stay near 64 KiB", () => {
    let pulled = 0;
    function* many(): Generator<Uint8Array> {
      for (; pulled < 1_000; pulled++) yield new Uint8Array(1_000);
    }
    const chunks = joinRecords(many());
    const first = chunks.next().value as Uint8Array;
    expect(first.byteLength).toBe(66 * 1_004);
    expect(pulled).toBe(65);
    expect([...chunks].every((chunk) => chunk.byteLength <= 66 * 1_004)).toBe(true);
  });
});
