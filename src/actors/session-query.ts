import type { PeerId } from "../raft/message.ts";
import { askPatiently } from "./ask-patiently.ts";
import { invalidFreshness, invalidTimeout } from "./call-options.ts";
import type { QueryOptions } from "./peer-handle.ts";
import type { SessionHost } from "./session-options.ts";
import type { CallResult } from "./waiting-call.ts";

/** How many times the first wait for an answer the longest one is, before it is asked again. */
const MOST_PATIENCE = 8;

/** Who asks. */
interface Asker {
  readonly client: string | undefined;
  readonly via: readonly PeerId[] | undefined;
  /** The latest entry that it knows the effects of. */
  readonly seen: number;
}

/** Asks the state machine as it is after all that `asker` has seen, again when there is no answer. */
export async function queryInSession(
  host: SessionHost,
  query: unknown,
  options: Omit<QueryOptions, "client">,
  { client, via: route, seen }: Asker,
): Promise<CallResult> {
  const { timeoutMs = host.defaultTimeoutMs, consistency = "linearizable", minIndex: least = 0, signal } = options;
  const invalid = invalidTimeout(timeoutMs) ?? invalidFreshness(options);
  if (invalid !== undefined) throw invalid;
  const via = options.via ?? route;
  // A linearizable answer reflects it anyway; an index of its own would keep the query from going with those of other sessions.
  const minIndex = consistency === "linearizable" ? least : Math.max(least, seen);
  return askPatiently((ms) => host.query(query, { signal, client, timeoutMs: ms, consistency, via, minIndex }), {
    timeoutMs,
    retryMs: host.retryMs,
    longestMs: host.retryMs * MOST_PATIENCE,
  });
}
