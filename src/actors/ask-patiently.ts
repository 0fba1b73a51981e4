import { RaftError } from "../raft/errors.ts";

/** Each stands for several peers that ended before they answered a query: it may be what they die of. */
const MOST_DEATHS = 3;

/** How long a question may take. */
export interface Patience {
  /** In all. */
  readonly timeoutMs: number;
  /** The first time; each further time twice as long. */
  readonly retryMs: number;
  /** Any further time at most. */
  readonly longestMs: number;
}

/**
 * Asks again until there is an answer or time is over: a question or an answer may be lost, and asking again does no harm.
 * @param ask is given how many milliseconds it has.
 * @throws RaftError what the last question came to, or one that asking again would not help.
 */
export async function askPatiently<Answer>(
  ask: (timeoutMs: number) => Promise<Answer>,
  { timeoutMs, retryMs: first, longestMs }: Patience,
): Promise<Answer> {
  const deadline = performance.now() + timeoutMs;
  let deaths = 0;
  for (let retryMs = first; ; retryMs = Math.min(longestMs, retryMs * 2)) {
    const left = Math.max(0, deadline - performance.now());
    const isLast = left <= retryMs;
    try {
      return await ask(isLast ? left : retryMs);
    } catch (error) {
      const isLate = error instanceof RaftError && (error.code === "ERR_TIMEOUT" || error.code === "ERR_NOT_LEADER");
      const isUnlucky = error instanceof RaftError && error.code === "ERR_PEER_DOWN" && ++deaths < MOST_DEATHS;
      if (isLast || !(isLate || isUnlucky)) throw error;
    }
  }
}
