import type { MessagePort } from "node:worker_threads";
import type { MachineSpec } from "../machine/load.ts";
import type { Configuration } from "../raft/entry.ts";
import { type Outcome, RaftError, type RaftErrorCode } from "../raft/errors.ts";
import type { AppendEntries, InstallSnapshot, Message, PeerId } from "../raft/message.ts";
import type { Role } from "../raft/state.ts";
import type { Durability, StoreIdentity } from "../storage/store.ts";
import type { Verify } from "./verification.ts";

// All that crosses a port, in one file. Raft's own messages travel as packets: see wire.ts.

/** A RaftError as plain data: a port would lose its class and its fields. */
export interface ErrorData {
  readonly code: RaftErrorCode;
  readonly message: string;
  readonly outcome: Outcome;
  readonly leader?: string | undefined;
  readonly cause?: { readonly name: string; readonly message: string } | undefined;
}

/** Anything thrown, as data; what is no RaftError gets the code `otherwise`. */
export function errorData(error: unknown, otherwise: RaftErrorCode): ErrorData {
  const { name, message } = error instanceof Error ? error : { name: "Error", message: String(error) };
  if (!(error instanceof RaftError)) return { code: otherwise, message, outcome: "unknown", cause: { name, message } };
  const { code, outcome, leader, cause } = error;
  const causeData = cause instanceof Error ? { name: cause.name, message: cause.message } : undefined;
  return { code, message, outcome, leader, cause: causeData };
}

/** The error again. */
export function fromErrorData(data: ErrorData): RaftError {
  const info = { outcome: data.outcome, leader: data.leader };
  if (data.cause === undefined) return new RaftError(data.code, data.message, info);
  const cause = new Error(data.cause.message);
  cause.name = data.cause.name;
  return new RaftError(data.code, data.message, { ...info, cause });
}

// ---- the lane: between a client's thread and a peer

/**
 * How fresh an answer must be: as of now for everybody, made sure of by a round or by the leader's lease; or whatever this
 * peer has applied.
 */
export type Consistency = "linearizable" | "lease" | "local";

export type LaneRequest =
  | {
      readonly kind: "propose";
      /** The commands are numbered from here, by the lane. */
      readonly firstId: number;
      readonly count: number;
      /** Packed entries, not stamped yet; commands, or session commands. */
      readonly packed: Uint8Array;
      /** Whether the client wants to hear when they are appended. */
      readonly tellAppended: boolean;
    }
  | {
      readonly kind: "query";
      /** The queries are numbered from here, by the lane. */
      readonly firstId: number;
      readonly count: number;
      /** See packQueries. */
      readonly packed: Uint8Array;
      readonly consistency: Consistency;
      /** They are answered when this entry is applied, at the earliest. */
      readonly minIndex: number;
    }
  /** Nobody waits for these queries any more; they are refused, as far as they were not answered by then. */
  | { readonly kind: "cancel"; readonly ids: readonly number[] };

export type LaneReply =
  | {
      readonly kind: "appended";
      readonly firstId: number;
      readonly count: number;
      readonly index: number;
      readonly term: number;
    }
  | {
      readonly kind: "results";
      readonly firstId: number;
      readonly count: number;
      /** Of the first command; the others follow without a gap. */
      readonly index: number;
      readonly term: number;
      readonly results: Uint8Array;
    }
  | { readonly kind: "refused"; readonly firstId: number; readonly count: number; readonly error: ErrorData }
  | {
      readonly kind: "answers";
      readonly firstId: number;
      readonly answers: Uint8Array;
      /** The last entry that they reflect. */
      readonly index: number;
    }
  /** Whom this peer takes for the leader; sent whenever that changes, before anything that follows from it. */
  | { readonly kind: "leader"; readonly term: number; readonly leader: PeerId | undefined }
  | { readonly kind: "applied"; readonly incarnation: number; readonly entries: readonly AppliedEntry[] }
  | { readonly kind: "trace"; readonly incarnation: number; readonly steps: readonly TraceStep[] };

/**
 * An entry that a peer applied. No-ops and configurations are entries too, and so are those that concern a session alone:
 * one that opens it, or a command of it that is not carried out, or not again.
 */
export interface AppliedEntry {
  readonly index: number;
  readonly term: number;
  readonly kind: "command" | "noop" | "configuration" | "session";
  /** Only of a command. */
  readonly command?: unknown;
}

/**
 * How much the peers tell of what they do: nothing; what they apply; or that and every step of the algorithm.
 */
export type Trace = false | "applied" | true;

/** A message between peers without its load: of entries and chunks only which they are. */
export type TracedMessage =
  | Exclude<Message, AppendEntries | InstallSnapshot>
  /** `lastIndex` is that of the last entry it brings; `prevLogIndex` when it brings none. */
  | (Omit<AppendEntries, "batches"> & { readonly lastIndex: number })
  | (Omit<InstallSnapshot, "data"> & { readonly bytes: number });

/** What a peer was given, or did. */
export type TraceStep = {
  /** When, in milliseconds of a clock that never goes back and that all threads of the process share. */
  readonly at: number;
} & UntimedStep;

export type UntimedStep =
  /** A life begins, with this from its store. */
  | {
      readonly kind: "start";
      readonly currentTerm: number;
      readonly votedFor: PeerId | undefined;
      readonly firstIndex: number;
      readonly lastIndex: number;
      readonly snapshotIndex: number;
    }
  | { readonly kind: "receive"; readonly from: PeerId; readonly message: TracedMessage }
  /** News that a thread has ended; see architecture.md. */
  | { readonly kind: "peer-died"; readonly peer: PeerId; readonly incarnation: number }
  /** Commands of clients, which this peer takes since it leads. */
  | { readonly kind: "propose"; readonly firstIndex: number; readonly lastIndex: number }
  /** It is in another role now, or in another term. */
  | { readonly kind: "role"; readonly role: Role; readonly currentTerm: number }
  | { readonly kind: "vote"; readonly votedFor: PeerId; readonly currentTerm: number }
  /** It takes this peer for the leader of its term. */
  | { readonly kind: "follow"; readonly leader: PeerId; readonly currentTerm: number }
  | { readonly kind: "commit"; readonly commitIndex: number }
  | { readonly kind: "send"; readonly to: PeerId; readonly message: TracedMessage }
  /** A write begins; what it drops from the end of the log on disk. */
  | { readonly kind: "truncate"; readonly from: number }
  /** A write begins; what it appends to the log on disk. */
  | { readonly kind: "append"; readonly firstIndex: number; readonly lastIndex: number }
  /** A write begins that makes a snapshot the one in force: its own, or, `installed`, the leader's. */
  | { readonly kind: "snapshot"; readonly index: number; readonly installed: boolean }
  /** The write is durable: term, vote, entries and snapshot of the steps before count from here on. */
  | { readonly kind: "saved" }
  /** The state machine has these; `applied` events tell what they are. */
  | { readonly kind: "apply"; readonly firstIndex: number; readonly lastIndex: number };

// ---- between the supervisor's thread and a peer's thread

/** What a peer's thread is started with. */
export interface PeerData {
  readonly id: PeerId;
  readonly group: string;
  readonly peers: readonly PeerId[];
  readonly path: string;
  readonly identity: StoreIdentity;
  readonly configuration: Configuration;
  /** Whether the store has been there before; then it must be there now. */
  readonly born: boolean;
  /** See `RaftOptions.coldStart`. */
  readonly coldStart: boolean;
  readonly durability: Durability;
  readonly machine: MachineSpec;
  readonly heartbeatMs: number;
  readonly electionMs: readonly [number, number];
  readonly maxClockDrift: number;
  readonly cacheBytes: number;
  readonly maxPendingBytes: number;
  readonly seed: number;
  readonly trace: Trace;
  /** The folder for records; undefined: nothing is recorded. */
  readonly record: string | undefined;
  readonly snapshotEvery: number;
  readonly shared: SharedWords;
  /** Which of the gates is this thread's. */
  readonly gate: number;
  /** To the network. */
  readonly rpc: MessagePort;
  /** To the app. */
  readonly lane: MessagePort;
}

/** Memory that all threads of a supervisor see. */
export interface SharedWords {
  /** See gates.ts. */
  readonly gates: SharedArrayBuffer;
  /** See board.ts. */
  readonly board: SharedArrayBuffer;
  /** See machine-calls.ts. */
  readonly calls: SharedArrayBuffer;
  /** One Int32 a peer, see pause.ts. */
  readonly pauses: SharedArrayBuffer;
  /** One Int32 a peer, see bell.ts. */
  readonly bells: SharedArrayBuffer;
}

/** What a peer's thread tells the supervisor's. */
export type PeerNotice =
  /** The store is open. The peer says nothing to anybody before it is answered with `speak`. */
  | { readonly kind: "opened"; readonly incarnation: number }
  | { readonly kind: "up" }
  | { readonly kind: "failed"; readonly error: ErrorData }
  /** A snapshot is in force. */
  | { readonly kind: "snapshot"; readonly index: number; readonly bytes: number; readonly installed: boolean }
  /** Nothing was applied since the snapshot in force. */
  | { readonly kind: "snapshot-kept"; readonly index: number }
  | { readonly kind: "snapshot-failed"; readonly error: ErrorData }
  | { readonly kind: "stopped" };

/** What the supervisor's thread tells a peer's. */
export type PeerOrder =
  | { readonly kind: "speak" }
  /** Answered by `snapshot`, `snapshot-kept` or `snapshot-failed`. */
  | { readonly kind: "snapshot" }
  | { readonly kind: "stop" };

// ---- between the app's thread and the supervisor's

/** What the supervisor's thread is started with. */
export interface SupervisorData {
  readonly peers: readonly {
    readonly id: PeerId;
    readonly path: string;
    readonly store: string;
    readonly born: boolean;
  }[];
  readonly cluster: string;
  readonly durability: Durability;
  readonly machine: MachineSpec;
  readonly heartbeatMs: number;
  readonly electionMs: readonly [number, number];
  readonly maxClockDrift: number;
  readonly cacheBytes: number;
  readonly maxPendingBytes: number;
  readonly restart:
    | { readonly intensity: number; readonly periodMs: number; readonly backoffMs: readonly [number, number] }
    | false;
  readonly seed: number;
  readonly trace: Trace;
  /** See {@link PeerData}. */
  readonly record: string | undefined;
  readonly snapshotEvery: number;
  readonly verify: Verify;
  readonly stuckMs: number;
  readonly shared: SharedWords;
  /** The cluster's folder. */
  readonly directory: string;
  /** Where calls come in. */
  readonly control: MessagePort;
  /** Where news go. */
  readonly news: MessagePort;
}

/**
 * What happens in a cluster. Events of one peer come in their order; news of a `leader`, of what was `applied` and of
 * steps (`trace`) come from the peers, all else from the supervisor's thread, so the two kinds may overtake each other.
 */
export type ClusterEvent =
  /** A peer has opened its store and takes part. */
  | { readonly type: "up"; readonly peer: PeerId; readonly incarnation: number }
  /** A peer's store is verified before its first start, and that takes a while: which part of it is done, 0 to 1. */
  | { readonly type: "verify"; readonly peer: PeerId; readonly fraction: number }
  /** A peer was elected. A leader that is followed by another within one message may be left out. */
  | { readonly type: "leader"; readonly peer: PeerId; readonly term: number }
  /** A peer's thread ended, asked for (`requested`) or not. */
  | {
      readonly type: "crash";
      readonly peer: PeerId;
      readonly incarnation: number;
      readonly requested: boolean;
      readonly error: RaftError | undefined;
    }
  /**
   * The disk of a peer has no room. It leads and acknowledges nothing until there is some: the restart policy tries to
   * start it, quietly, and does not count that; `up` tells that it worked.
   */
  | { readonly type: "disk-full"; readonly peer: PeerId; readonly error: RaftError }
  /** The policy starts the peer again in `delayMs`. */
  | { readonly type: "restart"; readonly peer: PeerId; readonly delayMs: number }
  /** The peer is not started again: `start()` of the peer tries once more. */
  | { readonly type: "given-up"; readonly peer: PeerId; readonly error: RaftError }
  /** The peer's thread hangs in native code and cannot be ended safely. */
  | { readonly type: "wedged"; readonly peer: PeerId }
  /** The peer was stopped by `stop()` of the peer. */
  | { readonly type: "down"; readonly peer: PeerId }
  /** The peer's loop stands still, by `pause()` of the peer. */
  | { readonly type: "paused"; readonly peer: PeerId }
  /** The peer's loop goes on, by `resume()` of the peer. */
  | { readonly type: "resumed"; readonly peer: PeerId }
  /** From now on these are the peers that this one's messages can reach; see `Supervisor.faults`. */
  | { readonly type: "reach"; readonly peer: PeerId; readonly peers: readonly PeerId[] }
  /** A peer's snapshot is in force, taken by itself or installed from its leader, and its log is compacted. */
  | {
      readonly type: "snapshot";
      readonly peer: PeerId;
      /** It stands for all entries up to this one. */
      readonly index: number;
      readonly bytes: number;
      readonly installed: boolean;
    }
  /** The state machine could not be snapshot. The one before stays in force, and the log grows on. */
  | { readonly type: "snapshot-failed"; readonly peer: PeerId; readonly error: RaftError }
  /** With the option `trace`: what a peer applied in one step. */
  | {
      readonly type: "applied";
      readonly peer: PeerId;
      /** A new incarnation begins again: with its snapshot, or with the first entry. */
      readonly incarnation: number;
      readonly entries: readonly AppliedEntry[];
    }
  /**
   * With the option `trace: true`: what a peer was given and did in one turn of its loop, in that order. A thread that is
   * killed takes the turn it is in with it; with what came of that the next life begins, see the step `start`.
   */
  | {
      readonly type: "trace";
      readonly peer: PeerId;
      readonly incarnation: number;
      readonly steps: readonly TraceStep[];
    };

/** An event with its errors as data. */
export type EventData = {
  [Type in ClusterEvent["type"]]: Wire<Extract<ClusterEvent, { type: Type }>>;
}[ClusterEvent["type"]];
type Wire<Event> = {
  readonly [Key in keyof Event]: Event[Key] extends RaftError | undefined
    ? ErrorData | Exclude<Event[Key], RaftError>
    : Event[Key];
};

/** What the supervisor's thread tells the app's. */
export type News =
  /** A peer's thread was started; this leads to it. */
  | { readonly kind: "lane"; readonly peer: PeerId; readonly port: MessagePort }
  | { readonly kind: "event"; readonly event: EventData };

/** The answer to a call of the control plane: comlink would lose what is special in an error. */
export type Settled<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: ErrorData };
