import { setTimeout as delay } from "node:timers/promises";
import { inspect } from "node:util";
import { forgetAbort, whenAborted } from "../actors/abort.ts";
import type { QueryOptions } from "../actors/peer-handle.ts";
import type { Session } from "../actors/session.ts";
import type { KeyValueChange, KeyValueChanges } from "../machine/change-history.ts";
import type { KeyValueQuery } from "../machine/key-value-types.ts";
import { RaftError, type RaftErrorCode } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";

/** How long one peer is asked before another is, in milliseconds: it may have been cut off from the others. */
const PATIENCE_MS = 1_000;
/** The wait after a peer has refused. */
const PAUSE_MS = 20;
/** How often a peer must have failed to answer to count as out of reach, when the others do not have all changes any more. */
const MOST_MISSES = 5;

/** What ends a watch. All else passes. */
const LASTING: readonly RaftErrorCode[] = [
  "ERR_STOPPED",
  "ERR_MACHINE_THREW",
  "ERR_INVALID_COMMAND",
  "ERR_INVALID_OPTION",
];

/** A change to a key; see {@link KeyValueChange}. */
export type KvChange = KeyValueChange;

/** What {@link KvClient.watch} watches, and from where on. */
export interface KvWatchOptions {
  /** This key only; `prefix` is not looked at then. */
  readonly key?: string;
  /** All keys that begin so. Default: all. */
  readonly prefix?: string;
  /** An index: only what changed behind it is told. Default: the present, as of when the first change is asked for. */
  readonly after?: number;
  /** Ends the watch, without an error. */
  readonly signal?: AbortSignal;
}

/**
 * Any peer's own state will do: what it has applied is committed, and it says up to which entry its changes are complete.
 * The next question waits at a peer until it has applied the entry behind that. So there is neither gap nor duplicate,
 * whoever answers.
 * @throws RaftError `ERR_INVALID_OPTION`
 */
export function watchChanges(
  session: Pick<Session, "read">,
  via: readonly PeerId[],
  options: KvWatchOptions,
): AsyncGenerator<KvChange, void, undefined> {
  const { after, prefix } = options;
  if (after !== undefined && !(Number.isSafeInteger(after) && after >= 0)) {
    throw new RaftError("ERR_INVALID_OPTION", `after: expected an index, 0 or more, got ${inspect(after)}`);
  }
  if (prefix !== undefined && typeof prefix !== "string") {
    throw new RaftError("ERR_INVALID_OPTION", `prefix: expected a string, got ${inspect(prefix)}`);
  }
  const left = new AbortController();
  const changes = follow(session, via, options, left);
  const end = changes.return.bind(changes);
  // Who leaves does not wait for a change that may never come.
  return Object.assign(changes, {
    return: (value: void | PromiseLike<void>) => {
      left.abort();
      return end(value);
    },
  });
}

/** @param left ends it; and is told when the watch's own signal comes. */
async function* follow(
  session: Pick<Session, "read">,
  via: readonly PeerId[],
  { key, prefix, after, signal }: KvWatchOptions,
  left: AbortController,
): AsyncGenerator<KvChange, void, undefined> {
  const leave = () => left.abort();
  const isOver = () => left.signal.aborted || signal?.aborted === true;
  /** @returns the code of the error when there is no answer for now. */
  const ask = async <Answer>(query: KeyValueQuery, options: QueryOptions) => {
    whenAborted(signal, leave);
    try {
      return await session.read<Answer>(query, { ...options, signal: left.signal });
    } catch (error) {
      if (!(error instanceof RaftError) || (!isOver() && LASTING.includes(error.code))) throw error;
      if (!isOver()) await delay(PAUSE_MS);
      return error.code;
    } finally {
      forgetAbort(signal, leave);
    }
  };

  let position = after;
  let turn = 0;
  /** Of those that do not have all changes any more, the first one that they have. */
  const lacking = new Map<PeerId, number>();
  /** How often since then those have failed to answer who may have them. */
  const misses = new Map<PeerId, number>();
  const isOutOfReach = (peer: PeerId) => lacking.has(peer) || (misses.get(peer) ?? 0) >= MOST_MISSES;
  while (!isOver()) {
    if (position === undefined) {
      const found = await ask({ op: "size" }, {});
      if (typeof found === "object") position = found.index;
      continue;
    }
    const peer = via[turn % via.length];
    if (peer === undefined) return;
    const query = { op: "changes", after: position, key, prefix } as const;
    const wait = { timeoutMs: PATIENCE_MS, via: [peer], minIndex: position + 1, consistency: "local" } as const;
    const found = await ask<KeyValueChanges>(query, wait);
    if (typeof found === "object" && found.answer.firstIndex <= position + 1) {
      lacking.clear();
      misses.clear();
      const { changes, upTo } = found.answer;
      for (const change of changes) {
        if (isOver()) return;
        yield change;
      }
      position = upTo ?? Math.max(position, found.index);
      continue;
    }
    turn++;
    if (typeof found === "object") lacking.set(peer, found.answer.firstIndex);
    else if (lacking.size > 0 && found !== "ERR_OVERLOADED") misses.set(peer, (misses.get(peer) ?? 0) + 1);
    // One that cannot be asked now may be the one that has them, so it is given time.
    if (lacking.size > 0 && via.every(isOutOfReach)) throw compacted(position, Math.min(...lacking.values()));
  }
}

function compacted(after: number, firstIndex: number): RaftError {
  const message = `the changes behind entry ${after} are not kept any more; the first that are left are of ${firstIndex}`;
  return new RaftError("ERR_COMPACTED", message, { firstIndex });
}
