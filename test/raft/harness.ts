import type { HardState, Outgoing, ReleasedRead, Save } from "../../src/raft/effects.ts";
import {
  type Batch,
  batchPosition,
  bootstrapBatch,
  type Configuration,
  EntryKind,
  forEachEntry,
  packEntries,
  parseBatch,
  sliceBatch,
  stampBatch,
} from "../../src/raft/entry.ts";
import type { TermRun } from "../../src/raft/log.ts";
import type { AppendEntries, Message, PeerId } from "../../src/raft/message.ts";
import { DEFAULT_LIMITS, type RaftOptions } from "../../src/raft/options.ts";
import { Raft, type Stored } from "../../src/raft/raft.ts";

export const HEARTBEAT_MS = 10;
export const ELECTION_MS = [100, 200] as const;

/** Timers fire at the shortest election timeout unless a test brings its own `random`. */
const OPTIONS: Omit<RaftOptions, "id"> = {
  ...DEFAULT_LIMITS,
  heartbeatMs: HEARTBEAT_MS,
  electionMs: ELECTION_MS,
  commitNewsMs: 2,
  random: () => 0,
};

/** Packs texts as commands, or as a no-op when there are none. */
export function pack(texts: readonly string[]): Uint8Array {
  const encoder = new TextEncoder();
  return texts.length === 0
    ? packEntries(EntryKind.noop, [new Uint8Array()])
    : packEntries(
        EntryKind.command,
        texts.map((text) => encoder.encode(text)),
      );
}

/** A stamped batch of commands, or one no-op. */
export function batch(firstIndex: number, term: number, ...texts: string[]): Batch {
  return stampBatch(pack(texts), { firstIndex, term, time: 0 });
}

function copyBatch(original: Batch): Batch {
  return parseBatch(original.bytes.slice());
}

/** Each entry of the batches as `term:text`. */
export function texts(batches: readonly Batch[]): string[] {
  const decoder = new TextDecoder();
  const found: string[] = [];
  for (const each of batches) {
    forEachEntry(each, each.firstIndex, (_index, _kind, data) => found.push(`${each.term}:${decoder.decode(data)}`));
  }
  return found;
}

/** What a peer has on its disk: saves are atomic, and what is read is a copy. */
export class Disk {
  hardState: HardState = { currentTerm: 0, votedFor: undefined };
  batches: Batch[];
  incarnation = 0;
  readonly configuration: Configuration;
  saves: Save[] = [];
  reads = 0;

  constructor(voters: readonly PeerId[]) {
    this.configuration = { voters };
    this.batches = [bootstrapBatch(this.configuration)];
  }

  /** A disk that was in use up to `currentTerm`, with one entry a batch of these terms from index 2 on. */
  static holding(
    voters: readonly PeerId[],
    terms: readonly number[],
    currentTerm = terms.at(-1) ?? 0,
    votedFor?: PeerId,
  ): Disk {
    const disk = new Disk(voters);
    disk.append(terms.map((term, at) => batch(at + 2, term, `${term}.${at + 2}`)));
    disk.hardState = { currentTerm, votedFor };
    return disk;
  }

  get lastIndex(): number {
    return this.batches.at(-1)?.lastIndex ?? 0;
  }

  get endPosition(): number {
    const last = this.batches.at(-1);
    return last === undefined ? 0 : batchPosition(last) + last.bytes.byteLength;
  }

  append(batches: readonly Batch[]): void {
    for (const each of batches) {
      const copy = copyBatch(each);
      new DataView(copy.bytes.buffer).setFloat64(40, this.endPosition, true);
      this.batches.push(copy);
    }
  }

  save(save: Save): void {
    const { truncateFrom: end } = save;
    this.saves.push(save);
    this.hardState = save.hardState ?? this.hardState;
    if (end !== undefined) {
      this.batches = this.batches
        .filter((each) => each.firstIndex < end)
        .map((each) => sliceBatch(each, each.firstIndex, end - 1));
    }
    this.batches.push(...save.batches.map(copyBatch));
  }

  readonly read = (from: number, maxBytes: number): Batch[] => {
    this.reads++;
    const found: Batch[] = [];
    let bytes = 0;
    for (const each of this.batches) {
      if (each.lastIndex < from) continue;
      bytes += each.bytes.byteLength;
      if (found.length > 0 && bytes > maxBytes) break;
      found.push(copyBatch(each));
    }
    return found;
  };

  stored(): Stored {
    const terms: TermRun[] = [];
    for (const { firstIndex, term } of this.batches) {
      if (terms.at(-1)?.term !== term) terms.push({ firstIndex, term });
    }
    const { hardState, configuration, lastIndex, endPosition } = this;
    const lastTime = this.batches.at(-1)?.time ?? 0;
    const range = { firstIndex: 1, lastIndex, lastTime, terms, firstPosition: 0, endPosition };
    return { hardState, configuration, used: this.incarnation > 1, ...range };
  }
}

/** One peer, driven by hand: every input is followed by all of its effects, in their order. */
export class Peer {
  readonly id: PeerId;
  readonly disk: Disk;
  now = 0;
  released: ReleasedRead[] = [];
  refused: number[] = [];
  readonly #options: RaftOptions;
  #raft: Raft;

  constructor(id: PeerId, disk: Disk, options: Partial<RaftOptions> = {}) {
    this.id = id;
    this.disk = disk;
    this.#options = { ...OPTIONS, id, ...options };
    this.#raft = this.#start();
  }

  get raft(): Raft {
    return this.#raft;
  }

  /** What can be seen of it, as plain data. */
  get facts() {
    const { role, leader, currentTerm, votedFor, commitIndex, wakeAt } = this.#raft;
    return { role, leader, currentTerm, votedFor, commitIndex, wakeAt };
  }

  /** All entries behind the configuration. */
  get log(): string[] {
    const { log } = this.#raft;
    const found: Batch[] = [];
    for (let from = 2; from <= log.lastIndex; from = (found.at(-1)?.lastIndex ?? from) + 1) {
      found.push(...log.read(from, log.lastIndex));
    }
    return texts(found);
  }

  #start(): Raft {
    this.disk.incarnation++;
    return new Raft(this.#options, this.disk.stored(), this.disk.read, this.now);
  }

  /** A new process over what the disk holds; all else is gone. */
  restart(): void {
    this.#raft = this.#start();
  }

  /** Takes in a message as the wire would bring it. */
  step(from: PeerId, message: Message, incarnation = 1): void {
    // The receiver owns bytes of its own.
    const copy = message.type === "AppendEntries" ? { ...message, batches: message.batches.map(copyBatch) } : message;
    this.#raft.step(from, incarnation, copy, this.now);
  }

  /** The same; returns what is sent because of it. */
  receive(from: PeerId, message: Message, incarnation = 1): Outgoing[] {
    this.step(from, message, incarnation);
    return this.settle();
  }

  propose(...commands: string[]): Outgoing[] {
    this.#raft.propose(pack(commands), this.now);
    return this.settle();
  }

  tick(ms: number): Outgoing[] {
    this.now += ms;
    this.#raft.advance(this.now);
    return this.settle();
  }

  /** Lets the time pass until the next timer fires. */
  wake(): Outgoing[] {
    return this.tick(Math.max(0, this.#raft.wakeAt - this.now));
  }

  /**
   * Carries effects out until there are none. With `crash` the process dies before its first save, or right after it;
   * whoever asks for it restarts the peer.
   */
  settle(crash?: "before save" | "after save"): Outgoing[] {
    const sent: Outgoing[] = [];
    for (let effects = this.#raft.effects(); effects !== undefined; effects = this.#raft.effects()) {
      sent.push(...effects.before);
      if (crash === "before save") break;
      if (effects.save !== undefined) {
        this.disk.save(effects.save);
        if (crash === "after save") break;
        this.#raft.saved(this.now);
      }
      sent.push(...effects.after);
      this.released.push(...effects.reads);
      this.refused.push(...effects.refusedReads);
    }
    return sent;
  }
}

export function appendEntries(over: Partial<AppendEntries> = {}): AppendEntries {
  const prev = { prevLogIndex: 1, prevLogTerm: 0 };
  return { type: "AppendEntries", term: 1, ...prev, leaderCommit: 1, round: 1, batches: [], ...over };
}

/** Makes a peer the leader by the pre-votes and votes of `supporters`; returns what it sends once elected. */
export function elect(peer: Peer, ...supporters: PeerId[]): Outgoing[] {
  peer.tick(Math.max(0, peer.raft.wakeAt - peer.now));
  const proposedTerm = peer.raft.currentTerm + 1;
  let sent: Outgoing[] = [];
  const voteGranted = true;
  for (const from of supporters)
    sent = peer.receive(from, { type: "PreVoteReply", term: 0, proposedTerm, voteGranted });
  for (const from of supporters)
    sent = peer.receive(from, { type: "RequestVoteReply", term: proposedTerm, voteGranted });
  return sent;
}

/** The AppendEntries that go to `to`. */
export function appends(sent: readonly Outgoing[], to: PeerId): AppendEntries[] {
  return sent.flatMap((each) => (each.to === to && each.message.type === "AppendEntries" ? [each.message] : []));
}
