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
/** After so long what there is of a batch goes as an answer of its own: so much is encoded at once. */
const MOST_MS_AN_ANSWER = 1;

/** What surrounds it. */
export interface AnswererOptions {
  readonly replica: Pick<Replica, "lastApplied" | "answer">;
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

  /** Whether queries are within reach. */
  get isBusy(): boolean {
    const { queries, replica } = this.#options;
    return queries.firstReady(replica.lastApplied) !== undefined;
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
    const { replica, queries, now } = this.#options;
    let waiting = queries.firstReady(replica.lastApplied);
    if (waiting === undefined) return true;
    const until = now() + ANSWER_MS_PER_TURN;
    while (waiting !== undefined) {
      this.#answerSome(waiting);
      if (waiting.answered === waiting.batch.count) queries.done();
      waiting = queries.firstReady(replica.lastApplied);
      if (now() >= until) break;
    }
    return waiting === undefined;
  }

  #answerSome(waiting: WaitingQueries): void {
    const { replica, replies, now } = this.#options;
    const { batch, cancelled } = waiting;
    const until = now() + MOST_MS_AN_ANSWER;
    const firstId = batch.firstId + waiting.answered;
    const queries = queryReader(batch, waiting.answered);
    const answers: Applied[] = [];
    while (queries.next()) {
      const isCancelled = cancelled.delete(firstId + answers.length);
      answers.push(isCancelled ? SKIPPED : replica.answer(queries.data));
      if (now() >= until) break;
    }
    waiting.answered += answers.length;
    const reply = { kind: "answers", firstId, answers: encodeResults(answers), index: replica.lastApplied } as const;
    replies.add(batch.client, reply);
  }
}
