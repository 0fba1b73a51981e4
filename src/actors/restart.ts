import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";

/** How often a peer may die before it is given up, as in OTP. Durations in milliseconds. */
export interface RestartOptions {
  /** Exits within `periodMs` that are made good by a restart; one more and the peer is given up. */
  readonly intensity: number;
  readonly periodMs: number;
  /** How long to wait before a restart: the first after a calm period, and the most. Each exit doubles it. */
  readonly backoffMs: readonly [first: number, max: number];
}

/** What to do about a peer that has died. */
export type RestartDecision =
  | { readonly action: "restart"; readonly delayMs: number }
  | { readonly action: "give-up"; readonly error: RaftError };

/** Deaths in a row at one command that are enough to blame it. */
const POISON_DEATHS = 3;

/** Decides for one peer whether and when it is restarted. A peer started by hand after it was given up gets a new one. */
export class RestartPolicy {
  readonly #peer: PeerId;
  readonly #options: RestartOptions;
  /** Times of the exits within the period, ascending; at most `intensity + 1`. */
  #exits: number[] = [];
  /** Exits since the peer last stayed up for a period. */
  #streak = 0;
  /** When the last restart was due. */
  #startedAt = Number.NEGATIVE_INFINITY;
  #lastApplying = 0;
  #deathsAtApplying = 0;

  constructor(peer: PeerId, options: RestartOptions) {
    this.#peer = peer;
    this.#options = options;
  }

  /**
   * The peer's thread has ended, by itself or because somebody asked for a crash.
   * @param now in milliseconds of any clock that never goes back.
   * @param applyingIndex the entry that it was applying, 0 when none; undefined for an exit that says nothing about
   *   any command, such as one that was asked for.
   */
  onExit(now: number, applyingIndex?: number): RestartDecision {
    const { intensity, periodMs } = this.#options;
    this.#exits = [...this.#exits.filter((at) => now - at <= periodMs), now];
    if (this.#isPoisoned(applyingIndex)) {
      return this.#giveUp(
        `died ${POISON_DEATHS} times in a row while it applied the entry at index ${applyingIndex}. ` +
          "That entry stays committed, and another start meets it again: the state machine must learn to survive it.",
      );
    }
    if (this.#exits.length > intensity) {
      return this.#giveUp(
        `died ${this.#exits.length} times within ${periodMs} ms, and no more than ${intensity} are made good. ` +
          "What is in its store stays; start it by hand when the cause is gone.",
      );
    }
    return { action: "restart", delayMs: this.delayMs(now) };
  }

  /**
   * How long to wait before a restart, each time longer. By itself for an exit that is not the peer's fault, such as
   * that of a full disk: no number of these is too many.
   * @param now as for `onExit`.
   */
  delayMs(now: number): number {
    const { periodMs, backoffMs } = this.#options;
    if (now - this.#startedAt >= periodMs) this.#streak = 0;
    const delayMs = Math.min(backoffMs[1], backoffMs[0] * 2 ** this.#streak);
    this.#streak++;
    this.#startedAt = now + delayMs;
    return delayMs;
  }

  /** Counts deaths in a row at one index; an exit that says nothing about commands neither adds to the row nor ends it. */
  #isPoisoned(applyingIndex: number | undefined): boolean {
    if (applyingIndex === undefined) return false;
    this.#deathsAtApplying = applyingIndex === this.#lastApplying ? this.#deathsAtApplying + 1 : 1;
    this.#lastApplying = applyingIndex;
    return applyingIndex > 0 && this.#deathsAtApplying >= POISON_DEATHS;
  }

  #giveUp(why: string): RestartDecision {
    return {
      action: "give-up",
      error: new RaftError("ERR_GIVEN_UP", `Peer "${this.#peer}" is not restarted any more: it ${why}`),
    };
  }
}
