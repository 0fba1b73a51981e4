import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import type { Raft } from "../raft/raft.ts";
import type { MachineCalls } from "./machine-calls.ts";
import type { Replica } from "./replica.ts";
import { Snapshotter } from "./snapshotter.ts";

/** A snapshot that is being sent is not replaced before this many times `snapshotEvery` entries; the log has to end. */
const MOST_POSTPONED = 10;

/** Whose snapshots they are, and who hears of them. */
export interface OwnSnapshotsOptions {
  /** Says when it is its turn. */
  readonly id: PeerId;
  readonly raft: Raft;
  readonly replica: Replica;
  readonly calls: Pick<MachineCalls, "enter" | "leave">;
  /** Entries applied between snapshots; 0: only when asked for. */
  readonly snapshotEvery: number;
  /** The size of a snapshot's chunks; see Snapshotter. */
  readonly chunkBytes: number | undefined;
  /** Brings to the store what it lacks of a durable machine: what is frozen of that is what the store has. */
  readonly saveState: () => void;
  readonly onFailed: (error: RaftError) => void;
}

/**
 * The entry at which the next snapshot is due: at most `every` entries behind the one of `last`, and where the peer at this
 * position of so many takes its own. Peers share a machine and mostly a disk, and apply the same entries at the same time: if
 * all took theirs together, no majority would be left that is free of it.
 */
export function nextSnapshot(last: number, every: number, position: number, peers: number): number {
  const shift = Math.floor((position * every) / peers);
  return last + every - ((last - shift + every) % every);
}

/** When a peer takes snapshots of its own state (§7), one at a time, and how it goes on with one. */
export class OwnSnapshots {
  readonly #options: OwnSnapshotsOptions;
  #snapshotter: Snapshotter | undefined;
  #isWanted = false;
  /** Whether the one that is under way was asked for. */
  #wasWanted = false;
  /** Where the last attempt stood, so that one that fails is not made again at every entry. */
  #lastAttempt = 0;

  constructor(options: OwnSnapshotsOptions) {
    this.#options = options;
  }

  /** When `continue` is to be called. */
  get wakeAt(): number {
    return this.#snapshotter?.wakeAt ?? Number.POSITIVE_INFINITY;
  }

  /** Takes one soon, however few entries there are since the last one. @returns false when there are none. */
  want(): boolean {
    this.#isWanted = this.#hasNews;
    return this.#isWanted;
  }

  /** Begins one if it is due. */
  begin(now: number): void {
    const { id, raft, replica, snapshotEvery, chunkBytes, saveState } = this.#options;
    const { lastApplied: index, lastTime: time, version } = replica;
    const last = Math.max(raft.snapshot?.index ?? 0, this.#lastAttempt);
    const { voters } = raft.configuration;
    const isDue = snapshotEvery > 0 && index >= nextSnapshot(last, snapshotEvery, voters.indexOf(id), voters.length);
    // The one that was under way may be the one that was asked for.
    if (this.#isWanted) this.#isWanted = this.#hasNews;
    if (this.#snapshotter !== undefined || !(isDue || this.#isWanted)) return;
    if (raft.isReceivingSnapshot) return;
    if (raft.isSendingSnapshot(now) && index - last < MOST_POSTPONED * snapshotEvery) return;
    const term = raft.log.termAt(index);
    if (term === undefined) return;
    this.#wasWanted = this.#isWanted;
    this.#isWanted = false;
    this.#lastAttempt = index;
    const head = { index, term, time, configuration: raft.configuration, version };
    this.#attempt(() => {
      saveState();
      this.#snapshotter = new Snapshotter(replica, head, chunkBytes);
    });
  }

  /** Goes on for a little while with the one that is under way. */
  continue(now: () => number): void {
    const snapshotter = this.#snapshotter;
    if (snapshotter === undefined) return;
    this.#attempt(() => {
      if (!snapshotter.step(this.#options.raft, now)) return;
      // The leader's has taken its place, and may never be complete: somebody waits for one.
      if (!snapshotter.isComplete) this.#isWanted ||= this.#wasWanted;
      this.end();
    });
  }

  /** A turn is over; `now` is asked only when there is one under way. */
  rest(now: () => number, began: number): void {
    if (this.#snapshotter === undefined) return;
    const time = now();
    this.#snapshotter.rest(time, time - began);
  }

  /** There is no more to do, or no more use for it. */
  end(): void {
    this.#snapshotter = undefined;
    this.#options.replica.releaseSnapshot();
  }

  get #hasNews(): boolean {
    const { raft, replica } = this.#options;
    return replica.lastApplied > (raft.snapshot?.index ?? 0);
  }

  /** What the machine throws here is no reason to stop: there is still the whole log. */
  #attempt(step: () => void): void {
    const { calls, onFailed } = this.#options;
    try {
      calls.enter("snapshot", this.#lastAttempt);
      step();
      calls.leave();
    } catch (error) {
      calls.leave();
      if (!(error instanceof RaftError) || error.code !== "ERR_MACHINE_THREW") throw error;
      this.end();
      onFailed(error);
    }
  }
}
