import type { PeerId } from "../raft/message.ts";
import type { PeerStatus } from "./board.ts";
import type { Consistency } from "./protocol.ts";

/** What every call that waits can be given. */
export interface WaitOptions {
  /** Ends the wait; a command that was handed over by then has an unknown outcome. */
  readonly signal?: AbortSignal;
  /** As which client the call is made, for the rules of `faults.client`. */
  readonly client?: string;
  /** How long to wait, in milliseconds. Default 5,000; a few election timeouts, so that a change of leader is survived. */
  readonly timeoutMs?: number;
}

export interface ProposeOptions extends WaitOptions {
  /**
   * Called once the leader has the command in its log, and only there: it says where the command will stand if it is
   * committed, and nothing about whether it will be.
   */
  readonly onAppended?: (at: { readonly index: number; readonly term: number }) => void;
}

export interface QueryOptions extends WaitOptions {
  /**
   * `linearizable` (default): reflects all that was acknowledged to anybody before the query began. `lease`: the same,
   * and the leader answers without asking the others while it is certain that no other can have been elected; it relies
   * on clocks, see `maxClockDrift`. `local`: reflects whatever the peer has applied, which may be old; needs no leader.
   */
  readonly consistency?: Consistency;
  /** The peers that may be asked. Default: any. */
  readonly via?: readonly PeerId[];
  /** The answer waits until the peer has applied this entry. Default 0. */
  readonly minIndex?: number;
}

/** A command that was committed and applied. */
export interface Proposed<Result = unknown> {
  readonly index: number;
  readonly term: number;
  /** What `apply` returned. */
  readonly result: Result;
}

/** One peer, seen from the app. It stays the same over all starts of the peer's thread. */
export class Peer {
  readonly id: PeerId;
  readonly #supervisor: Internals;

  /** @internal */
  constructor(id: PeerId, supervisor: Internals) {
    this.id = id;
    this.#supervisor = supervisor;
  }

  /**
   * Hands a command to this very peer; once, and to no other.
   * @throws RaftError `ERR_NOT_LEADER` when it does not lead: nothing was appended, `leader` says whom it follows.
   */
  propose<Result = unknown>(command: unknown, options: ProposeOptions = {}): Promise<Proposed<Result>> {
    return this.#supervisor.propose(command, options, this.id) as Promise<Proposed<Result>>;
  }

  /**
   * Asks this very peer. A follower asks its leader from which entry on a linearizable query may be answered, and answers
   * it from its own state.
   * @throws RaftError `ERR_NOT_LEADER` when it knows no leader, or lost it meanwhile.
   */
  query<Answer = unknown>(query: unknown, options: QueryOptions = {}): Promise<Answer> {
    return this.#supervisor.query(query, options, this.id) as Promise<Answer>;
  }

  /** What the peer last said of itself, and how its thread is. Answers for a busy, paused or dead peer too. */
  async status(): Promise<PeerStatus> {
    return this.#supervisor.status(this.id);
  }

  /** Kills the thread where it stands. Resolves when it has ended; the restart policy decides what follows. */
  crash(): Promise<void> {
    return this.#supervisor.control("crash", this.id);
  }

  /** Closes the peer's store, ends its thread, and keeps it down until `start`. */
  stop(): Promise<void> {
    return this.#supervisor.control("stopPeer", this.id);
  }

  /** Starts a peer that is down or given up, from its store. Resolves when it takes part. */
  start(): Promise<void> {
    return this.#supervisor.control("startPeer", this.id);
  }

  /** Freezes the peer's loop: it neither hears nor speaks, and its mail waits. Resolves when it stands still. */
  pause(): Promise<void> {
    return this.#supervisor.control("pause", this.id);
  }

  /** Lets a paused peer go on, with all the mail that has come in. */
  resume(): Promise<void> {
    return this.#supervisor.control("resume", this.id);
  }

  /**
   * Has the peer take a snapshot and compact its log. Resolves with the entry that its snapshot stands for, when it is on
   * disk; that of the snapshot in force when nothing was applied since.
   * @throws RaftError `ERR_PEER_DOWN`; `ERR_MACHINE_THREW` when the state machine refuses.
   */
  snapshot(): Promise<number> {
    return this.#supervisor.snapshot(this.id);
  }
}

/** What a peer's handle needs of its supervisor. */
export interface Internals {
  propose(command: unknown, options: ProposeOptions, to: PeerId | undefined): Promise<Proposed>;
  query(query: unknown, options: QueryOptions, to: PeerId | undefined): Promise<unknown>;
  status(id: PeerId): PeerStatus;
  control(name: "crash" | "stopPeer" | "startPeer" | "pause" | "resume", id: PeerId): Promise<void>;
  snapshot(id: PeerId): Promise<number>;
}
