import type { Worker } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";
import { GateState, heldGate, noGate, takeGate, takeGateSync } from "../../src/storage/gate.ts";
import type { GatePeerData } from "./fixtures/gate-peer.ts";
import { startThread } from "./fixtures/thread.ts";

const LONG = 20_000;

function gateWords(state: number): Int32Array {
  const words = new Int32Array(new SharedArrayBuffer(12));
  words[0] = state;
  return words;
}

const threads: Worker[] = [];

/** A thread that has been inside its gate. */
async function startPeer(task: GatePeerData["task"]): Promise<{ thread: Worker; words: Int32Array }> {
  const words = gateWords(GateState.held);
  const data: GatePeerData = { words, task };
  const thread = startThread("gate-peer", data);
  threads.push(thread);
  await new Promise<void>((resolve, reject) => {
    thread.once("error", reject);
    const poll = () => (Atomics.load(words, 1) > 0 ? resolve() : setTimeout(poll, 1));
    poll();
  });
  return { thread, words };
}

afterEach(async () => {
  for (const thread of threads.splice(0)) await thread.terminate();
});

describe("the peer's side of a gate", () => {
  it("is held until it is released, and runs native calls meanwhile", () => {
    const words = gateWords(GateState.held);
    const gate = heldGate(words, 0);
    const during = gate.run(() => Atomics.load(words, 0));
    const before = Atomics.load(words, 0);
    gate.release();
    expect([during, before, Atomics.load(words, 0)]).toEqual([GateState.held, GateState.held, GateState.free]);
  });

  it("is held during each native call after its release, and free between them", () => {
    const words = gateWords(GateState.held);
    const gate = heldGate(words, 0);
    gate.release();
    expect(gate.run(() => Atomics.load(words, 0))).toBe(GateState.held);
    expect(Atomics.load(words, 0)).toBe(GateState.free);
  });

  it("is free again after a native call that throws", () => {
    const words = gateWords(GateState.free);
    const gate = heldGate(words, 0);
    words[0] = GateState.held;
    gate.release();
    expect(() =>
      gate.run(() => {
        throw new Error("disk full");
      }),
    ).toThrow("disk full");
    expect(Atomics.load(words, 0)).toBe(GateState.free);
  });

  it("refuses a native call inside a native call, which would wait for itself", () => {
    const gate = heldGate(gateWords(GateState.held), 0);
    gate.release();
    expect(() => gate.run(() => gate.run(() => 1))).toThrow("a native call inside another one");
  });

  it("can be released twice", () => {
    const words = gateWords(GateState.held);
    const gate = heldGate(words, 0);
    gate.release();
    gate.release();
    expect(Atomics.load(words, 0)).toBe(GateState.free);
  });

  it("is not there in a thread that nobody kills", () => {
    expect(noGate.run(() => 7)).toBe(7);
  });
});

describe("the killer's side of a gate", () => {
  it("takes a free gate at once", async () => {
    const [one, other] = [gateWords(GateState.free), gateWords(GateState.free)];
    expect(await takeGate(one, 0, 0)).toBe(true);
    expect(takeGateSync(other, 0, 0)).toBe(true);
    expect([one[0], other[0]]).toEqual([GateState.killed, GateState.killed]);
  });

  it("counts a gate that is taken already as taken", async () => {
    const words = gateWords(GateState.killed);
    expect(await takeGate(words, 0, 0)).toBe(true);
    expect(takeGateSync(words, 0, 0)).toBe(true);
  });

  it("gives up on a held gate in time, and leaves it to its peer", async () => {
    const words = gateWords(GateState.held);
    expect(await takeGate(words, 0, 20)).toBe(false);
    expect(takeGateSync(words, 0, performance.now() + 20)).toBe(false);
    expect(words[0]).toBe(GateState.held);
  });

  it("waits until the peer comes out of native code", async () => {
    const { thread, words } = await startPeer("stay");
    const taken = takeGate(words, 0, LONG);
    expect(Atomics.load(words, 0)).toBe(GateState.wanted);
    Atomics.store(words, 2, 1);
    Atomics.notify(words, 2);
    expect(await taken).toBe(true);
    expect(Atomics.load(words, 1)).toBe(1);
    expect(await thread.terminate()).toBe(1);
  });

  it("is handed the gate by a peer that goes straight from one native call into the next", async () => {
    const { words } = await startPeer("hurry");
    expect(takeGateSync(words, 0, performance.now() + LONG)).toBe(true);
    const visits = Atomics.load(words, 1);
    // A peer that still ran would be inside again long before this.
    expect(Atomics.wait(words, 1, visits, 50)).toBe("timed-out");
  });

  it("gives one gate to all who want it", async () => {
    const { words } = await startPeer("stay");
    const short = takeGate(words, 0, 10);
    const long = [takeGate(words, 0, LONG), takeGate(words, 0, LONG)];
    expect(await short).toBe(false);
    Atomics.store(words, 2, 1);
    Atomics.notify(words, 2);
    expect(await Promise.all(long)).toEqual([true, true]);
  });
});
