import type { Worker } from "node:worker_threads";
import { describe, expect, onTestFinished, test } from "vitest";
import { generateHistory } from "../../../bench/history-workload.ts";
import type { Operation, OperationOutcome } from "../../../src/testing/history.ts";
import { checkLinearizable } from "../../../src/testing/linearizability/check.ts";
import { counterModel } from "../../../src/testing/linearizability/counter.ts";
import type { KeyValueInput } from "../../../src/testing/linearizability/key-value.ts";
import { keyValueModel } from "../../../src/testing/linearizability/key-value.ts";
import { type Model, UNKNOWN } from "../../../src/testing/linearizability/model.ts";
import { registerModel } from "../../../src/testing/linearizability/register.ts";

type Call = Operation<KeyValueInput, unknown>;

let clients = 0;
function call<Input>(
  input: Input,
  begin: number,
  end: number,
  output?: unknown,
  outcome: OperationOutcome = "ok",
): Operation<Input, unknown> {
  return { client: clients++, input, output, call: begin, return: end, outcome };
}

const put = (value: unknown): KeyValueInput => ({ op: "put", key: "k", value });
const append = (value: string): KeyValueInput => ({ op: "append", key: "k", value });
const get: KeyValueInput = { op: "get", key: "k" };
const remove: KeyValueInput = { op: "delete", key: "k" };
const cas = (expected: unknown, value: unknown): KeyValueInput => ({ op: "cas", key: "k", expected, value });
const set = (value: unknown, version?: number): KeyValueInput => ({
  ...{ op: "set", key: "k", value },
  ...(version === undefined ? {} : { version }),
});
const entry: KeyValueInput = { op: "entry", key: "k" };

async function verdictOf(...history: Call[]): Promise<string> {
  return (await checkLinearizable(history, keyValueModel)).verdict;
}

const valid = generateHistory({ operations: 2_000, keys: 5, clients: 10, unknown: 0.03, seed: 7 });
const begin = valid[1_000]?.call ?? 0;

/** A history of 2,000 operations that is linearizable, with something wrong put into its middle. */
async function planted(...wrong: Call[]): Promise<string> {
  const shifted = wrong.map((operation) => ({
    ...operation,
    call: begin + operation.call,
    ...(operation.return === undefined ? {} : { return: begin + operation.return }),
  }));
  return (await checkLinearizable([...valid, ...shifted], keyValueModel)).verdict;
}

describe("checkLinearizable finds", () => {
  test("nothing in what the wrong is planted into", async () => {
    expect((await checkLinearizable(valid, keyValueModel)).verdict).toBe("ok");
  });

  test("a stale read", async () => {
    expect(await planted(call(put("a"), 0, 1), call(put("b"), 2, 3), call(get, 4, 5, "a"))).toBe("illegal");
    expect(await planted(call(put("a"), 0, 1), call(put("b"), 2, 5), call(get, 4, 6, "a"))).toBe("ok");
  });

  test("a read that goes back behind another client's", async () => {
    const writes = [call(put("a"), 0, 1), call(put("b"), 2, 9)];
    expect(await planted(...writes, call(get, 3, 4, "b"), call(get, 5, 6, "a"))).toBe("illegal");
    expect(await planted(...writes, call(get, 3, 4, "a"), call(get, 5, 6, "b"))).toBe("ok");
  });

  test("a lost append", async () => {
    const appends = [call(append("a"), 0, 1), call(append("b"), 2, 3), call(append("c"), 4, 5)];
    expect(await planted(...appends, call(get, 6, 7, "ac"))).toBe("illegal");
    expect(await planted(...appends, call(get, 6, 7, "abc"))).toBe("ok");
  });

  test("a doubled append, of unknown outcome too", async () => {
    const twice = call(get, 4, 5, "aab");
    expect(await planted(call(append("a"), 0, 1), call(append("b"), 2, 3), twice)).toBe("illegal");
    const unknown = call(append("a"), 0, 1, undefined, "unknown");
    expect(await planted(unknown, call(append("b"), 2, 3), twice)).toBe("illegal");
    expect(await planted(unknown, call(append("b"), 2, 3), call(get, 4, 5, "ab"))).toBe("ok");
    expect(await planted(unknown, call(append("b"), 2, 3), call(get, 4, 5, "ba"))).toBe("ok");
  });

  test("a delete whose key comes back", async () => {
    const deleted = [call(put("a"), 0, 1), call(remove, 2, 3), call(get, 4, 5, null)];
    expect(await planted(...deleted, call(get, 6, 7, "a"))).toBe("illegal");
    expect(await planted(...deleted, call(get, 6, 7, null))).toBe("ok");
  });

  test("a cas that lies, in each way", async () => {
    const before = call(put("a"), 0, 1);
    expect(await planted(before, call(cas("b", "c"), 2, 3, { swapped: true }))).toBe("illegal");
    expect(await planted(before, call(cas("a", "c"), 2, 3, { swapped: false }))).toBe("illegal");
    expect(await planted(before, call(cas("a", "c"), 2, 3, { swapped: true }), call(get, 4, 5, "a"))).toBe("illegal");
    expect(await planted(before, call(cas("b", "c"), 2, 3, { swapped: false }), call(get, 4, 5, "c"))).toBe("illegal");
    expect(await planted(before, call(cas("b", "c"), 2, 3, { swapped: false, value: "d" }))).toBe("illegal");
    expect(await planted(before, call(cas("b", "c"), 2, 3, { swapped: false, value: "a" }))).toBe("ok");
  });

  test("a version that lies, in each way", async () => {
    const made = call(set("a", 0), 0, 1, { ok: true, version: 1 });
    expect(await planted(made, call(entry, 2, 3, { value: "a", version: 1 }))).toBe("ok");
    expect(await planted(made, call(entry, 2, 3, { value: "a", version: 2 }))).toBe("illegal");
    expect(await planted(made, call(set("b", 0), 2, 3, { ok: true }))).toBe("illegal");
    expect(await planted(made, call(set("b", 1), 2, 3, { ok: false }))).toBe("illegal");
    expect(await planted(made, call(set("b", 1), 2, 3, { ok: true, version: 3 }))).toBe("illegal");
    expect(await planted(made, call(set("b", 7), 2, 3, { ok: false, version: 2 }))).toBe("illegal");
    expect(await planted(made, call(set("b", 7), 2, 3, { ok: false, version: 1 }))).toBe("ok");
    expect(await planted(made, call(set("b"), 2, 3, { ok: false }))).toBe("illegal");
    expect(await planted(made, call(set("b", 7), 2, 3, { ok: false }), call(get, 4, 5, "b"))).toBe("illegal");
  });

  test("two puts at one version that both succeed", async () => {
    const made = call(put("a"), 0, 1);
    const [one, other] = [call(set("b", 1), 2, 9, { ok: true }), call(set("c", 1), 3, 8, { ok: true })];
    expect(await planted(made, one, other)).toBe("illegal");
    expect(await planted(made, one, call(set("c", 1), 3, 8, { ok: false, version: 2 }))).toBe("ok");
  });

  test("a write that nobody has read, by the version it has left", async () => {
    const made = call(put("a"), 0, 1);
    const seen = call(set("c", 2), 6, 7, { ok: true, version: 3 });
    expect(await planted(made, call(append("b"), 2, 3), seen)).toBe("ok");
    expect(await planted(made, seen)).toBe("illegal");
    expect(await planted(made, call(put("b"), 2, 3), call(set("c", 1), 6, 7, { ok: true }))).toBe("illegal");
  });

  test("a deleted key that goes on counting its versions", async () => {
    const deleted = [call(put("a"), 0, 1), call(remove, 2, 3), call(set("b", 0), 4, 5, { ok: true })];
    expect(await planted(...deleted, call(entry, 6, 7, { value: "b", version: 1 }))).toBe("ok");
    expect(await planted(...deleted, call(entry, 6, 7, { value: "b", version: 3 }))).toBe("illegal");
  });

  test("a put at a version, of unknown outcome, that had its effect at another or twice", async () => {
    const made = call(put("a"), 0, 1);
    // The lab of 2025 calls it ErrMaybe.
    const maybe = call(set("b", 1), 2, 3, undefined, "unknown");
    expect(await planted(made, maybe, call(entry, 4, 5, { value: "a", version: 1 }))).toBe("ok");
    expect(await planted(made, maybe, call(entry, 4, 5, { value: "b", version: 2 }))).toBe("ok");
    expect(await planted(made, maybe, call(entry, 4, 5, { value: "b", version: 3 }))).toBe("illegal");
    const next = call(put("c"), 4, 5);
    expect(await planted(made, maybe, next, call(entry, 6, 7, { value: "c", version: 2 }))).toBe("ok");
    expect(await planted(made, maybe, next, call(entry, 6, 7, { value: "c", version: 3 }))).toBe("ok");
    expect(await planted(made, maybe, next, call(get, 6, 7, "b"))).toBe("illegal");
  });

  test("an effect of an operation that failed for certain", async () => {
    expect(await verdictOf(call(put("a"), 0, 1, undefined, "failed"), call(get, 2, 3, "a"))).toBe("illegal");
    expect(await verdictOf(call(put("a"), 0, 1, undefined, "failed"), call(get, 2, 3, null))).toBe("ok");
  });
});

describe("checkLinearizable", () => {
  test("lets an operation of unknown outcome take effect long after the client gave up, or never, but not before", async () => {
    const unknown = call(put("a"), 10, 11, undefined, "unknown");
    expect(await verdictOf(unknown, call(get, 20, 21, null), call(get, 30, 31, "a"))).toBe("ok");
    expect(await verdictOf(unknown, call(get, 20, 21, null), call(get, 30, 31, null))).toBe("ok");
    expect(await verdictOf(unknown, call(get, 20, 21, "a"), call(get, 30, 31, null))).toBe("illegal");
    expect(await verdictOf(call(get, 8, 9, "a"), unknown)).toBe("illegal");
  });

  test("takes operations that touch in time for concurrent", async () => {
    expect(await verdictOf(call(put("a"), 0, 5), call(get, 5, 6, null))).toBe("ok");
    expect(await verdictOf(call(put("a"), 0, 4), call(get, 5, 6, null))).toBe("illegal");
  });

  test("tells values apart by structure, as the map does", async () => {
    expect(await verdictOf(call(put({ a: 1, b: [2n] }), 0, 1), call(get, 2, 3, { b: [2n], a: 1 }))).toBe("ok");
    expect(await verdictOf(call(put({ a: 1 }), 0, 1), call(get, 2, 3, { a: "1" }))).toBe("illegal");
    expect(await verdictOf(call(put(Uint8Array.of(1)), 0, 1), call(get, 2, 3, Uint8Array.of(2)))).toBe("illegal");
    expect(await verdictOf(call(put(5), 0, 1), call(append("a"), 2, 3), call(get, 4, 5, 5))).toBe("illegal");
  });

  test("decides long histories with many unknown outcomes, of which the search must leave nearly all aside", async () => {
    const workload = { operations: 10_000, keys: 20, clients: 20, unknown: 0.05 };
    for (const seed of [1, 2, 3]) {
      const history = generateHistory({ ...workload, seed });
      // About two steps an operation: without memory, or with unknown outcomes first, it would be millions.
      const result = await checkLinearizable(history, keyValueModel, { maxSteps: 100_000 });
      expect(result).toMatchObject({ verdict: "ok", operations: 10_000, partitions: 20 });
    }
  });

  test("decides long histories with versions as well", async () => {
    for (const seed of [1, 2, 3]) {
      const workload = { operations: 10_000, keys: 50, clients: 20, unknown: 0.03, versions: true, seed };
      const result = await checkLinearizable(generateHistory(workload), keyValueModel, { maxSteps: 200_000 });
      expect(result).toMatchObject({ verdict: "ok", operations: 10_000, partitions: 50 });
    }
  });

  test("comes in threads to what it comes to in this one, and ends them", async () => {
    const history = generateHistory({ operations: 2_000, keys: 10, clients: 10, unknown: 0.03, seed: 3 });
    const last = Math.max(...history.map((operation) => operation.return ?? 0));
    history.push(call({ op: "get", key: "key-3" }, last + 1, last + 2, "nobody wrote this"));
    const alone = await checkLinearizable(history, keyValueModel, { threads: 0 });
    const threads: Worker[] = [];
    const note = (thread: Worker) => void threads.push(thread);
    process.on("worker", note);
    onTestFinished(() => void process.off("worker", note));
    expect(await checkLinearizable(history, keyValueModel, { threads: 2 })).toEqual(alone);
    // That is what the id of a thread is after its end.
    expect(threads.map(({ threadId }) => threadId)).toEqual([-1, -1]);
    expect(alone).toMatchObject({
      verdict: "illegal",
      violations: [{ partition: "key-3", completed: expect.any(Number) }],
    });
  });

  test("says undecided when its steps or its time are used up, and never illegal then", async () => {
    const history = generateHistory({ operations: 2_000, keys: 2, clients: 10, unknown: 0.03, seed: 3 });
    const result = await checkLinearizable(history, keyValueModel, { maxSteps: 10 });
    expect(result).toMatchObject({
      verdict: "undecided",
      undecided: [
        { partition: expect.stringMatching(/^key-/), reason: "steps" },
        { partition: expect.stringMatching(/^key-/), reason: "steps" },
      ],
    });
    const large = generateHistory({ operations: 20_000, keys: 1, clients: 10, unknown: 0.03, seed: 3 });
    expect(await checkLinearizable(large, keyValueModel, { timeoutMs: 0, threads: 0 })).toMatchObject({
      verdict: "undecided",
      undecided: [{ reason: "time" }],
    });
  });

  test.each([0, 1])("rejects with the reason of its signal, with %i threads", async (threads) => {
    const history = generateHistory({ operations: 20_000, keys: 1, clients: 20, unknown: 0.1, seed: 1 });
    const controller = new AbortController();
    const checking = checkLinearizable(history, keyValueModel, { threads, signal: controller.signal });
    setImmediate(() => controller.abort(new Error("enough")));
    await expect(checking).rejects.toThrow("enough");
    const aborted = AbortSignal.abort(new Error("never begun"));
    await expect(checkLinearizable([], keyValueModel, { signal: aborted })).rejects.toThrow("never begun");
  });

  test("refuses what makes no sense, and quotes it", async () => {
    const check = (operation: Call, options = {}) => checkLinearizable([operation], keyValueModel, options);
    await expect(check(call(get, 5, 4, null))).rejects.toThrow("operation 0: return: expected 5 or later, got 4");
    await expect(check(call(get, Number.NaN, 4, null))).rejects.toThrow("got NaN");
    await expect(check({ client: 1, input: get, call: 1, outcome: "ok" })).rejects.toThrow("return: missing");
    await expect(check(call(cas("a", "b"), 0, 1, true))).rejects.toThrow("cas: expected an output such as");
    await expect(check(call(set("a"), 0, 1, true))).rejects.toThrow("set: expected an output such as");
    await expect(check(call(set("a"), 0, 1, { ok: true, version: -1 }))).rejects.toThrow(
      "got { ok: true, version: -1 }",
    );
    await expect(check(call(set("a", Number.NaN), 0, 1, { ok: true }))).rejects.toThrow(
      "set: version: expected a whole",
    );
    await expect(check(call(set(null), 0, 1, { ok: true }))).rejects.toThrow("expected a value to write, got null");
    await expect(check(call(entry, 0, 1, "a"))).rejects.toThrow("entry: expected an output such as");
    await expect(check(call(put(null), 0, 1))).rejects.toThrow("expected a value to write, got null");
    await expect(check(call(get, 0, 1), { threads: -1 })).rejects.toMatchObject({ code: "ERR_INVALID_OPTION" });
    await expect(check(call(get, 0, 1), { timeoutMs: Number.NaN })).rejects.toMatchObject({
      code: "ERR_INVALID_OPTION",
    });
  });
});

describe("the other models", () => {
  test("a register is read and written", async () => {
    const writes = [call({ op: "write", value: 1 } as const, 0, 1), call({ op: "write", value: 2 } as const, 2, 3)];
    const verdict = async (output: unknown) =>
      (await checkLinearizable([...writes, call({ op: "read" } as const, 4, 5, output)], registerModel)).verdict;
    expect([await verdict(2), await verdict(1), await verdict(null)]).toEqual(["ok", "illegal", "illegal"]);
  });

  test("a counter counts each add once, and those of unknown outcome at most once", async () => {
    const adds: Operation<{ op: "add"; by: number } | { op: "get" }, number | undefined>[] = [
      { client: 1, input: { op: "add", by: 2 }, call: 0, return: 1, outcome: "ok" },
      { client: 2, input: { op: "add", by: 3 }, call: 0, outcome: "unknown" },
    ];
    const verdict = async (output: number) => {
      const read = { client: 1, input: { op: "get" } as const, output, call: 2, return: 3, outcome: "ok" as const };
      return (await checkLinearizable([...adds, read], counterModel)).verdict;
    };
    expect([await verdict(2), await verdict(5), await verdict(3), await verdict(8)]).toEqual([
      "ok",
      "ok",
      "illegal",
      "illegal",
    ]);
  });

  test("one's own decides too: a queue", async () => {
    type Input = { readonly add: string } | "take";
    const queue: Model<readonly string[], Input, unknown> = {
      name: "queue",
      init: () => [],
      step(state, input, output) {
        if (input !== "take") return [...state, input.add];
        return output === UNKNOWN || output === (state[0] ?? null) ? state.slice(1) : undefined;
      },
    };
    const history = (first: string, second: string): Operation<Input, unknown>[] => [
      call({ add: "a" }, 0, 1),
      call({ add: "b" }, 2, 3),
      call("take", 4, 6, first),
      call("take", 7, 8, second),
    ];
    expect((await checkLinearizable(history("a", "b"), queue)).verdict).toBe("ok");
    expect((await checkLinearizable(history("b", "a"), queue)).verdict).toBe("illegal");
  });
});
