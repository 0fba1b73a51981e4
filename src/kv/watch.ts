import { setTimeout as delay } from "node:timers/promises";
import type { Session } from "../actors/session.ts";
import type { KeyValueChange, KeyValueChanges } from "../machine/change-history.ts";
import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";

/** How long one peer is asked before another is, in milliseconds: it may have been cut off from the others. */
const PATIENCE_MS = 1_000;
/** The wait after a peer has refused. */
const PAUSE_MS = 20;

/** A change to a key; see {@link KeyValueChange}. */
export type KvChange = KeyValueChange;

/** What {@link KvClient.watch} watches, and from where on. */
export interface KvWatchOptions {
  /** This key only. */
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
 */
export async function* watchChanges(
  session: Session,
  via: readonly PeerId[],
  { key, prefix, after, signal }: KvWatchOptions,
): AsyncGenerator<KvChange, void, undefined> {
  let position = after ?? (await session.read({ op: "size" }, { ...(signal && { signal }) })).index;
  let turn = 0;
  /** Of those that do not have all changes any more, the first one that they have. */
  const lacking = new Map<PeerId, number>();
  while (!signal?.aborted) {
    const peer = via[turn % via.length];
    if (peer === undefined) return;
    const found = await ask(session, peer, { key, prefix, position, signal });
    if (found === undefined) {
      turn++;
      // Who cannot be asked now may be the one that has them: only all together can say that they are gone.
      continue;
    }
    const { changes, firstIndex, upTo } = found.answer;
    if (firstIndex > position + 1) {
      lacking.set(peer, firstIndex);
      if (lacking.size === via.length) throw compacted(position, Math.min(...lacking.values()));
      turn++;
      continue;
    }
    lacking.clear();
    for (const change of changes) {
      if (signal?.aborted) return;
      yield change;
    }
    position = upTo ?? Math.max(position, found.index);
  }
}

interface Question {
  readonly key: string | undefined;
  readonly prefix: string | undefined;
  readonly position: number;
  readonly signal: AbortSignal | undefined;
}

/** @returns undefined when this peer cannot say for now. */
async function ask(session: Session, peer: PeerId, { key, prefix, position, signal }: Question) {
  const query = { op: "changes", after: position, key, prefix };
  const wait = { timeoutMs: PATIENCE_MS, via: [peer], minIndex: position + 1, ...(signal && { signal }) };
  try {
    return await session.read<KeyValueChanges>(query, { ...wait, consistency: "local" });
  } catch (error) {
    if (signal?.aborted) return undefined;
    if (!(error instanceof RaftError) || error.code === "ERR_STOPPED" || error.code === "ERR_MACHINE_THREW")
      throw error;
    await delay(PAUSE_MS);
    return undefined;
  }
}

function compacted(after: number, firstIndex: number): RaftError {
  const message = `the changes behind entry ${after} are not kept any more; the first that are left are of ${firstIndex}`;
  return new RaftError("ERR_COMPACTED", message, { firstIndex });
}
