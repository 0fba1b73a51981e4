import { describe, expect, test } from "vitest";
import { commandOf, keysOf, numbersIn } from "../../src/cli/demo/history.ts";

describe("the commands of the workload", () => {
  test("are all different, and the keys they write to are known", () => {
    const commands = Array.from({ length: 1_001 }, (_, number) => commandOf("c", number));
    expect(new Set(commands.map(({ key, value }) => key + value)).size).toBe(commands.length);
    const attempts = commands.map(() => ({ outcome: "unknown" }) as const);
    expect(keysOf({ client: "c", attempts })).toEqual([...new Set(commands.map(({ key }) => key))]);
  });

  test("make texts whose numbers can be told again, and damage shows", () => {
    const text = [0, 1, 12].map((number) => commandOf("c", number).value).join("");
    expect(numbersIn(text)).toEqual([0, 1, 12]);
    expect(numbersIn("")).toEqual([]);
    expect(numbersIn("0 1")).toEqual([0, Number.NaN]);
    expect(numbersIn("0 ? 1 ")).toEqual([0, Number.NaN, 1]);
  });
});
