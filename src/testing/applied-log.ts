import { isDeepStrictEqual } from "node:util";
import type { AppliedEntry } from "../actors/protocol.ts";
import type { PeerId } from "../raft/message.ts";
import { inspectShort } from "./inspect-short.ts";
import { LabError } from "./lab-error.ts";

/** An entry that somebody has applied, and who was the first to say so. */
interface Known extends AppliedEntry {
  readonly peer: PeerId;
}

/** How far a peer has come. */
interface Reached {
  /** 0: nothing was seen of it yet. */
  incarnation: number;
  /** Of the incarnation. */
  lastApplied: number;
  /** Of all incarnations: what was applied once was committed, and a restart takes nothing of that back. */
  highest: number;
  /** The snapshots of a leader that it installed. */
  readonly installed: Set<number>;
}

/** A peer applied an entry that does not continue what it applied before, which something must explain. */
interface Gap {
  readonly peer: PeerId;
  readonly incarnation: number;
  readonly expected: number;
  /** What it applied instead. */
  readonly index: number;
  /** Whether it is the first entry of an incarnation. */
  readonly isRestart: boolean;
}

/**
 * What the peers of a cluster have applied, put together to one log. Holds them to State Machine Safety (Figure 3): no
 * two peers, and no two incarnations of one, ever apply different entries at the same index; and to applying in order.
 * In order is from the first entry on, or right behind a snapshot's last: that of an earlier life, with which an
 * incarnation begins, or one of the leader's that it installed.
 */
export class AppliedLog {
  readonly #entries = new Map<number, Known>();
  readonly #reached = new Map<PeerId, Reached>();
  #gaps: Gap[] = [];
  /** The lowest index known; who watches may have missed what was applied before. */
  #begin = Number.POSITIVE_INFINITY;
  #commands = 0;

  /** How many commands have been applied, each counted once. */
  get commands(): number {
    return this.#commands;
  }

  /**
   * Takes what a peer applied in one step.
   * @throws LabError when it differs from what was applied before, or does not continue it.
   */
  take(peer: PeerId, incarnation: number, entries: readonly AppliedEntry[]): void {
    for (const entry of entries) {
      this.#checkOrder(peer, incarnation, entry.index);
      const known = this.#entries.get(entry.index);
      if (known === undefined) {
        this.#entries.set(entry.index, { ...entry, peer });
        this.#begin = Math.min(this.#begin, entry.index);
        if (entry.kind === "command") this.#commands++;
      } else if (!isSameEntry(known, entry)) {
        throw new LabError(
          `State Machine Safety is broken at index ${entry.index}: ${peer} applied ${describe(entry)}, and ` +
            `${known.peer} applied ${describe(known)} there.`,
        );
      }
    }
  }

  /** The peer has installed a snapshot that stands for all entries up to `index`: it has applied them, in this sense. */
  installed(peer: PeerId, index: number): void {
    const reached = this.#peer(peer);
    reached.installed.add(index);
    reached.highest = Math.max(reached.highest, index);
  }

  /**
   * Why a peer went on where it did not stop, if nothing explains that yet. News of a snapshot, and what others have
   * applied, may come later than what follows from it.
   */
  unexplained(): string | undefined {
    this.#gaps = this.#gaps.filter((gap) => !this.#explains(gap));
    const gap = this.#gaps[0];
    return gap === undefined ? undefined : outOfOrder(gap);
  }

  /** The entry at `index`, if any peer has applied it. */
  at(index: number): AppliedEntry | undefined {
    return this.#entries.get(index);
  }

  /** The peers that have applied the entry at `index`, in this life or an earlier one. */
  peersAt(index: number): readonly PeerId[] {
    if (!this.#entries.has(index)) return [];
    return [...this.#reached].filter(([, { highest }]) => highest >= index).map(([peer]) => peer);
  }

  /** The peers that have applied a command equal to this, wherever in the log. */
  peersThatApplied(command: unknown): readonly PeerId[] {
    const peers = new Set<PeerId>();
    for (const { index, kind, command: applied } of this.#entries.values()) {
      if (kind !== "command" || !isDeepStrictEqual(applied, command)) continue;
      for (const peer of this.peersAt(index)) peers.add(peer);
    }
    return [...peers];
  }

  /** Who watches from the outside may have missed the beginning of a peer's first life, but of no other. */
  #checkOrder(peer: PeerId, incarnation: number, index: number): void {
    const reached = this.#peer(peer);
    // The last words of a thread that was killed may come after the first ones of the next.
    if (incarnation < reached.incarnation) return;
    const isRestart = incarnation > reached.incarnation;
    const expected = isRestart ? 1 : reached.lastApplied + 1;
    const gap = { peer, incarnation, expected, index, isRestart };
    if (index < expected) throw new LabError(outOfOrder(gap));
    if (index > expected && reached.incarnation > 0) this.#gaps.push(gap);
    reached.incarnation = incarnation;
    reached.lastApplied = index;
    reached.highest = Math.max(reached.highest, index);
  }

  /**
   * A snapshot stands for entries that somebody has applied. Which one a life began with is not known for sure, since a
   * thread may be killed after it has saved one and before it says so.
   */
  #explains({ peer, index, isRestart }: Gap): boolean {
    if (!isRestart) return this.#peer(peer).installed.has(index - 1);
    return this.#entries.has(index - 1) || index <= this.#begin;
  }

  #peer(peer: PeerId): Reached {
    const known = this.#reached.get(peer);
    if (known !== undefined) return known;
    const reached = { incarnation: 0, lastApplied: 0, highest: 0, installed: new Set<number>() };
    this.#reached.set(peer, reached);
    return reached;
  }
}

function outOfOrder({ peer, incarnation, expected, index }: Gap): string {
  return `${peer}, incarnation ${incarnation}, applied the entry at index ${index} out of order; ${expected} was next.`;
}

function isSameEntry(one: AppliedEntry, other: AppliedEntry): boolean {
  return one.term === other.term && one.kind === other.kind && isDeepStrictEqual(one.command, other.command);
}

function describe({ kind, term, command }: AppliedEntry): string {
  return kind === "command" ? `the command ${inspectShort(command)} of term ${term}` : `a ${kind} of term ${term}`;
}
