import { expect, it } from "vitest";
import { createMachineCalls, describeCall, MachineCalls } from "../../src/actors/machine-calls.ts";

function twoOf(position: number) {
  const buffer = createMachineCalls(3);
  return {
    peer: new MachineCalls(buffer, position),
    supervisor: new MachineCalls(buffer, position),
    other: new MachineCalls(buffer, position - 1),
  };
}

it("shows which call a peer is in, and of no other peer", () => {
  const { peer, supervisor, other } = twoOf(2);
  expect(supervisor.current.call).toBe("none");
  peer.enter("apply", 2 ** 40 + 1);
  expect(supervisor.current).toEqual({ call: "apply", index: 2 ** 40 + 1 });
  expect(other.current.call).toBe("none");
  peer.leave();
  expect(supervisor.current.call).toBe("none");
});

it("tells two calls apart that look the same", () => {
  const { peer, supervisor } = twoOf(1);
  peer.enter("query", 7);
  const { count } = supervisor;
  peer.leave();
  expect(supervisor.count).toBe(count);
  peer.enter("query", 7);
  expect(supervisor.count).not.toBe(count);
});

it("has words for every call", () => {
  const calls = ["none", "load", "apply", "query", "snapshot", "restore"] as const;
  const words = calls.map((call) => describeCall({ call, index: 17 }));
  expect(new Set(words).size).toBe(calls.length);
  expect(words.filter((word) => word.includes("17"))).toHaveLength(4);
});
