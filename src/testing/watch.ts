import { performance } from "node:perf_hooks";
import type { ClusterEvent } from "../actors/protocol.ts";
import type { PeerId } from "../raft/message.ts";
import { AppliedLog } from "./applied-log.ts";
import { LabError } from "./lab-error.ts";

/** A peer shows what it has become a moment after others have heard of it, so who waits looks again after so long. */
const LOOK_AGAIN_MS = 25;

/** How much later the news of a snapshot may come than what was applied behind it. */
const ORDER_LIMIT_MS = 1_000;

/**
 * Follows the events of a cluster, and what its peers apply. What must never happen is noted as the cluster's failure,
 * and whoever waits or asks from then on gets it.
 */
export class ClusterWatch {
  readonly log = new AppliedLog();
  readonly #mayCrash: boolean;
  readonly #leaders = new Map<number, PeerId>();
  readonly #waiting = new Set<() => void>();
  #failure: LabError | undefined;

  /** @param mayCrash whether threads may end unasked. */
  constructor(mayCrash: boolean) {
    this.#mayCrash = mayCrash;
  }

  /** Takes events until there are no more. */
  async follow(events: AsyncIterable<ClusterEvent>): Promise<void> {
    for await (const event of events) {
      try {
        this.#take(event);
      } catch (error) {
        this.fail(error instanceof LabError ? error : new LabError(String(error), { cause: error }));
      }
      this.#wake();
    }
    this.#wake();
  }

  /** The cluster has failed. Only the first failure counts, since others mostly follow from it. */
  fail(error: LabError): void {
    this.#failure ??= error;
    this.#wake();
  }

  /** @throws LabError if the cluster has failed. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Somebody says that `peer` leads in `term`: there is one at most in every term (Election Safety, Figure 3). */
  leads(peer: PeerId, term: number): void {
    const leader = this.#leaders.get(term) ?? peer;
    this.#leaders.set(term, leader);
    if (leader !== peer) this.fail(new LabError(`Both ${leader} and ${peer} were elected in term ${term}.`));
  }

  /** Resolves when all is seen to be applied in order, or the cluster has failed; when that takes too long, it fails. */
  async settle(): Promise<void> {
    const deadline = performance.now() + ORDER_LIMIT_MS;
    while (this.#failure === undefined) {
      const unexplained = this.log.unexplained();
      if (unexplained === undefined) return;
      const left = deadline - performance.now();
      if (left <= 0) this.fail(new LabError(unexplained));
      else await this.next(left);
    }
  }

  /**
   * Looks now and whenever something has happened, until `look` sees what it wants; undefined when that takes longer
   * than `limitMs`.
   * @throws LabError if the cluster has failed, or what `look` throws.
   */
  async until<Seen>(limitMs: number, look: () => Seen | undefined): Promise<Seen | undefined> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      this.check();
      const seen = look();
      if (seen !== undefined) return seen;
      const left = deadline - performance.now();
      if (left <= 0) return undefined;
      await this.next(left);
    }
  }

  /** Resolves when something has happened, or when it is time to look again; after `limitMs` at the latest. */
  next(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.min(limitMs, LOOK_AGAIN_MS));
      this.#waiting.add(wake);
    });
  }

  #take(event: ClusterEvent): void {
    switch (event.type) {
      case "applied":
        this.log.take(event.peer, event.incarnation, event.entries);
        break;
      case "snapshot":
        if (event.installed) this.log.installed(event.peer, event.index);
        break;
      case "leader":
        this.leads(event.peer, event.term);
        break;
      case "crash":
        if (event.requested || this.#mayCrash) break;
        throw new LabError(`${event.peer} died by itself: ${event.error?.message ?? "nobody knows why"}`, {
          cause: event.error,
        });
      case "wedged":
        throw new LabError(`${event.peer} hangs in native code.`);
    }
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
