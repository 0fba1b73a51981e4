import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { type CurrentCall, describeCall } from "./machine-calls.ts";

/** How often a peer may die before it is given up, as in OTP. Durations in milliseconds. */
export interface RestartOptions {
  /** Exits within `periodMs` that are made good by a restart; one more and the peer is given up. */
  readonly intensity: number;
  readonly periodMs: number;
  /** How long to wait before a restart, at least: the first after a calm period, and the most. Each exit doubles it. */
  readonly backoffMs: readonly [first: number, max: number];
}

/** What to do about a peer that has died. */
export type RestartDecision =
  | { readonly action: "restart"; readonly delayMs: number }
  | { readonly action: "give-up"; readonly error: RaftError };

/** Deaths in a row in one call of the state machine that are enough to blame it. */
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
  /** What it was doing the last time it died. */
  #lastCall = "";
  #deathsInCall = 0;

  constructor(peer: PeerId, options: RestartOptions) {
    this.#peer = peer;
    this.#options = options;
  }

  /**
   * The peer's thread has ended, by itself or because somebody asked for a crash.
   * @param now in milliseconds of any clock that never goes back.
   * @param call of the state machine in which it ended; undefined for an exit that says nothing about the machine, such
   *   as one that was asked for.
   */
  onExit(now: number, call?: CurrentCall): RestartDecision {
    const { intensity, periodMs } = this.#options;
    this.#exits = [...this.#exits.filter((at) => now - at <= periodMs), now];
    if (call !== undefined && this.#isPoisoned(call)) {
      const stays = call.call === "apply" ? "That entry stays committed, and another" : "Another";
      return this.#giveUp(
        `died ${POISON_DEATHS} times in a row while it was ${describeCall(call)}. ` +
          `${stays} start meets it again: the state machine must learn to survive it.`,
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

  /**
   * Counts deaths in a row in one call that every start meets again. Queries are none of these: they come from outside,
   * and neither add to the row nor end it.
   */
  #isPoisoned({ call, index }: CurrentCall): boolean {
    if (call === "query") return false;
    // The next snapshot is of a later state, but taken by the same code.
    const name = call === "apply" ? `${call} ${index}` : call;
    this.#deathsInCall = name === this.#lastCall ? this.#deathsInCall + 1 : 1;
    this.#lastCall = name;
    return call !== "none" && this.#deathsInCall >= POISON_DEATHS;
  }

  #giveUp(why: string): RestartDecision {
    return {
      action: "give-up",
      error: new RaftError("ERR_GIVEN_UP", `Peer "${this.#peer}" is not restarted any more: it ${why}`),
    };
  }
}
