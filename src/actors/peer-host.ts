import { performance } from "node:perf_hooks";
import type { MessagePort } from "node:worker_threads";
import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { takeGate } from "../storage/gate.ts";
import { ring } from "./bell.ts";
import type { Board } from "./board.ts";
import { nextGate, retireGate } from "./gates.ts";
import { type CurrentCall, describeCall, type MachineCalls } from "./machine-calls.ts";
import { monotonicNow } from "./monotonic.ts";
import type { Network } from "./network.ts";
import { askToFreeze, isFrozen, thaw } from "./pause.ts";
import { type PeerProcess, startProcess } from "./peer-process.ts";
import {
  type EventData,
  errorData,
  fromErrorData,
  type PeerData,
  type PeerNotice,
  type PeerOrder,
} from "./protocol.ts";
import type { RestartOptions } from "./restart.ts";
import { Restarter } from "./restarter.ts";
import { VerifyOnce } from "./verify-once.ts";
import { watchCalls } from "./watchdog.ts";
import { arrived, type Delivery } from "./wire.ts";
import { withTimeout } from "./with-timeout.ts";

/** How long a thread may stay in native code before it is called wedged; a write to a busy disk takes its time. */
const GATE_TIMEOUT_MS = 10_000;
/** How long a peer that is asked to stop may take to close its store, before it is killed. */
const STOP_TIMEOUT_MS = 5_000;
const FREEZE_TIMEOUT_MS = 10_000;

/** Failures at the start that another start would meet again. */
const HOPELESS: ReadonlySet<string> = new Set([
  "ERR_STORAGE_LOST",
  "ERR_STORAGE_CORRUPT",
  "ERR_INVALID_OPTION",
  "ERR_MACHINE_MODULE",
  "ERR_MACHINE_THREW",
] satisfies RaftError["code"][]);

/** What all hosts of a supervisor share, and what is this one's. */
export interface PeerHostOptions {
  readonly id: PeerId;
  /** Its position among the peers. */
  readonly position: number;
  readonly restart: RestartOptions | false;
  /**
   * Resolves when the store may be opened; called before the first thread is started, and again if that failed. Undefined
   * when there is nothing to find out.
   */
  readonly verify: ((signal: AbortSignal) => Promise<void>) | undefined;
  /** Of a thread that is to be started: all but what this host adds. */
  readonly data: () => Omit<PeerData, "gate" | "coldStart" | "rpc" | "lane">;
  readonly gates: Int32Array;
  readonly pauses: Int32Array;
  readonly bells: Int32Array;
  readonly board: Board;
  readonly calls: MachineCalls;
  /** See `SupervisorOptions.stuckMs`. */
  readonly stuckMs: number;
  readonly network: Network;
  /** The store was opened; before the peer speaks, it is written down that it is there. */
  readonly born: () => void;
  /** Takes the app's end of a new thread's lane. */
  readonly lane: (port: MessagePort) => void;
  readonly tell: (event: EventData) => void;
}

/** The life of one peer: starts its thread, ends it safely, and starts it again as the restart policy says. */
export class PeerHost {
  readonly #options: PeerHostOptions;
  #process: PeerProcess | undefined;
  /** Whether a thread of the peer was started before. */
  #hasRun = false;
  readonly #restarter: Restarter;
  readonly #verification: VerifyOnce;
  /** A launch that waits for the verification. */
  #launching: Promise<void> | undefined;
  /** How often the peer was told to stop: a start that was called before, and still waits, is off. */
  #stops = 0;

  constructor(options: PeerHostOptions) {
    this.#options = options;
    this.#verification = new VerifyOnce(options.verify);
    const { id, restart, tell, board } = options;
    this.#restarter = new Restarter({
      id,
      restart,
      tell,
      isElecting: () => board.isElecting(id),
      giveUp: (error) => this.#giveUp(error),
      launch: () => this.#launchAgain(),
    });
  }

  /** Brings mail from the network; lost when no thread is there. */
  deliver(delivery: Delivery, transfer: readonly ArrayBuffer[]): void {
    if (this.#process === undefined) return;
    const isQuiet = delivery.kind === "packet" && delivery.isQuiet;
    this.#process.rpc.postMessage(isQuiet ? arrived(delivery, monotonicNow()) : delivery, transfer);
    if (!isQuiet) this.#ring();
  }

  /** Resolves when the peer takes part; at once if it does. @throws RaftError when its thread ends before that. */
  async start(): Promise<void> {
    const stops = this.#stops;
    while (this.#process?.ending !== undefined) {
      if (this.#isWedged()) throw wedged(this.#options.id);
      await Promise.race([this.#process.exited, this.#process.wedged]);
    }
    if (this.#stops !== stops)
      throw new RaftError("ERR_PEER_DOWN", `${this.#options.id} was stopped before it started`);
    if (this.#process === undefined) {
      this.#restarter.renew();
      await this.#launch();
    }
    await this.#process?.up;
  }

  /** Ends the thread where it stands, outside native code; what happens next is the restart policy's to say. */
  async crash(): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    process.ending ??= "crash";
    await this.#kill(process);
  }

  /** Lets the peer close its store, and keeps it down. */
  async stop(): Promise<void> {
    this.#stops++;
    this.#restarter.cancel();
    const process = this.#process;
    if (process === undefined) {
      await this.#verification.abort();
      await this.#launching?.catch(() => {});
      if (this.#options.board.status(this.#options.id).state !== "given-up") this.#setState("down");
      return;
    }
    process.ending = "stop";
    if (process.isUp && !isFrozen(this.#options.pauses, this.#options.position)) {
      const stopped = new Promise<void>((resolve) => {
        process.onStopped = resolve;
      });
      this.#order(process, { kind: "stop" });
      await withTimeout(Promise.race([stopped, process.exited]), STOP_TIMEOUT_MS);
    }
    await this.#kill(process);
  }

  /** Freezes the peer's loop; its mail waits. Resolves when it stands still. */
  async pause(): Promise<void> {
    const { id, pauses, position } = this.#options;
    const process = await this.#whenUp();
    askToFreeze(pauses, position);
    this.#ring();
    const deadline = performance.now() + FREEZE_TIMEOUT_MS;
    while (!isFrozen(pauses, position)) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (this.#process !== process) throw new RaftError("ERR_PEER_DOWN", `${id} ended before it was paused`);
      if (performance.now() > deadline) {
        thaw(pauses, position);
        throw new RaftError("ERR_WEDGED", `${id} did not come to the end of its turn in ${FREEZE_TIMEOUT_MS} ms`);
      }
    }
    this.#setState("paused");
    this.#options.tell({ type: "paused", peer: id });
  }

  /**
   * Has the peer take a snapshot now. @returns the entry that it stands for; that of the one in force when nothing was
   * applied since.
   */
  async snapshot(): Promise<number> {
    const process = await this.#whenUp();
    const outcome = new Promise<{ readonly index: number } | { readonly error: RaftError }>((resolve) => {
      process.onSnapshot.push(resolve);
    });
    this.#order(process, { kind: "snapshot" });
    const gone = process.exited.then(() => ({
      error: new RaftError("ERR_PEER_DOWN", `${this.#options.id} ended before its snapshot was complete`),
    }));
    const settled = await Promise.race([outcome, gone]);
    if ("error" in settled) throw settled.error;
    return settled.index;
  }

  /** Lets a frozen peer go on; nothing happens to one that is not frozen. */
  resume(): void {
    const { id, pauses, position, tell } = this.#options;
    if (!isFrozen(pauses, position)) return;
    thaw(pauses, position);
    this.#setState("up");
    tell({ type: "resumed", peer: id });
  }

  /** Starts the thread, for the first time once the store is verified. */
  async #launch(): Promise<void> {
    if (this.#verification.isDone) this.#spawn();
    else {
      this.#launching ??= this.#verifyAndSpawn().finally(() => {
        this.#launching = undefined;
      });
      await this.#launching;
    }
  }

  /** As the restart policy says. */
  #launchAgain(): void {
    const wasVerified = this.#verification.isDone;
    this.#launch().catch((error: unknown) => {
      // What comes of a verification is dealt with where it is found.
      if (wasVerified) this.#giveUp(asRaftError(error));
    });
  }

  async #verifyAndSpawn(): Promise<void> {
    const { id } = this.#options;
    const stops = this.#stops;
    const failure = await this.#verification.verify().then(() => undefined, asRaftError);
    if (this.#stops !== stops) throw new RaftError("ERR_PEER_DOWN", `${id} was stopped before it started`);
    if (failure !== undefined) {
      if (HOPELESS.has(failure.code) || !this.#restarter.isOn) this.#giveUp(failure);
      else this.#restarter.onExit(failure, undefined);
      throw failure;
    }
    this.#spawn();
  }

  #spawn(): void {
    const { id, gates, network, data, lane, pauses, position, calls, stuckMs } = this.#options;
    const gate = nextGate(gates);
    if (gate === undefined) throw new RaftError("ERR_STOPPED", `${id} cannot be started: the supervisor is closing`);
    thaw(pauses, position);
    const process: PeerProcess = startProcess({
      // Of an earlier supervisor nothing runs any more: the directory is one's alone.
      data: { ...data(), gate, coldStart: !this.#hasRun },
      lane,
      onPackets: (packets) => {
        for (const packet of packets) network.send(packet);
      },
      onNotice: (notice) => this.#onNotice(process, notice),
      onExit: (code) => this.#onExit(process, code),
      watch: () => watchCalls(calls, stuckMs, (call) => this.#onStuck(process, call)),
    });
    this.#process = process;
    this.#hasRun = true;
  }

  #onNotice(process: PeerProcess, notice: PeerNotice): void {
    const { id, network, born, tell } = this.#options;
    switch (notice.kind) {
      case "opened":
        process.incarnation = notice.incarnation;
        try {
          born();
        } catch (error) {
          process.error =
            error instanceof RaftError ? error : new RaftError("ERR_STORAGE_FAILED", String(error), { cause: error });
          this.#kill(process).catch(() => {});
          break;
        }
        network.up(id, notice.incarnation);
        this.#order(process, { kind: "speak" });
        break;
      case "up":
        process.isUp = true;
        this.#restarter.onUp();
        if (process.ending !== undefined) break;
        this.#setState("up");
        tell({ type: "up", peer: id, incarnation: process.incarnation });
        process.settleUp();
        break;
      case "failed":
        process.error = fromErrorData(notice.error);
        break;
      case "snapshot": {
        const { index, bytes, installed } = notice;
        tell({ type: "snapshot", peer: id, index, bytes, installed });
        for (const settle of process.onSnapshot.splice(0)) settle({ index });
        break;
      }
      case "snapshot-kept":
        for (const settle of process.onSnapshot.splice(0)) settle({ index: notice.index });
        break;
      case "snapshot-failed":
        tell({ type: "snapshot-failed", peer: id, error: notice.error });
        for (const settle of process.onSnapshot.splice(0)) settle({ error: fromErrorData(notice.error) });
        break;
      case "stopped":
        process.onStopped();
        break;
      default:
        notice satisfies never;
    }
  }

  async #kill(process: PeerProcess): Promise<void> {
    const { id, gates, tell } = this.#options;
    if (await takeGate(gates, process.gate, GATE_TIMEOUT_MS)) {
      await process.worker.terminate();
      await process.exited;
    } else if (this.#process === process) {
      this.#setState("wedged");
      process.onWedged();
      tell({ type: "wedged", peer: id });
      throw wedged(id);
    }
  }

  /** The state machine does not return: its thread is ended, which works as long as it is in no native code. */
  #onStuck(process: PeerProcess, call: CurrentCall): void {
    const { id, stuckMs } = this.#options;
    const message = `${id} was ended: it was ${describeCall(call)}, and that took longer than ${stuckMs} ms`;
    process.error ??= new RaftError("ERR_MACHINE_STUCK", message);
    // A thread that cannot be ended is an event of its own.
    this.#kill(process).catch(() => {});
  }

  #onExit(process: PeerProcess, code: number): void {
    const { id, gates, pauses, position, calls, network, tell } = this.#options;
    const call = calls.current;
    calls.leave();
    this.#process = undefined;
    retireGate(gates, process.gate);
    thaw(pauses, position);
    network.down(id, process.incarnation);
    this.#setState("down");
    const requested = process.ending === "crash";
    const error =
      process.error ??
      (process.ending === undefined ? new RaftError("ERR_STOPPED", `${id} ended with exit code ${code}`) : undefined);
    // Says nothing new to those who heard that it is up; one that was to end when it came up told nobody.
    process.settleUp(error ?? new RaftError("ERR_PEER_DOWN", `${id} was ended while it started`));
    if (process.ending === "stop") {
      tell({ type: "down", peer: id });
      return;
    }
    if (!this.#restarter.knows(error)) {
      tell({
        type: "crash",
        peer: id,
        incarnation: process.incarnation,
        requested,
        error: error === undefined ? undefined : errorData(error, "ERR_STOPPED"),
      });
    }
    if (!process.isUp && error !== undefined && HOPELESS.has(error.code)) this.#giveUp(error);
    else this.#restarter.onExit(error, requested ? undefined : call);
  }

  #giveUp(error: RaftError): void {
    this.#setState("given-up");
    this.#options.tell({ type: "given-up", peer: this.#options.id, error: errorData(error, "ERR_GIVEN_UP") });
  }

  #order(process: PeerProcess, order: PeerOrder): void {
    process.worker.postMessage(order);
    this.#ring();
  }

  #ring(): void {
    const { bells, position } = this.#options;
    ring(bells, position);
  }

  #isWedged(): boolean {
    const { board, id } = this.#options;
    return board.status(id).state === "wedged";
  }

  /** A peer that is starting may have answered its clients before its news came here: it is waited for. */
  async #whenUp(): Promise<PeerProcess> {
    const process = this.#process;
    if (process === undefined || process.ending !== undefined) {
      throw new RaftError("ERR_PEER_DOWN", `${this.#options.id} is not up`);
    }
    await process.up;
    return process;
  }

  #setState(state: Parameters<Board["setState"]>[1]): void {
    this.#options.board.setState(this.#options.id, state);
  }
}

function wedged(id: PeerId): RaftError {
  return new RaftError("ERR_WEDGED", `${id} has been in native code for ${GATE_TIMEOUT_MS} ms and cannot be ended`);
}

function asRaftError(error: unknown): RaftError {
  return error instanceof RaftError ? error : new RaftError("ERR_STOPPED", String(error), { cause: error });
}
