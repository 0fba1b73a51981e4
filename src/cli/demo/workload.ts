import { setTimeout as sleep } from "node:timers/promises";
import type { Supervisor } from "../../actors/supervisor.ts";
import { RaftError } from "../../raft/errors.ts";
import type { Figures } from "./figures.ts";
import { type Attempt, commandOf, type History } from "./history.ts";

/** Less than a fault lasts, so that a client whose command is stuck goes on while it still does. */
const TIMEOUT_MS = 750;
/** A client that was refused does not ask again at once. */
const PAUSE_MS = 10;

/** A client at work. */
export interface Client {
  readonly history: History;
  /** Settles when the client has ended, after the signal, and rejects for an error that no client should meet. */
  readonly done: Promise<void>;
}

/** Starts a client that proposes one command after the other, and writes down what becomes of each. */
export function startClient(supervisor: Supervisor, client: string, figures: Figures, signal: AbortSignal): Client {
  const attempts: Attempt[] = [];
  return { history: { client, attempts }, done: work(supervisor, client, attempts, figures, signal) };
}

async function work(
  supervisor: Supervisor,
  client: string,
  attempts: Attempt[],
  figures: Figures,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const attempt = await propose(supervisor, commandOf(client, attempts.length));
    attempts.push(attempt);
    figures.onAttempt(attempt);
    if (attempt.outcome === "refused") await sleep(PAUSE_MS);
  }
}

async function propose(supervisor: Supervisor, command: unknown): Promise<Attempt> {
  try {
    const { index, term } = await supervisor.propose(command, { timeoutMs: TIMEOUT_MS });
    return { outcome: "acked", index, term };
  } catch (error) {
    if (!(error instanceof RaftError)) throw error;
    if (error.outcome === "unknown") return { outcome: "unknown" };
    if (error.outcome === "not-applied") return { outcome: "refused" };
    // The state machine refused what it should not have.
    throw error;
  }
}
