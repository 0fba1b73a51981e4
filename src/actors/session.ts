import { randomInt } from "node:crypto";
import { performance } from "node:perf_hooks";
import { inspect } from "node:util";
import { encodeBehind } from "../machine/codec.ts";
import { MAX_RESULTS, packOpenSession, SESSION_HEADER_BYTES, writeSessionHeader } from "../machine/sessions.ts";
import { type ByteRange, rangeBytes, wholeOf } from "../raft/entry.ts";
import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { whenAborted } from "./abort.ts";
import { aborted, callError, causeOf, expired, overdue, verdict } from "./call-errors.ts";
import { invalidTimeout } from "./call-options.ts";
import { nextLook } from "./deadlines.ts";
import { Numbered } from "./numbered.ts";
import type { Proposed, QueryOptions, WaitOptions } from "./peer-handle.ts";
import { BACKOFF_MS, type Command, newCommand, type Opened, settle } from "./session-command.ts";
import type { SessionHost, SessionOptions } from "./session-options.ts";
import { queryInSession } from "./session-query.ts";
import type { CallResult } from "./waiting-call.ts";

const HOUR_MS = 3_600_000;
/** How many times the first wait for an answer the longest one is, before it is asked again. */
const MOST_PATIENCE = 8;
/** The same of a session that is opened: what came of an attempt that was given up is not known any more. */
const MOST_PATIENCE_TO_OPEN = 64;
/** So much is sent without an answer, but at least one command: to each new leader all of it goes again. */
const WINDOW_BYTES = 8 << 20;
const NO_COMMAND: ByteRange = wholeOf(new Uint8Array());

/**
 * A client's session (dissertation 6.3): a command that is proposed in it is carried out once, however often it has to be
 * sent, and its commands are carried out in the order in which they were proposed. It goes on sending through changes of
 * leadership, crashes and lost messages until the command's deadline.
 *
 * It lives as long as the process that made it. No other can take it up: whoever gave a number to another command than the
 * first one did would be given the first one's result.
 *
 * What a session has seen it does not unsee: its queries, local ones too, reflect all that its commands and queries before
 * have shown.
 */
export class Session {
  readonly #host: SessionHost;
  readonly #client: string | undefined;
  readonly #via: ReadonlySet<PeerId> | undefined;
  readonly #expireMs: number;
  /** Not numbered yet: the session is being opened, or has as many commands under way as it may. */
  readonly #waiting = new Numbered<Command>();
  /** Of those that are not under way, none has an earlier one. */
  #earliestDeadline = Number.POSITIVE_INFINITY;
  /** Of all commands that are not under way, be it for the first time or again. */
  #heldBytes = 0;
  /** Of those that are numbered. */
  #windowBytes = 0;
  #opened: Opened | undefined;
  #isOpening = false;
  #openRetryMs = 0;
  /** By the wall clock, as the leader's time stamps are, by which the session expires. */
  #lastUsed = 0;
  #seen = 0;
  #isScheduled = false;
  #isTurnAwaited = false;
  #attempts = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @internal Use `supervisor.session()`. */
  constructor(host: SessionHost, { client, via, expireMs = HOUR_MS }: SessionOptions) {
    if (typeof expireMs !== "number" || !(expireMs >= 1)) {
      const message = `expireMs: expected a number of milliseconds, 1 or more, got ${inspect(expireMs)}`;
      throw new RaftError("ERR_INVALID_OPTION", message);
    }
    this.#host = host;
    this.#client = client;
    this.#via = via === undefined ? undefined : new Set(via);
    this.#expireMs = expireMs;
  }

  /** The latest entry that this session's results and answers reflect. */
  get lastSeen(): number {
    return this.#seen;
  }

  /**
   * Has a command carried out exactly once. Commands that are proposed without waiting are carried out in their order; one
   * that cannot be delivered holds back those behind it.
   * @throws RaftError `ERR_UNKNOWN_OUTCOME` when the deadline passes, or the signal comes, while an attempt may still come
   * to something; `ERR_SESSION_EXPIRED` with `outcome` when the session was gone; `ERR_OVERLOADED` at once, not applied.
   */
  async propose<Result = unknown>(
    command: unknown,
    { signal, timeoutMs = this.#host.defaultTimeoutMs }: Omit<WaitOptions, "client"> = {},
  ): Promise<Proposed<Result>> {
    const data = encodeBehind(SESSION_HEADER_BYTES, command, "command", this.#host.maxCommandBytes);
    const invalid = invalidTimeout(timeoutMs);
    if (invalid !== undefined) throw invalid;
    if (signal?.aborted) throw aborted(signal);
    const overloaded = this.#host.proposer.overloaded(this.#heldBytes + rangeBytes(data), this.#waiting.size);
    if (overloaded !== undefined) {
      // By when the caller listens; see Proposer.submit.
      await undefined;
      throw overloaded;
    }
    return new Promise<Proposed<Result>>((resolve, reject) => {
      const command = newCommand({ data, timeoutMs, signal, retryMs: this.#host.retryMs, resolve, reject });
      if (signal !== undefined) {
        command.onAbort = () => !command.isUnderWay && this.#giveUp(command, "ERR_ABORTED", "the call was aborted");
        whenAborted(signal, command.onAbort);
      }
      command.place = this.#waiting.add(command);
      this.#earliestDeadline = Math.min(this.#earliestDeadline, command.deadline);
      this.#heldBytes += rangeBytes(data);
      this.#schedule();
    });
  }

  /** Asks the state machine, which has by then whatever this session has seen before. */
  async query<Answer = unknown>(query: unknown, options: Omit<QueryOptions, "client"> = {}): Promise<Answer> {
    return (await this.read<Answer>(query, options)).answer;
  }

  /** {@link query}, with the latest entry that the answer reflects. */
  async read<Answer = unknown>(
    query: unknown,
    options: Omit<QueryOptions, "client"> = {},
  ): Promise<{ readonly answer: Answer; readonly index: number }> {
    const asker = { client: this.#client, via: this.#via && [...this.#via], seen: this.#seen };
    const { result, index } = await queryInSession(this.#host, query, options, asker);
    this.#seen = Math.max(this.#seen, index);
    return { answer: result as Answer, index };
  }

  /** Once for all calls of this turn. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#pump();
    });
  }

  /** When the other answers of this turn of the event loop are in, once for all of them. */
  #scheduleNextTurn(): void {
    if (this.#isTurnAwaited) return;
    this.#isTurnAwaited = true;
    setImmediate(() => {
      this.#isTurnAwaited = false;
      this.#schedule();
    });
  }

  /** Sends what may be sent, in order: what was sent before and must be sent again, then what waits. */
  #pump(): void {
    const now = performance.now();
    if (now >= this.#earliestDeadline) this.#dropOverdue(now);
    const opened = this.#usable();
    if (opened === undefined) {
      if (this.#waiting.size > 0) this.#open();
    } else {
      this.#takeForLost(opened, now);
      const { window } = opened;
      while (window.length < MAX_RESULTS && this.#windowBytes < WINDOW_BYTES) {
        const next = this.#waiting.takeFirst();
        if (next === undefined) break;
        if (next.deadline <= now) {
          this.#giveUp(next, "ERR_TIMEOUT", `not delivered within ${next.timeoutMs} ms`);
          continue;
        }
        this.#windowBytes += rangeBytes(next.data);
        next.sequence = opened.nextSequence++;
        window.push(next);
      }
      for (const command of this.#isWanted(opened) ? window : []) {
        if (command.isAnswered || command.isUnderWay) continue;
        // What is behind it would only be refused for the gap.
        if (command.retryAt > now) break;
        this.#send(opened, command);
      }
    }
    this.#arm(now);
  }

  /** Whether anybody waits for what is in the window, or for room in it: then what was given up goes again too, as a number. */
  #isWanted({ window }: Opened): boolean {
    return this.#waiting.size > 0 || window.some(({ isSettled }) => !isSettled);
  }

  /** The session, if it can be taken for granted that the cluster still has it; not when it was idle for long. */
  #usable(): Opened | undefined {
    const now = Date.now();
    const isIdle = this.#opened?.window.every(({ isSettled }) => isSettled);
    if (isIdle && now - this.#lastUsed > this.#expireMs / 2) this.#opened = undefined;
    if (this.#waiting.size > 0) this.#lastUsed = now;
    return this.#opened;
  }

  /** Opening one twice by mistake is harmless: nobody knows of the other, and it expires. */
  #open(): void {
    if (this.#isOpening) return;
    this.#isOpening = true;
    const owner = randomInt(2 ** 48 - 1);
    this.#openRetryMs = Math.min(
      this.#host.retryMs * MOST_PATIENCE_TO_OPEN,
      Math.max(this.#host.retryMs, this.#openRetryMs * 2),
    );
    this.#submit(wholeOf(packOpenSession(owner, this.#expireMs)), this.#openRetryMs, undefined).then(
      ({ result, index }) => {
        this.#isOpening = false;
        this.#openRetryMs = 0;
        this.#seen = Math.max(this.#seen, index);
        this.#opened = { id: Number(result), owner, nextSequence: 1, window: [] };
        // However long that took: one that counted from before would be opened again and again, and never used.
        this.#lastUsed = Date.now();
        this.#pump();
      },
      (error: RaftError) => {
        this.#isOpening = false;
        if (error.code === "ERR_STOPPED") for (const command of this.#takeWaiting()) settle(command, error);
        else setTimeout(() => this.#pump(), BACKOFF_MS[0]);
      },
    );
  }

  #send(opened: Opened, command: Command): void {
    const { id: session, owner, window } = opened;
    const { sequence, deadline, isSettled, retryMs } = command;
    const now = performance.now();
    const acknowledged = window[0]?.sequence ?? sequence;
    const { bytes, start, end } = command.data === NO_COMMAND ? emptyCommand() : command.data;
    // Again in the same place when it is sent again: nobody reads the attempt before any more, or reads no worse from this one.
    writeSessionHeader(bytes, start, { session, sequence, acknowledged, owner });
    const data = { bytes, start: start - SESSION_HEADER_BYTES, end };
    // A late answer is as good as any: a cluster that is slow would never be done if each attempt had to be in time.
    const timeoutMs = isSettled ? retryMs * MOST_PATIENCE : Math.max(0, deadline - now);
    const attempt = ++this.#attempts;
    command.attempt = attempt;
    command.retryAt = now + retryMs;
    this.#setUnderWay(command, true);
    this.#submit(data, timeoutMs, isSettled ? undefined : command.signal).then(
      (result) => {
        this.#seen = Math.max(this.#seen, result.index);
        this.#answered(opened, command, result);
      },
      (error: RaftError) => this.#failed(opened, command, attempt, error),
    );
  }

  /** What has no answer by now is sent again. */
  #takeForLost({ window }: Opened, now: number): void {
    for (const command of window) {
      if (!command.isUnderWay || command.retryAt > now) continue;
      this.#callBack(command);
      command.retryMs = Math.min(this.#host.retryMs * MOST_PATIENCE, command.retryMs * 2);
    }
  }

  #submit(data: ByteRange, timeoutMs: number, signal: AbortSignal | undefined): Promise<CallResult> {
    const { proposer } = this.#host;
    const [client, via] = [this.#client, this.#via];
    const route = { to: undefined, timeoutMs, signal, onAppended: undefined, inSession: true, client, via };
    return proposer.submit("propose", data, route);
  }

  /** What became of the attempt that is under way is not waited for. */
  #callBack(command: Command): void {
    this.#setUnderWay(command, false);
    command.isDoubtful = true;
    if (!command.isSettled) this.#earliestDeadline = Math.min(this.#earliestDeadline, command.deadline);
  }

  #setUnderWay(command: Command, isUnderWay: boolean): void {
    if (command.isUnderWay === isUnderWay) return;
    command.isUnderWay = isUnderWay;
    this.#heldBytes += isUnderWay ? -rangeBytes(command.data) : rangeBytes(command.data);
  }

  /** A command that is not under way will not be sent again, or with its number only. */
  #dropData(command: Command): void {
    const bytes = rangeBytes(command.data);
    this.#heldBytes -= bytes;
    if (command.sequence > 0) this.#windowBytes -= bytes;
    command.data = NO_COMMAND;
  }

  #answered(opened: Opened, command: Command, result: Proposed | RaftError): void {
    if (command.isAnswered) return;
    this.#setUnderWay(command, false);
    this.#dropData(command);
    command.isAnswered = true;
    if (!command.isSettled) settle(command, result);
    const { window } = opened;
    while (window[0]?.isAnswered) window.shift();
    if (this.#waiting.size > 0) this.#schedule();
  }

  #failed(opened: Opened, command: Command, attempt: number, error: RaftError): void {
    command.isDoubtful ||= error.outcome === "unknown";
    if (command.isAnswered || attempt !== command.attempt) return;
    this.#setUnderWay(command, false);
    switch (error.code) {
      case "ERR_MACHINE_THREW":
      case "ERR_SESSION_CONFLICT":
      case "ERR_INVALID_COMMAND":
        this.#answered(opened, command, error);
        return;
      case "ERR_SESSION_EXPIRED":
        this.#expired(opened, command, error);
        return;
      case "ERR_STOPPED":
        this.#answered(opened, command, verdict(command.isDoubtful, error));
        return;
      default:
    }
    const isOverdue = performance.now() >= command.deadline;
    if (!command.isSettled && (isOverdue || command.signal?.aborted)) {
      settle(command, verdict(command.isDoubtful, isOverdue ? overdue(command.timeoutMs, error) : causeOf(error)));
      this.#dropData(command);
    }
    if (this.#opened !== opened) {
      this.#answered(opened, command, expired(command.isDoubtful, `the session expired meanwhile: ${error.message}`));
      return;
    }
    // It was not there in time, rather than refused.
    const isLost = error.code === "ERR_UNKNOWN_OUTCOME" || error.code === "ERR_NOT_LEADER";
    if (isLost) command.retryMs = Math.min(this.#host.retryMs * MOST_PATIENCE, command.retryMs * 2);
    else if (error.code === "ERR_SESSION_GAP" && opened.window[0] !== command) this.#fillGap(opened, command);
    else {
      command.retryAt = performance.now() + command.backoffMs;
      command.backoffMs = Math.min(BACKOFF_MS[1], command.backoffMs * 2);
    }
    // The others that came to the same end come first: all go again together, and in order.
    this.#scheduleNextTurn();
  }

  /** A command arrived before one that had been sent earlier: that one is lost, or late, and goes again. */
  #fillGap({ window }: Opened, { sequence, attempt }: Command): void {
    for (const earlier of window) {
      if (earlier.sequence >= sequence) return;
      if (!earlier.isUnderWay || earlier.attempt > attempt) continue;
      this.#callBack(earlier);
    }
  }

  /** Whatever else of this session is under way finds it gone as well. */
  #expired(opened: Opened, command: Command, error: RaftError): void {
    if (this.#opened === opened) this.#opened = undefined;
    for (const other of [...opened.window]) {
      if (other === command || !other.isUnderWay)
        this.#answered(opened, other, expired(other.isDoubtful, error.message));
    }
    this.#pump();
  }

  /** The caller of a command that is not under way waits no longer. Its number stays taken, for nothing. */
  #giveUp(command: Command, code: "ERR_ABORTED" | "ERR_TIMEOUT", message: string): void {
    const { signal } = command;
    const cause = callError(code, message, signal?.aborted ? { cause: signal.reason } : {});
    settle(command, verdict(command.isDoubtful, cause));
    if (command.sequence === 0) this.#waiting.take(command.place);
    this.#dropData(command);
  }

  #takeWaiting(): Command[] {
    const taken = this.#waiting.values();
    this.#waiting.clear();
    for (const command of taken) this.#dropData(command);
    return taken;
  }

  /** Those under way find out by themselves. */
  #dropOverdue(now: number): void {
    const overdue: Command[] = [];
    let earliest = Number.POSITIVE_INFINITY;
    for (const command of [...(this.#opened?.window ?? []), ...this.#waiting.values()]) {
      if (command.isSettled) continue;
      if (command.deadline > now) earliest = Math.min(earliest, command.deadline);
      else if (!command.isUnderWay) overdue.push(command);
    }
    this.#earliestDeadline = nextLook(earliest, now);
    for (const command of overdue) this.#giveUp(command, "ERR_TIMEOUT", `not delivered within ${command.timeoutMs} ms`);
  }

  /** Comes back when a command may be sent again, or must not be waited for any longer. */
  #arm(now: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    let next = this.#waiting.size > 0 ? this.#earliestDeadline : Number.POSITIVE_INFINITY;
    // Nothing is sent before the first that may be sent again.
    let isFirst = this.#opened !== undefined && this.#isWanted(this.#opened);
    for (const { isAnswered, isUnderWay, isSettled, retryAt } of this.#opened?.window ?? []) {
      if (isAnswered) continue;
      if (isUnderWay || isFirst) next = Math.min(next, isUnderWay ? retryAt : Math.max(retryAt, now + 1));
      if (isUnderWay) continue;
      isFirst = false;
      if (!isSettled) next = Math.min(next, this.#earliestDeadline);
    }
    if (next === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#pump(), Math.min(2 ** 31 - 1, Math.max(1, Math.ceil(next - now))));
  }
}

/** Of one whose number only is to be used up. */
function emptyCommand(): ByteRange {
  return { bytes: new Uint8Array(SESSION_HEADER_BYTES), start: SESSION_HEADER_BYTES, end: SESSION_HEADER_BYTES };
}
