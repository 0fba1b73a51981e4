import type { RaftError } from "../raft/errors.ts";
import type { Proposed } from "./peer-handle.ts";

/** What the cluster knows the session by. It has a new one when it was idle for long, or has expired. */
export interface Opened {
  readonly id: number;
  readonly owner: number;
  nextSequence: number;
  /** In the order of their numbers, from the first that has no answer. */
  readonly window: Command[];
}

/** A command of a session until the cluster has said what it came to. */
export interface Command {
  data: Uint8Array;
  readonly deadline: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly settle: (result: Proposed | RaftError) => void;
  sequence: number;
  /** The caller has its result or error. */
  isSettled: boolean;
  /** The cluster has said what the command came to. */
  isAnswered: boolean;
  /** The last attempt is not over, as far as is known. */
  isUnderWay: boolean;
  /** The number of the last attempt, among those of all commands. */
  attempt: number;
  /** An attempt that was not answered may be in some log. */
  isDoubtful: boolean;
  retryMs: number;
  backoffMs: number;
  /** Of one that is under way: when it is taken for lost; of others: when they may be sent again. */
  retryAt: number;
}
