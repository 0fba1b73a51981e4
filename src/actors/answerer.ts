import type { Applied } from "../machine/apply.ts";
import { encodeResults } from "../machine/codec.ts";
import type { ErrorData } from "./protocol.ts";
import { type Queries, queryReader, type WaitingQueries } from "./queries.ts";
import type { Replica } from "./replica.ts";
import type { Replies } from "./replies.ts";

/**
 * How long one turn answers queries, about; the others wait until the mail that came in meanwhile is handled. Thousands of
 * scans may become ready at once, and a leader that answers them all is one that nobody hears of for seconds.
 */
const ANSWER_MS_PER_TURN = 5;
/** How much of that goes to what must be done before some of them, so that others do not wait for it. */
const PREPARE_MS_PER_TURN = 2.5;
/** After so long what there is of a batch goes as an answer of its own: so much is encoded at once. */
const MOST_MS_AN_ANSWER = 1;

/** What surrounds it. */
export interface AnswererOptions {
  readonly replica: Pick<Replica, "lastApplied" | "answer" | "doStep">;
  readonly queries: Queries;
  readonly replies: Replies;
  readonly now: () => number;
}

const SKIPPED: Applied = { result: undefined, threw: undefined };

/** Asks the state machine what clients ask, as far as it has come. */
export class Answerer {
  readonly #options: AnswererOptions;

  constructor(options: AnswererOptions) {
    this.#options = options;
  }

  /** Whether there is anything to do for queries that are within reach. */
  get isBusy(): boolean {
    const { queries, replica } = this.#options;
    return queries.firstReady(replica.lastApplied) !== undefined || queries.work !== undefined;
  }

  /** The client does not wait for these queries any more. */
  cancel(client: number, ids: readonly number[]): void {
    const { queries, replies } = this.#options;
    const error: ErrorData = { code: "ERR_ABORTED", message: "nobody waits for it", outcome: "not-applied" };
    for (const firstId of queries.cancel(client, new Set(ids))) {
      replies.add(client, { kind: "refused", firstId, count: 1, error });
    }
  }

  /** Answers the queries that are within reach. @returns false when time ran out. */
  answer(): boolean {
    if (!this.isBusy) return true;
    const { replica, queries, now } = this.#options;
    const began = now();
    this.#prepare(began + PREPARE_MS_PER_TURN);
    for (let waiting = queries.firstReady(replica.lastApplied); waiting !== undefined; ) {
      this.#answerSome(waiting);
      if (waiting.answered === waiting.batch.count) queries.done();
      if (now() >= began + ANSWER_MS_PER_TURN) return false;
      waiting = queries.firstReady(replica.lastApplied);
    }
    return queries.work === undefined;
  }

  #prepare(until: number): void {
    const { replica, queries, now } = this.#options;
    for (let { work } = queries; work !== undefined; { work } = queries) {
      if (replica.doStep(work)) queries.workDone();
      if (now() >= until) return;
    }
  }

  /** As many as there is time for at once, and none behind one that must be prepared for. */
  #answerSome(waiting: WaitingQueries): void {
    const { replica, queries, replies, now } = this.#options;
    const { cancelled, isPrepared } = waiting;
    const { client, firstId: batchId } = waiting.batch;
    const until = now() + MOST_MS_AN_ANSWER;
    const firstId = batchId + waiting.answered;
    const reader = queryReader(waiting.batch, waiting.answered);
    const answers: Applied[] = [];
    while (reader.next()) {
      const id = batchId + waiting.answered++;
      const answer = cancelled.delete(id) ? SKIPPED : replica.answer(reader.data, isPrepared);
      if ("work" in answer) {
        queries.setAside(client, id, reader.data, answer.work);
        break;
      }
      answers.push(answer);
      if (now() >= until) break;
    }
    if (answers.length === 0) return;
    replies.add(client, { kind: "answers", firstId, answers: encodeResults(answers), index: replica.lastApplied });
  }
}
