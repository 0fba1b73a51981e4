import type { Thrown } from "../machine/apply.ts";
import { RaftError } from "../raft/errors.ts";
import type { Call, Lane } from "./lane.ts";

// How a call may end that did not come to a result.

/** What is looked at of a call whose time is over. */
interface Late {
  /** Where it was handed over. */
  readonly lane: Lane | undefined;
  readonly isLost: boolean;
  readonly timeoutMs: number;
}

export function timedOut({ lane, isLost, timeoutMs }: Late): RaftError {
  if (isLost) return new RaftError("ERR_TIMEOUT", `no answer within ${timeoutMs} ms`);
  if (lane === undefined) return new RaftError("ERR_NOT_LEADER", `no leader was found within ${timeoutMs} ms`);
  return new RaftError("ERR_TIMEOUT", `no answer from ${lane.peer} within ${timeoutMs} ms`);
}

/** What is certain of one copy of a command is not of the command, while another may be under way. */
export function doubted(isDoubtful: boolean, error: RaftError): RaftError {
  if (!isDoubtful || error.outcome !== "not-applied") return error;
  const { code, message, cause, leader } = error;
  return new RaftError(code, message, { outcome: "unknown", leader, ...(cause === undefined ? {} : { cause }) });
}

export function aborted(signal: AbortSignal): RaftError {
  return new RaftError("ERR_ABORTED", "the call was aborted", { cause: signal.reason });
}

export function unknownOutcome(message: string, cause: RaftError): RaftError {
  const text = `${message}; the command was handed over and may or may not be applied`;
  return new RaftError("ERR_UNKNOWN_OUTCOME", text, { outcome: "unknown", cause });
}

export function machineThrew(kind: Call["kind"], threw: Thrown): RaftError {
  if (threw.refusal !== undefined) {
    const { code, outcome } = threw.refusal;
    return new RaftError(code, threw.message, { outcome });
  }
  const cause = new Error(threw.message);
  cause.name = threw.name;
  if (threw.stack !== undefined) cause.stack = threw.stack;
  const outcome = kind === "propose" ? "applied" : "not-applied";
  return new RaftError("ERR_MACHINE_THREW", `the state machine threw ${threw.name}: ${threw.message}`, {
    outcome,
    cause,
  });
}
