import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { Applied } from "../machine/apply.ts";
import { decodeResults } from "../machine/codec.ts";
import {
  BATCH_HEADER_BYTES,
  type ByteRange,
  ENTRY_HEADER_BYTES,
  EntryKind,
  packRanges,
  rangeBytes,
} from "../raft/entry.ts";
import type { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { Numbered } from "./numbered.ts";
import {
  type AppliedEntry,
  type Consistency,
  type ErrorData,
  fromErrorData,
  type LaneReply,
  type LaneRequest,
  type TraceStep,
} from "./protocol.ts";
import { packQueries, QUERY_OVERHEAD_BYTES } from "./queries.ts";
import { withoutStack } from "./without-stack.ts";

/** Queries that leave together are answered together: so few that their answers fit into memory, however large each is. */
const MOST_QUERIES_TOGETHER = 64;
const MOST_BYTES_TOGETHER = 64 << 10;
/**
 * A message of commands is no longer than this, packed, unless it is of a single one. It is one record in each log, which a leader
 * that reads it from there, for a follower that has fallen behind, would have to cut, and so to copy, if it were longer than what
 * that is sent at once; and the peer looks up between two.
 */
const MOST_COMMAND_BYTES = 256 << 10;
/**
 * So many calls leave at once, before the turn is over: the peers write these while the app makes the others. Fewer would be
 * more rounds than they are worth.
 */
const ENOUGH_CALLS = 512;

/** Where a command or a query stands. */
export interface Call {
  readonly kind: "propose" | Consistency;
  readonly data: ByteRange;
  /** Whether the data is that of an entry in a client's session; it may then be sent more than once. */
  readonly inSession: boolean;
  /** Of a query: the entry that the answer must reflect at least. */
  readonly minIndex: number;
  /** Called when the command is in the leader's log. */
  readonly onAppended: ((at: { index: number; term: number }) => void) | undefined;
  /** Its number in the lane that it was sent by; undefined before. */
  id: number | undefined;
}

type Query<Called extends Call> = Called & { readonly kind: Consistency };

function isQuery<Called extends Call>(call: Called): call is Query<Called> {
  return call.kind !== "propose";
}

/** Who owns the lanes, and hears what comes back. */
export interface LaneOwner<Called extends Call> {
  /** Whom the peer takes for the leader. */
  onLeader(lane: Lane<Called>, term: number, leader: PeerId | undefined): void;
  /** Of a query, the index is that of the last entry that the answer reflects, and the term is 0. */
  onSettled(call: Called, result: Applied, index: number, term: number): void;
  /** The peer did not take the call: nothing has happened. */
  onRefused(call: Called, error: RaftError): void;
  onApplied(peer: PeerId, incarnation: number, entries: readonly AppliedEntry[]): void;
  onTrace(peer: PeerId, incarnation: number, steps: readonly TraceStep[]): void;
  /** The peer's thread has ended. `unsent` calls never reached it; what became of `sent` ones is not known. */
  onClosed(lane: Lane<Called>, unsent: readonly Called[], sent: readonly Called[]): void;
}

/**
 * The way from a client's thread to one start of a peer's. Calls of one turn of the event loop leave together, and the
 * peer's answers of one turn come back as one.
 */
export class Lane<Called extends Call = Call> {
  readonly peer: PeerId;
  readonly #port: MessagePort;
  readonly #owner: LaneOwner<Called>;
  readonly #ring: () => void;
  /** What is handed over at the end of this turn, at most. */
  #unsent: Called[] = [];
  #flushing: NodeJS.Immediate | undefined;
  /** The queries that the peer is to be told that nobody waits for any more, at the end of this turn. */
  #cancelled: number[] = [];
  /** By the number that each call has in this lane. */
  readonly #sent = new Numbered<Called>();
  /** How large the calls are that the peer has not answered, and nobody waits for any more. */
  readonly #abandoned = new Map<number, number>();
  #abandonedBytes = 0;
  /** Resolves when the peer's thread has ended and its last words were heard. */
  readonly closed: Promise<void>;
  #resolveClosed = () => {};
  #isClosed = false;

  /** @param ring tells the peer that there is mail. */
  constructor(peer: PeerId, port: MessagePort, ring: () => void, owner: LaneOwner<Called>) {
    this.peer = peer;
    this.#port = port;
    this.#ring = ring;
    this.#owner = owner;
    port.on("message", (replies: readonly LaneReply[]) => this.#onReplies(replies));
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    port.on("close", () => this.#onClose());
  }

  /**
   * How much the peer may have to do for nobody: a paused one answers nothing, and what it was sent lies in its inbox
   * though the callers have gone.
   */
  get abandonedBytes(): number {
    return this.#abandonedBytes;
  }

  /** The peer's thread has ended: hears its last words, and gives up what is left. */
  end(): void {
    for (let mail = receiveMessageOnPort(this.#port); mail !== undefined; mail = receiveMessageOnPort(this.#port)) {
      this.#onReplies(mail.message as readonly LaneReply[]);
    }
    this.#port.close();
    this.#onClose();
  }

  /** Hands a call over at the end of this turn of the event loop, or as soon as there are enough. */
  add(call: Called): void {
    this.#flushing ??= setImmediate(() => this.#flush());
    this.#unsent.push(call);
    if (this.#unsent.length >= ENOUGH_CALLS) this.#flush();
  }

  /** The caller does not wait for this call any more. @returns whether the peer may have got it. */
  forget(call: Called): boolean {
    const { id } = call;
    if (id !== undefined && this.#sent.get(id) === call) {
      this.#sent.take(id);
      const bytes = rangeBytes(call.data) + (call.kind === "propose" ? 0 : QUERY_OVERHEAD_BYTES);
      this.#abandoned.set(id, bytes);
      this.#abandonedBytes += bytes;
      if (call.kind !== "propose") this.#cancel(id);
      return true;
    }
    const place = this.#unsent.indexOf(call);
    if (place !== -1) this.#unsent.splice(place, 1);
    return false;
  }

  close(): void {
    this.#port.close();
  }

  /** Together: the peer looks through all its queries once for each message. */
  #cancel(id: number): void {
    if (this.#cancelled.length === 0) setImmediate(() => this.#postCancelled());
    this.#cancelled.push(id);
  }

  #postCancelled(): void {
    this.#post({ kind: "cancel", ids: this.#cancelled });
    this.#cancelled = [];
  }

  #flush(): void {
    clearImmediate(this.#flushing);
    this.#flushing = undefined;
    const calls = this.#takeUnsent();
    const commands = calls.filter(({ kind }) => kind === "propose");
    for (let at = 0, first = commands[0]; first !== undefined; first = commands[at]) {
      at = this.#postCommands(commands, at, first);
    }
    // Between commands each query would be a message by itself. All of them are under way together, so none is behind another.
    const queries = commands.length === calls.length ? [] : calls.filter(isQuery);
    for (let at = 0, first = queries[0]; first !== undefined; first = queries[at]) {
      at = this.#postQueries(queries, at, first);
    }
    this.#ring();
  }

  /** Posts the commands from `at` on that want the same. @returns where the first call stands that is not among them. */
  #postCommands(calls: readonly Called[], at: number, { inSession, onAppended }: Call): number {
    const tellAppended = onAppended !== undefined;
    const firstId = this.#sent.next;
    const data: ByteRange[] = [];
    let bytes = BATCH_HEADER_BYTES;
    for (; at < calls.length; at++) {
      const call = calls[at];
      if (call?.inSession !== inSession || (call.onAppended !== undefined) !== tellAppended) break;
      bytes += ENTRY_HEADER_BYTES + rangeBytes(call.data);
      if (bytes > MOST_COMMAND_BYTES && data.length > 0) break;
      call.id = this.#sent.add(call);
      data.push(call.data);
    }
    const packed = packRanges(inSession ? EntryKind.sessionCommand : EntryKind.command, data);
    this.#post({ kind: "propose", firstId, count: data.length, packed, tellAppended }, packed.buffer);
    return at;
  }

  /** Posts the queries from `at` on that want the same. @returns where the first call stands that is not among them. */
  #postQueries(calls: readonly Query<Called>[], at: number, { kind: consistency, minIndex }: Query<Called>): number {
    const firstId = this.#sent.next;
    const queries: ByteRange[] = [];
    let bytes = 0;
    for (; at < calls.length && queries.length < MOST_QUERIES_TOGETHER && bytes < MOST_BYTES_TOGETHER; at++) {
      const call = calls[at];
      if (call?.kind !== consistency || call.minIndex !== minIndex) break;
      call.id = this.#sent.add(call);
      queries.push(call.data);
      bytes += rangeBytes(call.data);
    }
    const packed = packQueries(queries);
    this.#post({ kind: "query", firstId, count: queries.length, packed, consistency, minIndex }, packed.buffer);
    return at;
  }

  #takeUnsent(): readonly Called[] {
    const unsent = this.#unsent;
    this.#unsent = [];
    return unsent;
  }

  #post(request: LaneRequest, ...transfer: ArrayBufferLike[]): void {
    this.#port.postMessage(request, transfer as ArrayBuffer[]);
  }

  #onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const unsent = this.#takeUnsent();
    const sent = this.#sent.values();
    this.#sent.clear();
    this.#owner.onClosed(this, unsent, sent);
    this.#resolveClosed();
  }

  #onReplies(replies: readonly LaneReply[]): void {
    for (const reply of replies) this.#onReply(reply);
  }

  #onReply(reply: LaneReply): void {
    switch (reply.kind) {
      case "leader":
        this.#owner.onLeader(this, reply.term, reply.leader);
        break;
      case "appended":
        for (let i = 0; i < reply.count; i++) {
          const call = this.#sent.get(reply.firstId + i);
          if (call !== undefined) tellAppended(call, reply.index + i, reply.term);
        }
        break;
      case "results": {
        const results = decodeResults(reply.results);
        for (const [i, result] of results.entries()) {
          this.#settle(reply.firstId + i, result, reply.index + i, reply.term);
        }
        break;
      }
      case "answers":
        for (const [i, answer] of decodeResults(reply.answers).entries()) {
          this.#settle(reply.firstId + i, answer, reply.index, 0);
        }
        break;
      case "refused":
        this.#refuse(reply.firstId, reply.count, reply.error);
        break;
      case "applied":
        this.#owner.onApplied(this.peer, reply.incarnation, reply.entries);
        break;
      case "trace":
        this.#owner.onTrace(this.peer, reply.incarnation, reply.steps);
        break;
      default:
        reply satisfies never;
    }
  }

  /** The peer has answered what nobody waits for. */
  #clear(id: number): void {
    if (this.#abandoned.size === 0) return;
    this.#abandonedBytes -= this.#abandoned.get(id) ?? 0;
    this.#abandoned.delete(id);
  }

  #settle(id: number, result: Applied, index: number, term: number): void {
    this.#clear(id);
    const call = this.#sent.take(id);
    if (call !== undefined) this.#owner.onSettled(call, result, index, term);
  }

  #refuse(firstId: number, count: number, error: ErrorData): void {
    for (let id = firstId; id < firstId + count; id++) {
      this.#clear(id);
      const call = this.#sent.take(id);
      if (call !== undefined)
        this.#owner.onRefused(
          call,
          withoutStack(() => fromErrorData(error)),
        );
    }
  }
}

/** What the caller's function throws is the caller's to see, but must not keep the replies behind this one from others. */
function tellAppended({ onAppended }: Call, index: number, term: number): void {
  try {
    onAppended?.({ index, term });
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
