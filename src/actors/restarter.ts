import { performance } from "node:perf_hooks";
import type { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import type { CurrentCall } from "./machine-calls.ts";
import { type EventData, errorData } from "./protocol.ts";
import { type RestartOptions, RestartPolicy } from "./restart.ts";

/**
 * A thread that starts takes most of a core, and what the others need after a leader's death is the CPU: it waits until one of
 * them leads, and then for its first commits. The longest wait for a leader, in milliseconds.
 */
const ELECTION_MS = 100;
const FIRST_COMMITS_MS = 20;
const LOOK_EVERY_MS = 5;

/** What a restarter needs of its peer's host. */
export interface RestarterOptions {
  readonly id: PeerId;
  /** False: a peer that has died stays down. */
  readonly restart: RestartOptions | false;
  /** Whether the others are electing a leader now. */
  readonly isElecting: () => boolean;
  /** Starts the thread. */
  readonly launch: () => void;
  readonly giveUp: (error: RaftError) => void;
  readonly tell: (event: EventData) => void;
}

/** Sees to it that one peer is started again when its thread has died or could not start, and gives it up in the end. */
export class Restarter {
  readonly #options: RestarterOptions;
  #policy: RestartPolicy | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Whether there was no room on the disk when the thread ended or could not start. */
  #isFull = false;

  constructor(options: RestarterOptions) {
    this.#options = options;
    this.renew();
  }

  /** Whether a peer that has died is started again at all. */
  get isOn(): boolean {
    return this.#policy !== undefined;
  }

  /** A start by hand begins a new account. */
  renew(): void {
    const { id, restart } = this.#options;
    this.cancel();
    this.#policy = restart === false ? undefined : new RestartPolicy(id, restart);
  }

  /** Nothing is started that was to be. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The peer takes part: there is room. */
  onUp(): void {
    this.#isFull = false;
  }

  /** Whether this error says no more than that there is still no room: the peer has not died, it was not there. */
  knows(error: RaftError | undefined): boolean {
    return this.#isFull && isFull(error);
  }

  /**
   * The thread has ended, or could not start.
   * @param call of the state machine in which it ended; undefined when that says nothing.
   */
  onExit(error: RaftError | undefined, call: CurrentCall | undefined): void {
    if (this.#policy === undefined) return;
    if (error !== undefined && isFull(error)) this.#waitForRoom(this.#policy, error);
    else this.#startAgain(this.#policy, call);
  }

  /** A full disk is nobody's fault, and is not got over sooner by giving up. */
  #waitForRoom(policy: RestartPolicy, error: RaftError): void {
    const { id, tell } = this.#options;
    if (!this.#isFull) {
      this.#isFull = true;
      tell({ type: "disk-full", peer: id, error: errorData(error, "ERR_STORAGE_FULL") });
    }
    this.#launchIn(policy.delayMs(performance.now()));
  }

  #startAgain(policy: RestartPolicy, call: CurrentCall | undefined): void {
    const { id, tell, giveUp } = this.#options;
    const decision = policy.onExit(performance.now(), call);
    if (decision.action === "give-up") {
      giveUp(decision.error);
      return;
    }
    tell({ type: "restart", peer: id, delayMs: decision.delayMs });
    this.#launchIn(decision.delayMs);
  }

  #launchIn(delayMs: number): void {
    const { isElecting, launch } = this.#options;
    const begin = () => {
      this.#timer = undefined;
      launch();
    };
    let isAwaited = isElecting();
    const lastLook = performance.now() + delayMs + ELECTION_MS;
    const look = () => {
      if (isElecting() && performance.now() < lastLook) {
        isAwaited = true;
        this.#timer = setTimeout(look, LOOK_EVERY_MS);
      } else if (isAwaited) this.#timer = setTimeout(begin, FIRST_COMMITS_MS);
      else begin();
    };
    this.#timer = setTimeout(look, delayMs);
  }
}

function isFull(error: RaftError | undefined): boolean {
  return error?.code === "ERR_STORAGE_FULL";
}
