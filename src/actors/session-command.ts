import { performance } from "node:perf_hooks";
import type { ByteRange } from "../raft/entry.ts";
import { RaftError } from "../raft/errors.ts";
import { forgetAbort } from "./abort.ts";
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
  /** Encoded. Before it there is room for the session's header. */
  data: ByteRange;
  readonly deadline: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (result: Proposed<never>) => void;
  readonly reject: (error: RaftError) => void;
  onAbort: (() => void) | undefined;
  /** While it has no sequence number: its number among those that wait for one. */
  place: number;
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

/** The wait before an attempt that follows a refusal; it doubles each time. */
export const BACKOFF_MS = [5, 250] as const;

/** A command that was proposed just now. */
export function newCommand(
  given: Pick<Command, "data" | "timeoutMs" | "signal" | "retryMs" | "resolve" | "reject">,
): Command {
  const { data, timeoutMs, signal, retryMs, resolve, reject } = given;
  return {
    data,
    deadline: performance.now() + timeoutMs,
    timeoutMs,
    signal,
    resolve,
    reject,
    onAbort: undefined,
    place: 0,
    sequence: 0,
    isSettled: false,
    isAnswered: false,
    isUnderWay: false,
    attempt: 0,
    isDoubtful: false,
    retryMs,
    backoffMs: BACKOFF_MS[0],
    retryAt: 0,
  };
}

/** Tells the caller. */
export function settle(command: Command, result: Proposed | RaftError): void {
  command.isSettled = true;
  if (command.onAbort !== undefined) forgetAbort(command.signal, command.onAbort);
  if (result instanceof RaftError) command.reject(result);
  else command.resolve(result as Proposed<never>);
}
