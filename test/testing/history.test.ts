import { expect, test } from "vitest";
import { RaftError } from "../../src/raft/errors.ts";
import { History } from "../../src/testing/history.ts";

/** A clock that stands at 1000 and goes on by 10 at each look. */
function clock(): () => bigint {
  let time = 990n;
  return () => {
    time += 10n;
    return time;
  };
}

test("records calls with their outcomes, on one clock that begins with the history", async () => {
  const history = new History<string, number>(clock());
  const first = history.invoke(1, "a");
  const second = history.invoke("two", "b");
  history.complete(second, { outcome: "ok", output: 5 });
  history.complete(first, { outcome: "failed" });
  history.invoke(1, "c");
  expect([...history]).toEqual([
    { client: 1, input: "a", call: 10, return: 40, outcome: "failed" },
    { client: "two", input: "b", output: 5, call: 20, return: 30, outcome: "ok" },
    { client: 1, input: "c", call: 50, outcome: "unknown" },
  ]);
});

test.each([
  [new RaftError("ERR_NOT_LEADER", "no"), "failed"],
  [new RaftError("ERR_UNKNOWN_OUTCOME", "who knows", { outcome: "unknown" }), "unknown"],
  [new RaftError("ERR_MACHINE_THREW", "it threw", { outcome: "applied" }), "unknown"],
  [new Error("of somebody else"), "unknown"],
])("records a call that rejects with %s as %3$s", async (error, outcome) => {
  const history = new History<string, number>(clock());
  await expect(history.record(1, "a", () => Promise.reject(error))).rejects.toBe(error);
  expect(await history.record(1, "b", async () => 7)).toBe(7);
  expect(history.operations).toEqual([
    { client: 1, input: "a", call: 10, return: 20, outcome },
    { client: 1, input: "b", output: 7, call: 30, return: 40, outcome: "ok" },
  ]);
});

test("takes one call of a client at a time, and completes each once", () => {
  const history = new History<string, number>();
  const invocation = history.invoke(1, "a");
  expect(() => history.invoke(1, "b")).toThrow("client 1 begins a call before the one before is completed");
  history.complete(invocation, { outcome: "unknown" });
  expect(() => history.complete(invocation, { outcome: "ok", output: 1 })).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_HISTORY" }),
  );
  history.invoke(1, "b");
});
