/** What went wrong, for programs. Each code says in {@link RaftError.outcome} what became of the command. */
export type RaftErrorCode =
  /** The peer does not lead, or no leader was found in time. Nothing was appended: try again. */
  | "ERR_NOT_LEADER"
  /** Too much is waiting already. Nothing was appended: try again later. */
  | "ERR_OVERLOADED"
  /** Handed over, and then a time-out, an abort, a crash: it may or may not be applied, now or later. See `cause`. */
  | "ERR_UNKNOWN_OUTCOME"
  /** Appended, but another leader's entry was committed in its place: certainly not applied. */
  | "ERR_SUPERSEDED"
  /** `apply` or `query` of the state machine threw. For a command this is its result, the same on every peer. */
  | "ERR_MACHINE_THREW"
  /** A call of the state machine did not return within `stuckMs`: the peer's thread was ended. */
  | "ERR_MACHINE_STUCK"
  /** The client's session has expired, or had to make room: see `outcome` for the command. The next one opens another. */
  | "ERR_SESSION_EXPIRED"
  /** The session belongs to another client, or the command's result was given up already. Nothing is executed twice. */
  | "ERR_SESSION_CONFLICT"
  /** An earlier command of the session is missing: not applied. A session sends both again by itself. */
  | "ERR_SESSION_GAP"
  /** What is asked for, from an index on, is not kept any more; see `firstIndex`. */
  | "ERR_COMPACTED"
  /** A query, or a command that was not handed over yet, was not answered in time. */
  | "ERR_TIMEOUT"
  /** The signal was aborted before the command was handed over. */
  | "ERR_ABORTED"
  /** The command or query cannot be encoded, or is larger than the limit. */
  | "ERR_INVALID_COMMAND"
  /** An option is misspelt or out of range; the message quotes it. */
  | "ERR_INVALID_OPTION"
  /** A name that is no peer of this cluster. */
  | "ERR_UNKNOWN_PEER"
  /** The peer is not running. */
  | "ERR_PEER_DOWN"
  /** The peer died too often, or at the same command again and again, and is not restarted any more. */
  | "ERR_GIVEN_UP"
  /** The peer's thread could not be stopped within the time allowed: it hangs in native code. */
  | "ERR_WEDGED"
  /** The module of the state machine is missing, exports no class, or failed while it was made. */
  | "ERR_MACHINE_MODULE"
  /** The supervisor, the peer or its thread has stopped. */
  | "ERR_STOPPED"
  /** A record failed its checksum or does not fit its neighbours. */
  | "ERR_STORAGE_CORRUPT"
  /** A store that was there is gone, or belongs to another peer or cluster. */
  | "ERR_STORAGE_LOST"
  /** The disk has no room. A peer that met it waits until there is some, and comes back by itself. */
  | "ERR_STORAGE_FULL"
  /** The disk refused: unwritable, failing. */
  | "ERR_STORAGE_FAILED"
  /** Another supervisor has this directory open. */
  | "ERR_DIRECTORY_IN_USE"
  /** A history of calls makes no sense; the message says where. */
  | "ERR_INVALID_HISTORY";

/**
 * What the caller may assume of its command: certainly not applied and never to be; applied (the state machine
 * refused it by throwing); or unknown.
 */
export type Outcome = "not-applied" | "applied" | "unknown";

/** Whatever may be said beside the message of a {@link RaftError}. */
export interface RaftErrorInfo {
  /** Default `not-applied`. */
  readonly outcome?: Outcome;
  readonly cause?: unknown;
  /** The leader as far as the one who refused knows; only with `ERR_NOT_LEADER`. */
  readonly leader?: string | undefined;
  /** The first index that is left; only with `ERR_COMPACTED`. */
  readonly firstIndex?: number | undefined;
}

/**
 * Every error that flotilla makes. That of a call which fails later, or is too much, has no stack: to capture one takes longer
 * than all else about it, and of the caller it would show nothing.
 */
export class RaftError extends Error {
  override readonly name = "RaftError";
  readonly code: RaftErrorCode;
  readonly outcome: Outcome;
  readonly leader: string | undefined;
  readonly firstIndex: number | undefined;

  constructor(code: RaftErrorCode, message: string, info: RaftErrorInfo = {}) {
    super(message, "cause" in info ? { cause: info.cause } : undefined);
    this.code = code;
    this.outcome = info.outcome ?? "not-applied";
    this.leader = info.leader;
    this.firstIndex = info.firstIndex;
  }
}

/** A rule that the algorithm relies on does not hold. The peer must stop: what it would do next is not safe. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/** Throws an {@link InvariantError} unless `condition` holds. */
export function invariant(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new InvariantError(message());
}
