import { expect, it, onTestFinished, vi } from "vitest";
import { askPatiently } from "../../src/actors/ask-patiently.ts";
import { RaftError } from "../../src/raft/errors.ts";
import { raftError } from "./fixtures/cluster.ts";

const PATIENCE = { timeoutMs: 1_000, retryMs: 100, longestMs: 400 };

/** Time goes on only as far as somebody waits. */
function setUp() {
  vi.useFakeTimers({ toFake: ["setTimeout", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const asked: number[] = [];
  const late = (ms: number) =>
    new Promise<never>((_, reject) => {
      asked.push(ms);
      setTimeout(reject, ms, new RaftError("ERR_TIMEOUT", `no answer within ${ms} ms`));
    });
  return { asked, late };
}

it("asks again and waits longer each time, up to a bound, until time is over", async () => {
  const { asked, late } = setUp();
  const error = raftError(askPatiently(late, PATIENCE));
  await vi.runAllTimersAsync();
  expect(await error).toMatchObject({ code: "ERR_TIMEOUT" });
  expect(asked).toEqual([100, 200, 400, 300]);
});

it("comes back with the first answer", async () => {
  const { asked, late } = setUp();
  const answer = askPatiently((ms) => (asked.length < 2 ? late(ms) : Promise.resolve(`after ${ms}`)), PATIENCE);
  await vi.runAllTimersAsync();
  expect(await answer).toBe("after 400");
});

it("does not ask again what would come to the same", async () => {
  const { asked } = setUp();
  const threw = new RaftError("ERR_MACHINE_THREW", "no such key");
  const ask = (ms: number) => {
    asked.push(ms);
    return Promise.reject(threw);
  };
  expect(await raftError(askPatiently(ask, PATIENCE))).toBe(threw);
  expect(asked).toEqual([100]);
});

it("asks no more when its peers have died of it three times", async () => {
  const { asked } = setUp();
  const ask = (ms: number) => {
    asked.push(ms);
    return Promise.reject(new RaftError("ERR_PEER_DOWN", "p1 ended before it answered"));
  };
  expect(await raftError(askPatiently(ask, PATIENCE))).toMatchObject({ code: "ERR_PEER_DOWN" });
  expect(asked).toHaveLength(3);
});
