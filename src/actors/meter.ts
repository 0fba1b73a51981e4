import { performance } from "node:perf_hooks";
import type { PeerId } from "../raft/message.ts";
import type { ClusterEvent } from "./protocol.ts";

/** What a call came to: a result, what the state machine threw, or the outcome of its error. */
export type CallOutcome = "ok" | "threw" | "not-applied" | "unknown";
export type CallCounts = Readonly<Record<CallOutcome, number>>;

/** Upper bounds of the buckets of durations, in seconds: from 0.1 ms to 6.6 s, each twice the one before. */
export const DURATION_BOUNDS: readonly number[] = Array.from({ length: 17 }, (_, power) => 2 ** power / 10_000);

/** How often a duration fell into each bucket. */
export interface Durations {
  /** One for each of {@link DURATION_BOUNDS}, and one for all that took longer; not cumulative. */
  readonly counts: readonly number[];
  /** In seconds. */
  readonly sum: number;
}

/** Counts the calls of the app. What costs more than a count, the clock, is read only once somebody has asked for it. */
export class CallMeter {
  readonly #counts = {
    propose: { ok: 0, threw: 0, "not-applied": 0, unknown: 0 },
    query: { ok: 0, threw: 0, "not-applied": 0, unknown: 0 },
  };
  #durations: { counts: number[]; sum: number } | undefined;
  /** The reading for all answers that came in one message. */
  #now: number | undefined;

  /** A call is over. @param startedAt the reading of `performance.now()` when it was made. */
  settled(kind: "propose" | "query", outcome: CallOutcome, startedAt: number): void {
    this.#counts[kind][outcome]++;
    if (this.#durations === undefined || kind !== "propose" || outcome !== "ok") return;
    const seconds = Math.max(0, this.#read() - startedAt) / 1_000;
    const found = DURATION_BOUNDS.findIndex((bound) => seconds <= bound);
    const bucket = found === -1 ? DURATION_BOUNDS.length : found;
    this.#durations.counts[bucket] = (this.#durations.counts[bucket] ?? 0) + 1;
    this.#durations.sum += seconds;
  }

  counts(kind: "propose" | "query"): CallCounts {
    return { ...this.#counts[kind] };
  }

  /** How long commands took that were acknowledged since this was called for the first time. */
  durations(): Durations {
    this.#durations ??= { counts: Array(DURATION_BOUNDS.length + 1).fill(0), sum: 0 };
    return { counts: [...this.#durations.counts], sum: this.#durations.sum };
  }

  #read(): number {
    if (this.#now === undefined) {
      this.#now = performance.now();
      queueMicrotask(() => {
        this.#now = undefined;
      });
    }
    return this.#now;
  }
}

/** What has happened to one peer, or what it did, since the supervisor started. */
export interface PeerTally {
  /** Times its thread was ended by `crash()`. */
  readonly requestedCrashes: number;
  /** Times its thread ended by itself. */
  readonly crashes: number;
  /** Times the restart policy started it again. */
  readonly restarts: number;
  readonly givenUp: number;
  /** Snapshots that it took of its own state. */
  readonly snapshotsTaken: number;
  /** Snapshots that its leader sent. */
  readonly snapshotsInstalled: number;
  readonly snapshotFailures: number;
  /** Of the latest one; 0 when there was none. */
  readonly snapshotBytes: number;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Counts events. */
export class EventMeter {
  /** Leaders that were heard of; of two in a row that one message tells of, the last. */
  elections = 0;
  /** Events that a reader did not get, since it had too many unread ones; of all readers together. */
  dropped = 0;
  readonly #tallies: ReadonlyMap<PeerId, Writable<PeerTally>>;

  constructor(peers: readonly PeerId[]) {
    this.#tallies = new Map(
      peers.map((peer) => [
        peer,
        {
          requestedCrashes: 0,
          crashes: 0,
          restarts: 0,
          givenUp: 0,
          snapshotsTaken: 0,
          snapshotsInstalled: 0,
          snapshotFailures: 0,
          snapshotBytes: 0,
        },
      ]),
    );
  }

  take(event: ClusterEvent): void {
    if (event.type === "leader") this.elections++;
    const tally = this.#tallies.get(event.peer);
    if (tally === undefined) return;
    switch (event.type) {
      case "crash":
        if (event.requested) tally.requestedCrashes++;
        else tally.crashes++;
        break;
      case "restart":
        tally.restarts++;
        break;
      case "given-up":
        tally.givenUp++;
        break;
      case "snapshot":
        if (event.installed) tally.snapshotsInstalled++;
        else tally.snapshotsTaken++;
        tally.snapshotBytes = event.bytes;
        break;
      case "snapshot-failed":
        tally.snapshotFailures++;
    }
  }

  tallies(): ReadonlyMap<PeerId, PeerTally> {
    return this.#tallies;
  }
}
