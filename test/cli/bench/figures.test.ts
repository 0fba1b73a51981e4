import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { figures, median, quantile, short } from "../../../src/cli/bench/figures.ts";

describe("quantile", () => {
  test("is the least value that enough of the others do not exceed", () => {
    const values = [5, 1, 4, 2, 3];
    expect([0, 0.2, 0.21, 0.5, 0.99, 1].map((part) => quantile(values, part))).toEqual([1, 1, 2, 3, 5, 5]);
  });

  test("is one of the values, and at least that part of them is not greater", () => {
    const numbers = fc.array(fc.double({ noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(numbers, fc.double({ min: 0, max: 1, noNaN: true }), (values, part) => {
        const found = quantile(values, part);
        expect(values).toContain(found);
        expect(values.filter((value) => value <= found).length).toBeGreaterThanOrEqual(part * values.length);
      }),
    );
  });

  test("of nothing is not a number", () => {
    expect(quantile([], 0.5)).toBeNaN();
  });
});

test("the median of an even number of values lies between the two in the middle", () => {
  expect([median([3, 1]), median([4, 1, 3, 2]), median([9, 1, 5]), median([7])]).toEqual([2, 2.5, 5, 7]);
});

test("runs are summed up by name, and those that lack a name are left out", () => {
  expect(figures([{ a: 1, b: 2 }, { a: 3, b: undefined }, { a: 2 }])).toEqual({
    a: { median: 2, low: 1, high: 3, runs: [1, 3, 2] },
    b: { median: 2, low: 2, high: 2, runs: [2] },
  });
});

test("numbers are shortened to the digits that count", () => {
  expect([1234567.8, 999.6, 42.25, 1.234, 0.01234, 0, Number.NaN].map(short)).toEqual([
    "1,234,568",
    "1,000",
    "42.3",
    "1.23",
    "0.012",
    "0",
    "-",
  ]);
});
