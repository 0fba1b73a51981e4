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
  incarnation: number;
  /** Of the incarnation. */
  lastApplied: number;
  /** Of all incarnations: what was applied once was committed, and a restart takes nothing of that back. */
  highest: number;
}

/**
 * What the peers of a cluster have applied, put together to one log. Holds them to State Machine Safety (Figure 3): no
 * two peers, and no two incarnations of one, ever apply different entries at the same index; and to applying in order.
 */
export class AppliedLog {
  readonly #entries = new Map<number, Known>();
  readonly #reached = new Map<PeerId, Reached>();
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
        if (entry.kind === "command") this.#commands++;
      } else if (!isSameEntry(known, entry)) {
        throw new LabError(
          `State Machine Safety is broken at index ${entry.index}: ${peer} applied ${describe(entry)}, and ` +
            `${known.peer} applied ${describe(known)} there.`,
        );
      }
    }
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
    const reached = this.#reached.get(peer);
    if (reached === undefined) {
      this.#reached.set(peer, { incarnation, lastApplied: index, highest: index });
      return;
    }
    // The last words of a thread that was killed may come after the first ones of the next.
    if (incarnation < reached.incarnation) return;
    const expected = incarnation > reached.incarnation ? 1 : reached.lastApplied + 1;
    if (index !== expected) {
      throw new LabError(
        `${peer}, incarnation ${incarnation}, applied the entry at index ${index} out of order; ${expected} was next.`,
      );
    }
    reached.incarnation = incarnation;
    reached.lastApplied = index;
    reached.highest = Math.max(reached.highest, index);
  }
}

function isSameEntry(one: AppliedEntry, other: AppliedEntry): boolean {
  return one.term === other.term && one.kind === other.kind && isDeepStrictEqual(one.command, other.command);
}

function describe({ kind, term, command }: AppliedEntry): string {
  return kind === "command" ? `the command ${inspectShort(command)} of term ${term}` : `a ${kind} of term ${term}`;
}
