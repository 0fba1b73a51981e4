import { MessageChannel, type MessagePort, type Worker } from "node:worker_threads";
import { RaftError } from "../raft/errors.ts";
import type { PeerData, PeerNotice } from "./protocol.ts";
import { spawnThread } from "./thread.ts";
import type { Packet } from "./wire.ts";

/** One start of a peer's thread, and what its host knows of it. */
export interface PeerProcess {
  readonly worker: Worker;
  readonly gate: number;
  /** To the peer's end of the network. */
  readonly rpc: MessagePort;
  /** Settles once: the peer is up, or its thread ended before. */
  readonly up: Promise<void>;
  readonly exited: Promise<void>;
  /** Resolves when it is known that the thread cannot be ended: it hangs in native code. */
  readonly wedged: Promise<void>;
  readonly onWedged: () => void;
  readonly settleUp: (error?: RaftError) => void;
  incarnation: number;
  isUp: boolean;
  /** Why the thread ends, if that was asked for. */
  ending: "crash" | "stop" | undefined;
  error: RaftError | undefined;
  onStopped: () => void;
  /** Those who wait for the peer's next snapshot. */
  onSnapshot: ((outcome: { readonly index: number } | { readonly error: RaftError }) => void)[];
}

interface PeerProcessOptions {
  readonly data: Omit<PeerData, "rpc" | "lane">;
  /** Takes the app's end of the thread's lane. */
  readonly lane: (port: MessagePort) => void;
  readonly onPackets: (packets: readonly Packet[]) => void;
  readonly onNotice: (notice: PeerNotice) => void;
  /** The thread has ended; called before `exited` resolves. */
  readonly onExit: (code: number) => void;
  /** Begins to watch the calls of its state machine. @returns what ends that, to be called when the thread has ended. */
  readonly watch: () => () => void;
}

/** Starts the thread of a peer. It says nothing to other peers before it is told to speak. */
export function startProcess(options: PeerProcessOptions): PeerProcess {
  const { data, lane: announce, onPackets, onNotice, onExit, watch } = options;
  const rpc = new MessageChannel();
  const lane = new MessageChannel();
  const worker = spawnThread("peer", {
    name: `flotilla ${data.id}`,
    workerData: { ...data, rpc: rpc.port2, lane: lane.port2 } satisfies PeerData,
    transferList: [rpc.port2, lane.port2],
  });
  announce(lane.port1);
  const unwatch = watch();
  const up = deferred<void>();
  // Whoever starts a peer waits for this; nobody has to.
  up.promise.catch(() => {});
  const exited = deferred<void>();
  const wedged = deferred<void>();
  const process: PeerProcess = {
    worker,
    gate: data.gate,
    rpc: rpc.port1,
    up: up.promise,
    exited: exited.promise,
    wedged: wedged.promise,
    onWedged: () => wedged.resolve(),
    settleUp: (error) => (error === undefined ? up.resolve() : up.reject(error)),
    incarnation: 0,
    isUp: false,
    ending: undefined,
    error: undefined,
    onStopped: () => {},
    onSnapshot: [],
  };
  rpc.port1.on("message", onPackets);
  worker.on("message", onNotice);
  worker.on("error", (error) => {
    process.error ??= new RaftError("ERR_STOPPED", `${data.id} ended: ${error.message}`, { cause: error });
  });
  worker.on("exit", (code) => {
    unwatch();
    rpc.port1.close();
    onExit(code);
    exited.resolve();
  });
  return process;
}

function deferred<Value>() {
  let resolve: (value: Value) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<Value>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
