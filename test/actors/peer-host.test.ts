import { MessageChannel, type Worker } from "node:worker_threads";
import { expect, it, onTestFinished, vi } from "vitest";
import { Board, createBoard } from "../../src/actors/board.ts";
import { createGates } from "../../src/actors/gates.ts";
import { createMachineCalls, MachineCalls } from "../../src/actors/machine-calls.ts";
import type { Network } from "../../src/actors/network.ts";
import { PeerHost, type PeerHostOptions } from "../../src/actors/peer-host.ts";
import type { PeerProcess } from "../../src/actors/peer-process.ts";
import type { EventData } from "../../src/actors/protocol.ts";
import { raftError } from "./fixtures/cluster.ts";

/** What the gate of the test's peer says to who wants it; false: its thread is in native code, and stays there. */
let gate: (took: boolean) => void = () => {};

vi.mock("../../src/storage/gate.ts", async (original) => ({
  ...(await original<typeof import("../../src/storage/gate.ts")>()),
  takeGate: () =>
    new Promise<boolean>((resolve) => {
      gate = resolve;
    }),
}));

vi.mock("../../src/actors/peer-process.ts", () => ({
  startProcess(): PeerProcess {
    const { port1, port2 } = new MessageChannel();
    onTestFinished(() => port2.close());
    let onWedged = () => {};
    const wedged = new Promise<void>((resolve) => {
      onWedged = resolve;
    });
    return {
      ...{ worker: { postMessage() {} } as unknown as Worker, gate: 0, rpc: port1, up: Promise.resolve() },
      ...{ exited: new Promise(() => {}), wedged, onWedged, settleUp() {}, incarnation: 1, isUp: false },
      ...{ ending: undefined, error: undefined, onStopped() {}, onSnapshot: [] },
    };
  },
}));

function host(tell: (event: EventData) => void): PeerHost {
  const words = () => new Int32Array(new SharedArrayBuffer(4));
  return new PeerHost({
    ...{ id: "p1", position: 0, restart: false, verify: undefined, stuckMs: 0, born() {}, lane() {}, tell },
    ...{ gates: new Int32Array(createGates()), pauses: words(), bells: words() },
    board: new Board(createBoard(["p1"]), ["p1"]),
    calls: new MachineCalls(createMachineCalls(1), 0),
    network: {} as Network,
    data: () => ({}) as ReturnType<PeerHostOptions["data"]>,
  });
}

it("a start that waits for a thread to end is told when that hangs in native code", async () => {
  const events: EventData[] = [];
  const peer = host((event) => void events.push(event));
  await peer.start();
  const crash = raftError(peer.crash());
  const start = raftError(peer.start());
  gate(false);
  expect(await crash).toMatchObject({ code: "ERR_WEDGED" });
  expect(await start).toMatchObject({ code: "ERR_WEDGED" });
  expect(events).toEqual([{ type: "wedged", peer: "p1" }]);
  // Who comes later needs not wait at all.
  expect(await raftError(peer.start())).toMatchObject({ code: "ERR_WEDGED" });
});
