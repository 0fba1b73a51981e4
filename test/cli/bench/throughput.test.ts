import { describe, expect, test } from "vitest";
import { OptionValues } from "../../../src/cli/bench/bench.ts";
import { resultTables } from "../../../src/cli/bench/table.ts";
import { loads } from "../../../src/cli/bench/throughput.ts";

const LISTS = {
  peers: "1,3",
  outstanding: "1,64",
  bytes: "16,256",
  durability: "disk,process",
  by: "supervisor,session,kv",
};

describe("the loads of the throughput", () => {
  test("are those of every given list with every other", () => {
    const given = new OptionValues({ ...LISTS, durability: "process" }, new Set(["peers", "bytes", "durability"]));
    const found = loads(given);
    expect(found).toHaveLength(8);
    expect(new Set(found.map(({ durability }) => durability))).toEqual(new Set(["process"]));
    expect(found).toContainEqual({ peers: 1, bytes: 16, outstanding: 64, durability: "process", by: "supervisor" });
  });

  test("vary one thing at a time when nothing is given, and none twice", () => {
    const found = loads(new OptionValues(LISTS, new Set()));
    const base = { peers: 3, bytes: 256, outstanding: 1_000, durability: "disk", by: "supervisor" };
    for (const load of found.filter(({ outstanding }) => outstanding === 1_000)) {
      const differing = Object.entries(base).filter(([name, value]) => Reflect.get(load, name) !== value);
      expect(differing.length).toBeLessThanOrEqual(1);
    }
    expect(new Set(found.map((load) => JSON.stringify(load))).size).toBe(found.length);
    expect(found).toHaveLength(9);
  });

  test("that make no sense are wrong usage", () => {
    const values = (change: object) => new OptionValues({ ...LISTS, ...change }, new Set());
    expect(() => loads(values({ peers: "0" }))).toThrow('--peers: expected a number from 1 to 64, got "0"');
    expect(() => loads(values({ outstanding: "1,,2" }))).toThrow("--outstanding: expected a number");
    expect(() => loads(values({ durability: "ram" }))).toThrow(
      '--durability: expected some of disk, process, got "ram"',
    );
    expect(() => loads(values({ by: "hand" }))).toThrow('--by: expected some of supervisor, session, kv, got "hand"');
  });
});

test("results with the same parameters are a table, with a column for each name, empty where a result lacks it", () => {
  const figure = (...runs: number[]) => ({
    median: runs[0] ?? 0,
    low: Math.min(...runs),
    high: Math.max(...runs),
    runs,
  });
  const text = resultTables([
    { bench: "b", series: "one", parameters: { n: 1 }, figures: { "x/s": figure(10, 5, 20), "y ms": figure(1) } },
    { bench: "b", series: "apart", parameters: { m: 3 }, figures: { z: figure(7) } },
    { bench: "b", series: "other", parameters: { n: 22 }, figures: { "x/s": figure(7) } },
  ]);
  expect(text.split("\n")).toEqual([
    "        n   x/s     spread  y ms",
    "  one   1  10.0  5.00–20.0  1.00",
    "other  22  7.00                 ",
    "",
    "       m     z  spread",
    "apart  3  7.00        ",
  ]);
});
