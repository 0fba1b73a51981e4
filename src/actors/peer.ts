import { performance } from "node:perf_hooks";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { loadMachine } from "../machine/load.ts";
import { DEFAULT_LIMITS } from "../raft/options.ts";
import { hashSeed, seededRandom } from "../raft/random.ts";
import { heldGate } from "../storage/gate.ts";
import { LmdbStore } from "../storage/lmdb.ts";
import { Board } from "./board.ts";
import { Mailbox } from "./mailbox.ts";
import { freezeIfAsked } from "./pause.ts";
import { errorData, type LaneRequest, type PeerData, type PeerNotice, type PeerOrder } from "./protocol.ts";
import { Shell } from "./shell.ts";
import type { Delivery } from "./wire.ts";

// A peer's thread: opens the store, loads the state machine, and runs the shell on what the ports bring.

/** A tenth of the time between heartbeats: soon for followers, and rare beside what replication sends anyway. */
const COMMIT_NEWS_PART = 0.1;

/** Of the entries between two snapshots, how many stay behind one: enough for a follower that missed a few rounds. */
const SNAPSHOT_TAIL_PART = 0.1;

/** The app's thread is the only client that has a port so far. */
const APP = 1;

async function main(data: PeerData, supervisor: MessagePort): Promise<void> {
  const report = (message: PeerNotice) => supervisor.postMessage(message);
  const orders = listen(supervisor);
  const { id, peers, path, identity, configuration, born, durability, shared } = data;
  const gate = heldGate(new Int32Array(shared.gates), data.gate);
  const opening = LmdbStore.open({ path, identity, configuration, born, durability, gate });
  const store = await opening.finally(() => gate.release());
  const machine = await loadMachine(data.machine).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  report({ kind: "opened", incarnation: store.state.incarnation });
  await orders.speak;

  const board = new Board(shared.board, peers);
  const pauses = new Int32Array(shared.pauses);
  const position = peers.indexOf(id);
  const shell = new Shell({
    group: data.group,
    raft: {
      ...DEFAULT_LIMITS,
      id,
      heartbeatMs: data.heartbeatMs,
      electionMs: data.electionMs,
      leaseMs: leaseMs(data),
      incarnation: store.state.incarnation,
      commitNewsMs: data.heartbeatMs * COMMIT_NEWS_PART,
      snapshotTail: Math.floor(data.snapshotEvery * SNAPSHOT_TAIL_PART),
      snapshotTailMax: data.snapshotEvery,
      cacheBytes: data.cacheBytes,
      random: seededRandom(hashSeed(data.seed, id, store.state.incarnation)),
    },
    store,
    machine,
    clock: { now: () => performance.now(), wall: () => Date.now() },
    send: (packets) => data.rpc.postMessage(packets),
    reply: (_client, replies) => data.lane.postMessage(replies),
    applying: (index) => board.setApplying(id, index),
    snapshotEvery: data.snapshotEvery,
    maxPendingBytes: data.maxPendingBytes,
    onSnapshot: ({ index, bytes }, installed) => report({ kind: "snapshot", index, bytes, installed }),
    onSnapshotFailed: (error) => report({ kind: "snapshot-failed", error: errorData(error, "ERR_MACHINE_THREW") }),
    publish,
    trace: data.trace,
  });

  const mailbox = new Mailbox(
    [
      { port: data.rpc, receive: (message) => shell.deliver(message as Delivery) },
      { port: data.lane, receive: (message) => shell.request(APP, message as LaneRequest) },
    ],
    turn,
  );
  let timer: NodeJS.Timeout | undefined;
  let timerAt = Number.POSITIVE_INFINITY;
  let again: NodeJS.Immediate | undefined;

  function turn(): void {
    // The inbox goes before the timers: mail that waited while this thread stood still may show that nothing is overdue.
    if (freezeIfAsked(pauses, position)) mailbox.drain();
    try {
      shell.turn();
    } catch (error) {
      // The uncaught error ends the thread; this tells the supervisor more than it would see of that.
      report({ kind: "failed", error: errorData(error, "ERR_STOPPED") });
      throw error;
    }
    if (shell.isBusy) again ??= setImmediate(wake);
    setTimer();
  }

  function wake(): void {
    again = undefined;
    mailbox.drain();
    turn();
  }

  /** Moves the timer only to an earlier time: heartbeats put the deadline off again and again, and each move costs. */
  function setTimer(): void {
    const { wakeAt } = shell.raft;
    if (wakeAt >= timerAt) return;
    clearTimeout(timer);
    timerAt = wakeAt;
    timer = setTimeout(onTimer, Math.max(0, Math.ceil(wakeAt - performance.now())));
  }

  function onTimer(): void {
    timerAt = Number.POSITIVE_INFINITY;
    if (performance.now() < shell.raft.wakeAt) setTimer();
    else wake();
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

  orders.onWake = wake;
  orders.onSnapshot = () => {
    if (shell.wantSnapshot()) wake();
    else report({ kind: "snapshot-kept", index: shell.raft.snapshot?.index ?? 0 });
  };
  orders.onStop = () => {
    clearTimeout(timer);
    clearImmediate(again);
    mailbox.close();
    store.close().then(
      () => report({ kind: "stopped" }),
      () => report({ kind: "stopped" }),
    );
  };
  shell.addClient(APP);
  turn();
  report({ kind: "up" });
}

/** Followers stand by a leader for the shortest election timeout; by this leader's clock that may be less. */
function leaseMs({ electionMs, maxClockDrift }: PeerData): number {
  return (electionMs[0] * (1 - maxClockDrift)) / (1 + maxClockDrift);
}

/** The supervisor's orders. Those that come before there is a loop have nothing to act on yet. */
function listen(supervisor: MessagePort) {
  const orders = {
    speak: Promise.resolve(),
    onWake: () => {},
    onSnapshot: () => {},
    onStop: () => {},
  };
  orders.speak = new Promise((resolve) => {
    supervisor.on("message", (order: PeerOrder) => {
      switch (order.kind) {
        case "speak":
          return resolve();
        case "wake":
          return orders.onWake();
        case "snapshot":
          return orders.onSnapshot();
        case "stop":
          return orders.onStop();
        default:
          order satisfies never;
      }
    });
  });
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
