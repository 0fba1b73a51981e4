import type { Effects } from "../raft/effects.ts";
import type { Message, PeerId } from "../raft/message.ts";
import type { RaftOptions } from "../raft/options.ts";
import { type Appended, Raft, type Stored, type StoreReader } from "../raft/raft.ts";
import type { TracedMessage, TraceStep, UntimedStep } from "./protocol.ts";

/** What of a peer's state is told when it changes. */
type Watched = Pick<Raft, "role" | "currentTerm" | "votedFor" | "leader" | "commitIndex">;

/** Makes the algorithm's instance of a peer. `tell` takes the steps of its trace, when somebody wants them. */
export type RaftFactory = (
  options: RaftOptions,
  stored: Stored,
  reader: StoreReader,
  clock: { now(): number },
  tell: ((step: TraceStep) => void) | undefined,
) => Raft;

/** A plain algorithm, or one that tells its steps. */
export const createRaft: RaftFactory = (options, stored, reader, clock, tell) =>
  tell === undefined
    ? new Raft(options, stored, reader, clock.now())
    : new TracedRaft(options, stored, reader, clock, tell);

/**
 * The algorithm, telling of every step: each input is told, then what it changed, then what is to be done. Who wants no
 * trace runs a plain `Raft`, which knows nothing of this.
 */
export class TracedRaft extends Raft {
  readonly #now: () => number;
  readonly #tell: (step: TraceStep) => void;
  #before: Watched;
  /** Leaves when the save is durable. */
  #waiting: Effects["after"] = [];

  /** @param tell takes the steps in their order; it must not call back. */
  constructor(
    options: RaftOptions,
    stored: Stored,
    reader: StoreReader,
    clock: { now(): number },
    tell: (step: TraceStep) => void,
  ) {
    super(options, stored, reader, clock.now());
    this.#now = () => clock.now();
    this.#tell = tell;
    this.#before = this.#watched();
    const { currentTerm, votedFor, log, snapshot } = this;
    const { firstIndex, lastIndex } = log;
    this.#add({ kind: "start", currentTerm, votedFor, firstIndex, lastIndex, snapshotIndex: snapshot?.index ?? 0 });
  }

  override step(from: PeerId, incarnation: number, message: Message, now: number): void {
    this.#add({ kind: "receive", from, message: withoutLoad(message) });
    super.step(from, incarnation, message, now);
    this.#addChanges();
  }

  override propose(packed: Uint8Array, time: number): Appended | undefined {
    const appended = super.propose(packed, time);
    if (appended !== undefined) {
      const { firstIndex, lastIndex } = appended;
      this.#add({ kind: "propose", firstIndex, lastIndex });
    }
    return appended;
  }

  override advance(now: number): void {
    super.advance(now);
    this.#addChanges();
  }

  override peerDied(peer: PeerId, incarnation: number, now: number): void {
    this.#add({ kind: "peer-died", peer, incarnation });
    super.peerDied(peer, incarnation, now);
    this.#addChanges();
  }

  override effects(): Effects | undefined {
    const effects = super.effects();
    this.#addChanges();
    if (effects === undefined) return undefined;
    const { before, save, after, restore } = effects;
    for (const { to, message } of before) this.#add({ kind: "send", to, message: withoutLoad(message) });
    if (save?.truncateFrom !== undefined) this.#add({ kind: "truncate", from: save.truncateFrom });
    const [first, last] = [save?.batches[0], save?.batches.at(-1)];
    if (first !== undefined && last !== undefined) {
      this.#add({ kind: "append", firstIndex: first.firstIndex, lastIndex: last.lastIndex });
    }
    if (save?.snapshot !== undefined) {
      this.#add({ kind: "snapshot", index: save.snapshot.index, installed: restore !== undefined });
    }
    if (save === undefined) this.#addSent(after);
    else this.#waiting = after;
    return effects;
  }

  override saved(now: number): void {
    this.#add({ kind: "saved" });
    super.saved(now);
    this.#addChanges();
    this.#addSent(this.#waiting);
    this.#waiting = [];
  }

  #addSent(outgoing: Effects["after"]): void {
    for (const { to, message } of outgoing) this.#add({ kind: "send", to, message: withoutLoad(message) });
  }

  #watched(): Watched {
    const { role, currentTerm, votedFor, leader, commitIndex } = this;
    return { role, currentTerm, votedFor, leader, commitIndex };
  }

  #addChanges(): void {
    const before = this.#before;
    const { role, currentTerm, votedFor, leader, commitIndex } = this;
    const isInNewTerm = currentTerm !== before.currentTerm;
    if (isInNewTerm || role !== before.role) this.#add({ kind: "role", role, currentTerm });
    if (votedFor !== undefined && (isInNewTerm || votedFor !== before.votedFor)) {
      this.#add({ kind: "vote", votedFor, currentTerm });
    }
    if (leader !== undefined && role !== "leader" && (isInNewTerm || leader !== before.leader)) {
      this.#add({ kind: "follow", leader, currentTerm });
    }
    if (commitIndex !== before.commitIndex) this.#add({ kind: "commit", commitIndex });
    this.#before = this.#watched();
  }

  #add(step: UntimedStep): void {
    this.#tell({ at: this.#now(), ...step });
  }
}

function withoutLoad(message: Message): TracedMessage {
  switch (message.type) {
    case "AppendEntries": {
      const { batches, ...rest } = message;
      return { ...rest, lastIndex: batches.at(-1)?.lastIndex ?? rest.prevLogIndex };
    }
    case "InstallSnapshot": {
      const { data, ...rest } = message;
      return { ...rest, bytes: data.byteLength };
    }
    default:
      return message;
  }
}
