import type { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import type { Call, Lane } from "./lane.ts";

/** How a call is to be carried out. */
export interface CallOptions {
  /** This very peer; undefined: whoever leads. */
  readonly to: PeerId | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onAppended: Call["onAppended"];
  /** See {@link Call.inSession}; default false. */
  readonly inSession?: boolean;
  /** See {@link Call.minIndex}; default 0. */
  readonly minIndex?: number;
  /** The peers that the call may go to; undefined: any. */
  readonly via?: ReadonlySet<PeerId> | undefined;
  /** As which client, for the faults between clients and peers. */
  readonly client: string | undefined;
}

/** What came of it: the result of the state machine, where the command stands in the log. */
export interface CallResult {
  readonly index: number;
  readonly term: number;
  readonly result: unknown;
}

/** A call until it is settled. */
export interface Waiting extends Call {
  readonly to: PeerId | undefined;
  readonly startedAt: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly client: string | undefined;
  readonly via: ReadonlySet<PeerId> | undefined;
  readonly resolve: (result: CallResult) => void;
  readonly reject: (error: RaftError) => void;
  onAbort: (() => void) | undefined;
  /** Among all that wait. */
  number: number;
  /** How many peers have ended before they answered it. */
  deaths: number;
  /** Where it was handed over. */
  lane: Lane<Waiting> | undefined;
  /** A fault between the client and the peer took it, or its answer; the client cannot tell which. */
  isLost: boolean;
  /** The peer has answered, and the answer is on its way to the client. */
  isAnswered: boolean;
  /** Whether a peer that it was handed to before may have put it into its log. */
  isDoubtful: boolean;
}
