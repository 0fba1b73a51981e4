import type { PeerId } from "../raft/message.ts";
import type { GivenQueryOptions } from "./call-options.ts";
import type { Proposer } from "./proposer.ts";
import type { CallResult } from "./waiting-call.ts";

/** How a session is to be used; see `Session`. */
export interface SessionOptions {
  /** As which client its calls are made, for the rules of `faults.client`. */
  readonly client?: string | undefined;
  /** The peers that its calls may go to. Commands need the leader to be among them. Default: all. */
  readonly via?: readonly PeerId[] | undefined;
  /**
   * After how many milliseconds without a command the cluster forgets the session, by the time stamps of the log; a
   * command that comes later finds a new one. Default an hour.
   */
  readonly expireMs?: number | undefined;
}

/** What a session needs of its supervisor. */
export interface SessionHost {
  readonly proposer: Pick<Proposer, "submit" | "overloaded">;
  readonly maxCommandBytes: number;
  /** How long an attempt may go unanswered before the command is sent again, in milliseconds; it doubles each time. */
  readonly retryMs: number;
  readonly defaultTimeoutMs: number;
  readonly query: (query: unknown, options: GivenQueryOptions) => Promise<CallResult>;
}
