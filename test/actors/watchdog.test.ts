import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type CurrentCall, createMachineCalls, MachineCalls } from "../../src/actors/machine-calls.ts";
import { watchCalls } from "../../src/actors/watchdog.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function watch(stuckMs: number) {
  const calls = new MachineCalls(createMachineCalls(1), 0);
  const stuck: CurrentCall[] = [];
  const end = watchCalls(calls, stuckMs, (call) => stuck.push(call));
  return { calls, stuck, end };
}

it("tells once of a call that does not return, between one and one and a quarter of the limit", () => {
  const { calls, stuck } = watch(1_000);
  vi.advanceTimersByTime(100);
  calls.enter("apply", 17);
  vi.advanceTimersByTime(999);
  expect(stuck).toEqual([]);
  vi.advanceTimersByTime(251);
  expect(stuck).toEqual([{ call: "apply", index: 17 }]);
  vi.advanceTimersByTime(10_000);
  expect(stuck).toHaveLength(1);
});

it("says nothing of many calls that take their time, nor of a peer with nothing to do", () => {
  const { calls, stuck } = watch(1_000);
  for (let index = 1; index < 20; index++) {
    calls.enter("apply", index);
    vi.advanceTimersByTime(700);
  }
  calls.leave();
  vi.advanceTimersByTime(10_000);
  expect(stuck).toEqual([]);
});

it("lets a module load for ten seconds, and no longer", () => {
  const { calls, stuck } = watch(1_000);
  calls.enter("load", 0);
  vi.advanceTimersByTime(9_900);
  expect(stuck).toEqual([]);
  vi.advanceTimersByTime(700);
  expect(stuck).toEqual([{ call: "load", index: 0 }]);
});

it("says nothing after it was ended, or with a limit of 0", () => {
  const { calls, stuck, end } = watch(1_000);
  const endless = watch(0);
  for (const of of [calls, endless.calls]) of.enter("query", 1);
  end();
  vi.advanceTimersByTime(10_000);
  expect([...stuck, ...endless.stuck]).toEqual([]);
});
