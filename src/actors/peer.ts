import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { encodeResults } from "../machine/codec.ts";
import { loadMachine } from "../machine/load.ts";
import { DEFAULT_LIMITS } from "../raft/options.ts";
import { hashSeed, seededRandom } from "../raft/random.ts";
import { heldGate } from "../storage/gate.ts";
import { LmdbStore } from "../storage/lmdb.ts";
import { rings, sleep } from "./bell.ts";
import { Board } from "./board.ts";
import { freeBuffer } from "./free-buffer.ts";
import { MachineCalls } from "./machine-calls.ts";
import { Mailbox } from "./mailbox.ts";
import { monotonicNow } from "./monotonic.ts";
import { freezeIfAsked } from "./pause.ts";
import { errorData, type LaneRequest, type PeerData, type PeerNotice, type PeerOrder } from "./protocol.ts";
import { RecordFile, recordPath } from "./record-file.ts";
import { RecordedRaft } from "./recorded-raft.ts";
import { Shell } from "./shell.ts";
import { timingOf } from "./timing.ts";
import type { Delivery } from "./wire.ts";

// A peer's thread: opens the store, loads the state machine, and runs the shell on what the ports bring.

/**
 * How often the thread's event loop turns. Nothing of flotilla waits for it, but what a state machine prints does, and
 * each turn costs more than a heartbeat.
 */
const EVENT_LOOP_EVERY_MS = 250;

/** The app's thread is the only client that has a port so far. */
const APP = 1;

async function main(data: PeerData, supervisor: MessagePort): Promise<void> {
  const report = (message: PeerNotice) => supervisor.postMessage(message);
  const orders = listen(supervisor);
  const { id, peers, path, identity, configuration, born, durability, shared } = data;
  const gate = heldGate(new Int32Array(shared.gates), data.gate);
  const opening = LmdbStore.open({ path, identity, configuration, born, durability, gate });
  const store = await opening.finally(() => gate.release());
  const position = peers.indexOf(id);
  const calls = new MachineCalls(shared.calls, position);
  calls.enter("load", 0);
  const closed = async (error: unknown) => {
    await store.close();
    throw error;
  };
  const machine = await loadMachine(data.machine).catch(closed);
  calls.leave();
  const record = await beginRecord(data, store.state.incarnation).catch(closed);
  report({ kind: "opened", incarnation: store.state.incarnation });
  await orders.speak;

  const board = new Board(shared.board, peers);
  const pauses = new Int32Array(shared.pauses);
  const bells = new Int32Array(shared.bells);
  const shell = new Shell({
    group: data.group,
    raft: {
      ...DEFAULT_LIMITS,
      ...timingOf(data),
      id,
      incarnation: store.state.incarnation,
      coldStart: data.coldStart,
      cacheBytes: data.cacheBytes,
      random: seededRandom(hashSeed(data.seed, id, store.state.incarnation)),
    },
    store,
    machine,
    clock: { now: monotonicNow, wall: () => Date.now() },
    send: (packets) =>
      data.rpc.postMessage(
        packets,
        packets.map(({ bytes }) => bytes.buffer),
      ),
    release: freeBuffer,
    reply: (_client, replies) => data.lane.postMessage(replies),
    calls,
    snapshotEvery: data.snapshotEvery,
    maxPendingBytes: data.maxPendingBytes,
    onSnapshot: ({ index, bytes }, installed) => report({ kind: "snapshot", index, bytes, installed }),
    onSnapshotFailed: (error) => report({ kind: "snapshot-failed", error: errorData(error, "ERR_MACHINE_THREW") }),
    publish,
    trace: data.trace,
    createRaft:
      record &&
      ((raft, stored, reader, clock, tell) => new RecordedRaft(raft, stored, reader, clock, { sink: record, tell })),
  });

  const mailbox = new Mailbox([
    { port: supervisor, receive: (order) => orders.take(order as PeerOrder) },
    {
      port: data.rpc,
      receive: (message) => shell.deliver(message as Delivery),
      weigh: (message) => bytesOf(message as Delivery),
    },
    {
      port: data.lane,
      receive: (message) => shell.request(APP, message as LaneRequest),
      weigh: (message) => bytesOf(message as LaneRequest),
    },
  ]);
  let isStopped = false;

  /** The peer's life. It ends with a stop, or with the thread. */
  function live(): void {
    const until = monotonicNow() + EVENT_LOOP_EVERY_MS;
    while (monotonicNow() < until) {
      freezeIfAsked(pauses, position);
      const heard = rings(bells, position);
      // The inbox goes before the timers: mail that waited while this thread stood still may show that nothing is overdue.
      const isEmpty = orTell(() => mailbox.drain());
      if (isStopped) return;
      orTell(() => shell.turn());
      if (isEmpty && !shell.isBusy) sleep(bells, position, heard, shell.wakeAt - monotonicNow());
    }
    setImmediate(live);
  }

  function orTell<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      // The uncaught error ends the thread; this tells the supervisor more than it would see of that.
      report({ kind: "failed", error: errorData(error, "ERR_STOPPED") });
      throw error;
    }
  }

  function publish(): void {
    const { role, currentTerm, votedFor, leader, commitIndex, log } = shell.raft;
    const { firstIndex, lastIndex, bytes: logBytes } = log;
    const { lastApplied } = shell;
    const { incarnation } = store.state;
    board.publish(id, {
      role,
      currentTerm,
      votedFor,
      leader,
      commitIndex,
      lastApplied,
      firstIndex,
      lastIndex,
      snapshotIndex: shell.raft.snapshot?.index ?? 0,
      logBytes,
      incarnation,
    });
  }

  orders.onSnapshot = () => {
    if (!shell.wantSnapshot()) report({ kind: "snapshot-kept", index: shell.raft.snapshot?.index ?? 0 });
  };
  orders.onStop = () => {
    isStopped = true;
    record?.close();
    store.close().then(
      () => report({ kind: "stopped" }),
      () => report({ kind: "stopped" }),
    );
  };
  shell.addClient(APP);
  // The first time takes 2 ms, for what is compiled then: here nobody waits for it, behind an election a client would.
  encodeResults([{ result: true, threw: undefined }]);
  orTell(() => shell.turn());
  report({ kind: "up" });
  live();
}

function bytesOf(message: Delivery | LaneRequest): number {
  if ("bytes" in message) return message.bytes.byteLength;
  return "packed" in message ? message.packed.byteLength : 0;
}

async function beginRecord({ record, id }: PeerData, incarnation: number): Promise<RecordFile | undefined> {
  return record === undefined ? undefined : new RecordFile(recordPath(record, id, incarnation));
}

/**
 * The supervisor's orders; those that come before there is a loop have nothing to act on yet. They come through the event
 * loop until the mailbox takes them too.
 */
function listen(supervisor: MessagePort) {
  let speak = () => {};
  const orders = {
    speak: new Promise<void>((resolve) => {
      speak = resolve;
    }),
    onSnapshot: () => {},
    onStop: () => {},
    take(order: PeerOrder): void {
      switch (order.kind) {
        case "speak":
          speak();
          break;
        case "snapshot":
          orders.onSnapshot();
          break;
        case "stop":
          orders.onStop();
          break;
        default:
          order satisfies never;
      }
    },
  };
  supervisor.on("message", orders.take);
  return orders;
}

if (parentPort !== null) {
  const supervisor = parentPort;
  main(workerData as PeerData, supervisor).catch((error: unknown) => {
    supervisor.postMessage({ kind: "failed", error: errorData(error, "ERR_STORAGE_FAILED") } satisfies PeerNotice);
    // Whatever is open by now, this ends the thread.
    throw error;
  });
}
