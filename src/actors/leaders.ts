import type { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { forgetAbort, whenAborted } from "./abort.ts";
import { aborted } from "./call-errors.ts";
import type { Lane } from "./lane.ts";

/** A peer that leads, and the way to it. */
export interface Leader<Route> {
  readonly peer: PeerId;
  readonly term: number;
  readonly lane: Route;
}

interface Waiter {
  readonly resolve: (leader: PeerId) => void;
  readonly reject: (error: RaftError) => void;
}

/** Who leads, by what the peers say whose lanes are open; and who waits to know. */
export class Leaders<Route extends Pick<Lane, "peer">> {
  /** Whom the peer of each lane takes for the leader. */
  readonly #views = new Map<Route, { readonly term: number; readonly leader: PeerId | undefined }>();
  readonly #waiters = new Set<Waiter>();
  #current: Leader<Route> | undefined;
  /** The latest term in which a leader was known. */
  #latestTerm = 0;
  #ended: RaftError | undefined;

  /** The one who leads in the latest term heard of; undefined while that is not known, or it cannot be reached. */
  get current(): Leader<Route> | undefined {
    return this.#current;
  }

  /** Whether the peer of a lane follows somebody, or leads. */
  hasLeader(lane: Route): boolean {
    return this.#views.get(lane)?.leader !== undefined;
  }

  /** The peer of a lane has said whom it takes for the leader. @returns the leader, if there is another now. */
  onView(lane: Route, term: number, leader: PeerId | undefined): Leader<Route> | undefined {
    this.#views.set(lane, { term, leader });
    return this.#find();
  }

  /** The lane is closed. @returns the leader, if there is another now. */
  onClosed(lane: Route): Leader<Route> | undefined {
    this.#views.delete(lane);
    return this.#find();
  }

  /** Resolves with the peer that leads, as soon as one does. @throws RaftError `ERR_ABORTED`, or what it was ended with. */
  wait(signal: AbortSignal | undefined): Promise<PeerId> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (signal?.aborted) return Promise.reject(aborted(signal));
    if (this.#current !== undefined) return Promise.resolve(this.#current.peer);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        resolve: (leader) => {
          forgetAbort(signal, onAbort);
          resolve(leader);
        },
        reject: (error) => {
          forgetAbort(signal, onAbort);
          reject(error);
        },
      };
      const onAbort = () => {
        this.#waiters.delete(waiter);
        if (signal !== undefined) reject(aborted(signal));
      };
      whenAborted(signal, onAbort);
      this.#waiters.add(waiter);
    });
  }

  /** Nobody leads any more: those who wait are told why. */
  end(error: RaftError): void {
    this.#ended = error;
    for (const { reject } of this.#waiters) reject(error);
    this.#waiters.clear();
  }

  #find(): Leader<Route> | undefined {
    let found: Leader<Route> | undefined;
    for (const [lane, { term, leader }] of this.#views) {
      // One who leads in an earlier term has not heard yet that it was deposed.
      if (leader !== lane.peer || term < this.#latestTerm) continue;
      found = { peer: lane.peer, term, lane };
      this.#latestTerm = term;
    }
    const before = this.#current;
    this.#current = found;
    if (found === undefined || (before?.lane === found.lane && before.term === found.term)) return undefined;
    for (const { resolve } of this.#waiters) resolve(found.peer);
    this.#waiters.clear();
    return found;
  }
}
