import { performance } from "node:perf_hooks";
import type { ClusterEvent } from "../../actors/protocol.ts";
import type { Attempt } from "./history.ts";

/** What is counted while the demo runs. Times in milliseconds. */
export class Figures {
  acked = 0;
  unknown = 0;
  refused = 0;
  /** How often somebody was elected. */
  elections = 0;
  /** How often a peer's thread was killed. */
  crashes = 0;
  /** Times from the death of a leader's thread to the next acknowledged command. */
  readonly failovers: number[] = [];
  #leader: { readonly peer: string; readonly term: number } | undefined;
  #death: { readonly at: number; readonly term: number } | undefined;

  /** A client has settled a command. */
  onAttempt(attempt: Attempt): void {
    this[attempt.outcome]++;
    if (attempt.outcome === "acked") this.#onAck(attempt.term);
  }

  /** Something happened in the cluster. */
  onEvent(event: ClusterEvent): void {
    if (event.type === "leader") {
      this.elections++;
      this.#leader = event;
    } else if (event.type === "crash") {
      this.crashes++;
      if (event.peer === this.#leader?.peer) this.#death = { at: performance.now(), term: this.#leader.term };
    }
  }

  /** Undefined while no leader has been replaced. */
  get medianFailoverMs(): number | undefined {
    return median(this.failovers);
  }

  #onAck(term: number): void {
    // Acknowledgements that the dead leader sent may still come in.
    if (this.#death === undefined || term <= this.#death.term) return;
    this.failovers.push(performance.now() - this.#death.at);
    this.#death = undefined;
  }
}

/** The middle one, or the mean of both; undefined of nothing. */
export function median(numbers: readonly number[]): number | undefined {
  const sorted = [...numbers].sort((one, other) => one - other);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2;
}
