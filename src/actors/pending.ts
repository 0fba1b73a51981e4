import { Fifo } from "../raft/fifo.ts";
import type { Appended } from "../raft/raft.ts";
import type { ErrorData, LaneReply } from "./protocol.ts";

/** Commands of one client that went into the log together. */
interface Waiting<Result> {
  readonly client: number;
  /** Of the first that has no answer; so is the index. */
  firstId: number;
  firstIndex: number;
  readonly lastIndex: number;
  readonly term: number;
  readonly bytes: number;
  /** Of the commands from the first on, as they are applied. */
  results: Result[];
}

/** What to tell a client. */
export interface Answer {
  readonly client: number;
  readonly reply: LaneReply;
}

/**
 * The commands that this peer took as the leader and has not answered. A command is answered when its entry is applied,
 * or it is certain that it never will be: another is applied at its index, or, wherever that is, one of a later term, which all
 * later leaders have (§5.4.3), and behind which no log has entries of earlier terms. Losing the leadership alone answers nothing,
 * since the entry may still be committed by the next leader.
 */
export class PendingCommands<Result> {
  /** Ascending, none overlap. */
  readonly #queue = new Fifo<Waiting<Result>>();
  /** Of earlier terms of this peer as a leader, when their indices were given away again. */
  #former: Waiting<Result>[] = [];
  #bytes = 0;
  /** Of the entry that was applied last. Nothing that waits is of an earlier one. */
  #appliedTerm = 0;
  readonly #encode: (results: Result[]) => Uint8Array;

  constructor(encode: (results: Result[]) => Uint8Array) {
    this.#encode = encode;
  }

  /** How large all of them are together: those that are appended and not applied, for whoever waits. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @param bytes how large the commands are. */
  add(client: number, firstId: number, { firstIndex, lastIndex, term }: Appended, bytes: number): void {
    this.#bytes += bytes;
    if ((this.#queue.last?.lastIndex ?? 0) >= firstIndex) {
      for (const waiting of this.#queue) if (waiting.lastIndex >= firstIndex) this.#former.push(waiting);
      this.#queue.keep((waiting) => waiting.lastIndex < firstIndex);
    }
    this.#queue.push({ client, firstId, firstIndex, lastIndex, term, bytes, results: [] });
  }

  /** The entry at `index`, of `term`, was applied, in order. Pushes what is to be told onto `answers`. */
  applied(index: number, term: number, result: Result, answers: Answer[]): void {
    if (term > this.#appliedTerm) this.#beginTerm(term, answers);
    const head = this.#queue.first;
    if (head !== undefined && head.firstIndex <= index && this.#settle(head, index, term, result, answers)) {
      this.#queue.shift();
    }
    if (this.#former.length > 0) {
      this.#former = this.#former.filter(
        (waiting) => waiting.firstIndex > index || !this.#settle(waiting, index, term, result, answers),
      );
    }
  }

  /** Tells of what was applied, when others that came with it are still to be. */
  takeResults(answers: Answer[]): void {
    const head = this.#queue.first;
    if (head !== undefined) this.#tellResults(head, answers);
  }

  /** The state came by a snapshot of the leader, which ends with this entry: nobody here knows what became of those up to it. */
  coveredBySnapshot({ index, term }: { readonly index: number; readonly term: number }, answers: Answer[]): void {
    this.#giveUpAll((waiting) => waiting.firstIndex <= index, covered, answers);
    if (term > this.#appliedTerm) this.#beginTerm(term, answers);
  }

  #beginTerm(term: number, answers: Answer[]): void {
    this.#appliedTerm = term;
    const error = (waiting: Waiting<Result>) => superseded(waiting, term);
    this.#giveUpAll((waiting) => waiting.term < term, error, answers);
  }

  /** @returns whether all of `waiting` has its answer. */
  #settle(waiting: Waiting<Result>, index: number, term: number, result: Result, answers: Answer[]): boolean {
    if (waiting.term !== term) {
      this.#giveUp(waiting, (left) => superseded(left, term), answers);
      return true;
    }
    waiting.results.push(result);
    if (index < waiting.lastIndex) return false;
    this.#bytes -= waiting.bytes;
    this.#tellResults(waiting, answers);
    return true;
  }

  #giveUpAll(
    which: (waiting: Waiting<Result>) => boolean,
    error: (left: Waiting<Result>) => ErrorData,
    answers: Answer[],
  ): void {
    for (const waiting of [...this.#former, ...this.#queue].filter(which)) this.#giveUp(waiting, error, answers);
    this.#former = this.#former.filter((waiting) => !which(waiting));
    this.#queue.keep((waiting) => !which(waiting));
  }

  /** Answers those that were applied with their results, and the others with an error. */
  #giveUp(waiting: Waiting<Result>, error: (left: Waiting<Result>) => ErrorData, answers: Answer[]): void {
    this.#bytes -= waiting.bytes;
    this.#tellResults(waiting, answers);
    const { client, firstId, firstIndex, lastIndex } = waiting;
    const count = lastIndex - firstIndex + 1;
    answers.push({ client, reply: { kind: "refused", firstId, count, error: error(waiting) } });
  }

  #tellResults(waiting: Waiting<Result>, answers: Answer[]): void {
    const { client, firstId, firstIndex: index, term } = waiting;
    const count = waiting.results.length;
    if (count === 0) return;
    const results = this.#encode(waiting.results);
    waiting.results = [];
    waiting.firstId += count;
    waiting.firstIndex += count;
    answers.push({ client, reply: { kind: "results", firstId, count, index, term, results } });
  }
}

function superseded({ firstIndex, term }: Waiting<unknown>, byTerm: number): ErrorData {
  const message = `entry ${firstIndex} of term ${term} gave way to one of term ${byTerm}`;
  return { code: "ERR_SUPERSEDED", message, outcome: "not-applied" };
}

function covered({ firstIndex }: Waiting<unknown>): ErrorData {
  const message = `entry ${firstIndex} is behind a snapshot; its command may or may not be applied`;
  return { code: "ERR_UNKNOWN_OUTCOME", message, outcome: "unknown" };
}
