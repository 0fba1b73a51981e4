import type { Thrown } from "../machine/apply.ts";
import { RaftError, type RaftErrorCode, type RaftErrorInfo } from "../raft/errors.ts";
import type { Call, Lane } from "./lane.ts";
import { withoutStack } from "./without-stack.ts";

// How a call may end that did not come to a result.

/** The error of a call: of thousands at once, when there are too many or when their leader is lost. */
export function callError(code: RaftErrorCode, message: string, info?: RaftErrorInfo): RaftError {
  return withoutStack(() => new RaftError(code, message, info));
}

/** What is looked at of a call whose time is over. */
interface Late {
  /** Where it was handed over. */
  readonly lane: Lane | undefined;
  readonly isLost: boolean;
  readonly timeoutMs: number;
}

/** Nothing was heard in time: of a leader, or of the peer that has the call. */
export function timedOut({ lane, isLost, timeoutMs }: Late): RaftError {
  if (isLost) return callError("ERR_TIMEOUT", `no answer within ${timeoutMs} ms`);
  if (lane === undefined) return callError("ERR_NOT_LEADER", `no leader was found within ${timeoutMs} ms`);
  return callError("ERR_TIMEOUT", `no answer from ${lane.peer} within ${timeoutMs} ms`);
}

/** What is certain of one copy of a command is not of the command, while another may be under way. */
export function doubted(isDoubtful: boolean, error: RaftError): RaftError {
  if (!isDoubtful || error.outcome !== "not-applied") return error;
  const { code, message, cause, leader } = error;
  return callError(code, message, { outcome: "unknown", leader, ...(cause === undefined ? {} : { cause }) });
}

/** The caller's signal came. */
export function aborted(signal: AbortSignal): RaftError {
  return callError("ERR_ABORTED", "the call was aborted", { cause: signal.reason });
}

/** Nobody can say what becomes of a command, because of `cause`. */
export function unknownOutcome(message: string, cause: RaftError): RaftError {
  const text = `${message}; the command was handed over and may or may not be applied`;
  return callError("ERR_UNKNOWN_OUTCOME", text, { outcome: "unknown", cause });
}

/** The state machine threw at a command, which is applied all the same, or at a query; or refused it by itself. */
export function machineThrew(kind: Call["kind"], threw: Thrown): RaftError {
  if (threw.refusal !== undefined) {
    const { code, outcome } = threw.refusal;
    return callError(code, threw.message, { outcome });
  }
  const cause = withoutStack(() => new Error(threw.message));
  cause.name = threw.name;
  if (threw.stack !== undefined) cause.stack = threw.stack;
  const outcome = kind === "propose" ? "applied" : "not-applied";
  return callError("ERR_MACHINE_THREW", `the state machine threw ${threw.name}: ${threw.message}`, {
    outcome,
    cause,
  });
}

// Of commands in a session, which are sent again and again.

/** What the caller is told who waits no longer, because of `cause`. */
export function verdict(isDoubtful: boolean, cause: RaftError): RaftError {
  if (!isDoubtful) return cause;
  const message = `${cause.message}; the command was handed over and may or may not be applied, but not twice`;
  return callError("ERR_UNKNOWN_OUTCOME", message, { outcome: "unknown", cause });
}

/** The session that it belongs to has gone. */
export function expired(isDoubtful: boolean, message: string): RaftError {
  return callError("ERR_SESSION_EXPIRED", message, { outcome: isDoubtful ? "unknown" : "not-applied" });
}

/** What the cluster said of the last attempt; a call that was given up has it as its cause. */
export function causeOf(error: RaftError): RaftError {
  return error.cause instanceof RaftError ? error.cause : error;
}

/** Why a command was not delivered by its deadline, of which `error` is the end of the last attempt. */
export function overdue(timeoutMs: number, error: RaftError): RaftError {
  const cause = causeOf(error);
  // A gap is no more than a reason to send again.
  if (cause.code !== "ERR_SESSION_GAP") return cause;
  return callError("ERR_TIMEOUT", `not delivered within ${timeoutMs} ms: ${cause.message}`, { cause });
}
