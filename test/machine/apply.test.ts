import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { answerQuery, applyCommand, applyEncoded } from "../../src/machine/apply.ts";
import { takesEncoded } from "../../src/machine/offers.ts";
import type { ApplyContext, StateMachine } from "../../src/machine/state-machine.ts";

const CONTEXT: ApplyContext = { index: 7, term: 3, time: 1_000 };

function machineOf(code: (input: unknown, context?: ApplyContext) => unknown): StateMachine {
  return { apply: code, query: (query) => code(query), snapshot: () => new Uint8Array(), restore: () => undefined };
}

function throwing(error: unknown): StateMachine {
  return machineOf(() => {
    throw error;
  });
}

test("a command's result is what apply returned, and apply saw the context", () => {
  const machine = machineOf((command, context) => ({ command, context }));
  expect(applyCommand(machine, "c", CONTEXT)).toEqual({
    result: { command: "c", context: CONTEXT },
    threw: undefined,
  });
  expect(answerQuery(machine, "q")).toEqual({ result: { command: "q", context: undefined }, threw: undefined });
});

class Refusal extends Error {
  override readonly name = "Refusal";
}

test.each<[string, unknown, unknown]>([
  ["a refusal", new Refusal("no funds"), { name: "Refusal", message: "no funds" }],
  ["no error at all", { code: 5 }, { name: "Error", message: "{ code: 5 }" }],
  ["undefined", undefined, { name: "Error", message: "undefined" }],
  ["a symbol", Symbol("s"), { name: "Error", message: "Symbol(s)" }],
  [
    "an error whose message cannot be read",
    Object.defineProperty(new Error("x"), "message", {
      get() {
        throw new Error("never");
      },
    }),
    { name: "Error", message: "something that cannot be read" },
  ],
])("%s that is thrown is captured as plain data", (_, error, threw) => {
  expect(applyCommand(throwing(error), 1, CONTEXT)).toStrictEqual({ result: undefined, threw });
  expect(answerQuery(throwing(error), 1)).toStrictEqual({ result: undefined, threw });
});

test("a mistake in the machine comes with its stack, clipped", () => {
  const { threw } = applyCommand(throwing(new TypeError("x".repeat(20_000))), 1, CONTEXT);
  expect(threw?.message).toHaveLength(8_192);
  expect(threw?.stack).toHaveLength(8_192);
  expect(applyCommand(throwing(new RangeError("r")), 1, CONTEXT).threw?.stack).toContain("apply.test.ts");
});

describe("a promise in place of a result", () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  beforeEach(() => {
    unhandled.length = 0;
    process.on("unhandledRejection", note);
  });
  afterEach(() => {
    process.off("unhandledRejection", note);
  });

  test.each(["apply", "query"] as const)(
    "is an error that says %s must be synchronous, and its rejection is no one's",
    async (method) => {
      const machine = machineOf(() => Promise.reject(new Error("later")));
      const { threw } = method === "apply" ? applyCommand(machine, 1, CONTEXT) : answerQuery(machine, 1);
      expect(threw?.message).toBe(`${method} of the state machine returned a promise: it must be synchronous`);
      // Rejections that nobody handles are told once the microtasks of a turn are through.
      await new Promise((resolve) => setImmediate(resolve));
      expect(unhandled).toEqual([]);
    },
  );

  test("may be any object with a then, even one that throws", async () => {
    const thenable = {
      // biome-ignore lint/suspicious/noThenProperty: it is what this is about
      then() {
        throw new Error("from then");
      },
    };
    expect(
      applyCommand(
        machineOf(() => thenable),
        1,
        CONTEXT,
      ).threw?.message,
    ).toContain("returned a promise");
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  });
});

describe("a machine that takes commands as bytes", () => {
  const BYTES = new Uint8Array([9, 1, 2, 9]);

  class Adder implements StateMachine<number, number, undefined, number> {
    sum = 0;
    apply(command: number): number {
      this.sum += command;
      return this.sum;
    }
    applyEncoded(bytes: Uint8Array, start: number, end: number): number | undefined {
      if (end - start !== 2) return undefined;
      if (bytes[start] === 0) throw new Refusal("nothing");
      return this.apply((bytes[start] ?? 0) + (bytes[start + 1] ?? 0));
    }
    query(): number {
      return this.sum;
    }
    snapshot(): Uint8Array {
      return new Uint8Array();
    }
    restore(): void {}
  }

  test("is given those that lie in the bytes, and says by undefined that one is to be decoded", () => {
    const adder = new Adder();
    expect(applyEncoded(adder, BYTES, 1, 3, CONTEXT)).toEqual({ result: 3, threw: undefined });
    expect(applyEncoded(adder, BYTES, 0, 3, CONTEXT)).toBeUndefined();
    expect(adder.sum).toBe(3);
  });

  test("may throw the result, as apply may, and no more than that return a promise", () => {
    const threw = { name: "Refusal", message: "nothing" };
    expect(applyEncoded(new Adder(), new Uint8Array(2), 0, 2, CONTEXT)).toEqual({ result: undefined, threw });
    const promising = { applyEncoded: () => Promise.resolve(1) };
    expect(applyEncoded(promising, BYTES, 0, 2, CONTEXT)?.threw?.message).toContain(
      "applyEncoded of the state machine returned a promise",
    );
  });

  test("is not asked when a subclass has another apply, and not the other half of it", () => {
    class Same extends Adder {}
    class Doubler extends Adder {
      override apply(command: number): number {
        return super.apply(2 * command);
      }
    }
    class Both extends Doubler {
      override applyEncoded(): undefined {}
    }
    expect(takesEncoded(new Adder())).toBe(true);
    expect(takesEncoded(new Same())).toBe(true);
    expect(takesEncoded(new Doubler())).toBe(false);
    expect(takesEncoded(new Both())).toBe(true);
    expect(takesEncoded(Object.assign(new Adder(), { apply: () => 1 }))).toBe(false);
    expect(takesEncoded(Object.assign(new Adder(), { applyEncoded: undefined }))).toBe(false);
    expect(takesEncoded(machineOf(() => 1))).toBe(false);
  });
});
