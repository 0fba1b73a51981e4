import { inspect } from "node:util";
import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { forgetAbort, whenAborted } from "./abort.ts";
import { AsyncQueue } from "./async-queue.ts";
import { EventMeter } from "./meter.ts";
import type { ClusterEvent } from "./protocol.ts";

/** How many events are kept for a reader of `events()` by default: hours of a cluster's life, but with `trace`. */
const DEFAULT_MAX_UNREAD = 10_000;

/** What `events()` can be given. */
export interface EventsOptions {
  /** Ends the events. */
  readonly signal?: AbortSignal;
  /**
   * How many events are kept that are not read yet, 1 or more; Infinity keeps all. Beyond it the oldest are dropped.
   * Default 10,000.
   */
  readonly maxUnread?: number;
}

/** Events as they happen; see `Supervisor.events`. */
export interface ClusterEvents extends AsyncIterableIterator<ClusterEvent> {
  /** How many events this reader will never get, since it had too many unread ones. */
  readonly dropped: number;
}

/** Hands what happens to all who read it, and counts it. */
export class EventFeed {
  readonly meter: EventMeter;
  readonly #readers = new Set<AsyncQueue<ClusterEvent>>();

  constructor(peers: readonly PeerId[]) {
    this.meter = new EventMeter(peers);
  }

  /** Something has happened. */
  push(event: ClusterEvent): void {
    this.meter.take(event);
    for (const reader of this.#readers) this.meter.dropped += reader.push(event);
  }

  /**
   * What happens from now on.
   * @param isOver nothing will: the events end at once.
   * @throws RaftError `ERR_INVALID_OPTION`
   */
  read({ signal, maxUnread = DEFAULT_MAX_UNREAD }: EventsOptions, isOver: boolean): ClusterEvents {
    if (typeof maxUnread !== "number" || !(maxUnread >= 1)) {
      throw new RaftError("ERR_INVALID_OPTION", `maxUnread: expected a number, 1 or more, got ${inspect(maxUnread)}`);
    }
    const onAbort = () => queue.end();
    const onEnd = () => {
      this.#readers.delete(queue);
      forgetAbort(signal, onAbort);
    };
    const queue = new AsyncQueue<ClusterEvent>(onEnd, maxUnread);
    if (signal?.aborted || isOver) queue.end();
    else {
      whenAborted(signal, onAbort);
      this.#readers.add(queue);
    }
    return queue;
  }

  /** Nothing happens any more: readers get what they have not read yet, and then the end. */
  end(): void {
    for (const reader of [...this.#readers]) reader.end();
  }
}
