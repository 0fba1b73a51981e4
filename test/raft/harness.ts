import type { Outgoing, ReleasedRead, SnapshotInfo } from "../../src/raft/effects.ts";
import type { Batch } from "../../src/raft/entry.ts";
import type { AppendEntries, AppendEntriesReply, InstallSnapshot, Message, PeerId } from "../../src/raft/message.ts";
import { DEFAULT_LIMITS, type RaftOptions } from "../../src/raft/options.ts";
import { Raft } from "../../src/raft/raft.ts";
import type { Disk } from "./disk.ts";
import { copyBatch, pack, texts } from "./entries.ts";
import { Machine } from "./machine.ts";

export const HEARTBEAT_MS = 10;
export const ELECTION_MS = [100, 200] as const;

/** Timers fire at the shortest election timeout unless a test brings its own `random`. */
const OPTIONS: Omit<RaftOptions, "id"> = {
  ...DEFAULT_LIMITS,
  heartbeatMs: HEARTBEAT_MS,
  electionMs: ELECTION_MS,
  commitNewsMs: 2,
  snapshotTail: 0,
  snapshotTailMax: 0,
  random: () => 0,
};

/** Begins a process of a peer with what is on its disk. */
export type MakeRaft = (options: RaftOptions, disk: Disk, now: number) => Raft;

/** One peer, driven by hand: every input is followed by all of its effects, in their order. */
export class Peer {
  readonly id: PeerId;
  readonly disk: Disk;
  now = 0;
  released: ReleasedRead[] = [];
  refused: number[] = [];
  /** Fed with what is committed, or restored, as the effects say. */
  machine = new Machine();
  /** How often it was restored from a snapshot of a leader. */
  installs = 0;
  /** How often a snapshot of its own gave way to one of a leader. */
  putOut = 0;
  /** Its own next snapshot, of which the chunks are set aside one by one. */
  building: { readonly info: SnapshotInfo; readonly chunks: readonly Uint8Array[]; next: number } | undefined;
  readonly #options: RaftOptions;
  readonly #make: MakeRaft;
  #raft: Raft;

  constructor(
    id: PeerId,
    disk: Disk,
    options: Partial<RaftOptions> = {},
    make: MakeRaft = (all, from, now) => new Raft(all, from.stored(), from, now),
  ) {
    this.id = id;
    this.disk = disk;
    this.#options = { ...OPTIONS, id, ...options };
    this.#make = make;
    this.#raft = this.#start();
    this.#apply();
  }

  get raft(): Raft {
    return this.#raft;
  }

  /** What can be seen of it, as plain data. */
  get facts() {
    const { role, leader, currentTerm, votedFor, commitIndex, wakeAt } = this.#raft;
    return { role, leader, currentTerm, votedFor, commitIndex, wakeAt };
  }

  /** All entries of the log, but for the configuration. */
  get log(): string[] {
    const { log } = this.#raft;
    const found: Batch[] = [];
    for (let from = Math.max(2, log.firstIndex); from <= log.lastIndex; from = (found.at(-1)?.lastIndex ?? from) + 1) {
      found.push(...log.read(from, log.lastIndex));
    }
    return texts(found);
  }

  #start(): Raft {
    this.disk.incarnation++;
    this.disk.staged = [];
    this.building = undefined;
    this.machine = Machine.parse(this.disk.content);
    return this.#make(this.#options, this.disk, this.now);
  }

  /** A new process over what the disk holds; all else is gone. */
  restart(): void {
    this.#raft = this.#start();
    this.#apply();
  }

  /** Takes in a message as the wire would bring it. */
  step(from: PeerId, message: Message, incarnation = 1): void {
    this.#raft.step(from, incarnation, copyMessage(message), this.now);
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

  /** Freezes the state for a snapshot of its own. @returns false when there is nothing new since the last one. */
  beginSnapshot(chunkBytes = 16): boolean {
    const { raft, machine } = this;
    const { applied: index } = machine;
    if (index <= (raft.snapshot?.index ?? 0)) return false;
    const data = Buffer.from(machine.content(this.id));
    const chunks = chunksOf(data, chunkBytes);
    const head = { index, term: raft.log.termAt(index) ?? -1, time: 0, configuration: raft.configuration, version: 0 };
    this.building = { info: { ...head, chunks: chunks.length, bytes: data.byteLength }, chunks, next: 0 };
    return true;
  }

  /** Sets the next chunk of it aside, and completes it with the last one. */
  continueSnapshot(): void {
    const { building } = this;
    if (building === undefined) return;
    const chunk = building.chunks[building.next];
    if (chunk === undefined || !this.#raft.stageChunk(building.next, chunk)) {
      this.building = undefined;
      this.putOut++;
      return;
    }
    building.next++;
    if (building.next < building.chunks.length) return;
    this.#raft.completeSnapshot(building.info, this.now);
    this.building = undefined;
  }

  /** All of it in one step. */
  takeSnapshot(chunkBytes?: number): Outgoing[] {
    this.beginSnapshot(chunkBytes);
    while (this.building !== undefined) this.continueSnapshot();
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
      if (effects.restore !== undefined) this.#restore(effects.restore);
      sent.push(...effects.after);
      this.released.push(...effects.reads);
      for (const id of effects.refusedReads) this.refused.push(id);
    }
    if (crash === undefined) this.#apply();
    return sent;
  }

  #restore({ index }: SnapshotInfo): void {
    if (this.disk.snapshot?.info.index !== index) throw new Error(`${this.id} has no snapshot of ${index} to restore`);
    this.machine = Machine.parse(this.disk.content);
    if (this.building !== undefined) this.putOut++;
    this.building = undefined;
    this.installs++;
  }

  #apply(): void {
    const { machine, disk } = this;
    const { commitIndex, log } = this.#raft;
    // These reads are not the algorithm's.
    const { reads } = disk;
    while (machine.applied < commitIndex) {
      for (const entry of texts(log.read(machine.applied + 1, commitIndex))) machine.apply(entry);
    }
    disk.reads = reads;
  }
}

/** The receiver owns bytes of its own. */
function copyMessage(message: Message): Message {
  if (message.type === "AppendEntries") return { ...message, batches: message.batches.map(copyBatch) };
  if (message.type === "InstallSnapshot") return { ...message, data: message.data.slice() };
  return message;
}

function chunksOf(data: Uint8Array, chunkBytes: number): Uint8Array[] {
  const count = Math.ceil(data.byteLength / chunkBytes);
  return Array.from({ length: count }, (_, at) => data.subarray(at * chunkBytes, (at + 1) * chunkBytes));
}

export function appendEntries(over: Partial<AppendEntries> = {}): AppendEntries {
  const prev = { prevLogIndex: 1, prevLogTerm: 0 };
  return { type: "AppendEntries", term: 1, ...prev, leaderCommit: 1, round: 1, isQuiet: false, batches: [], ...over };
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

/** The answer to an AppendEntries that matched. */
export function success(to: AppendEntries, over: Partial<AppendEntriesReply> = {}): AppendEntriesReply {
  return {
    ...{ type: "AppendEntriesReply", term: to.term, round: to.round, success: true, prevLogIndex: to.prevLogIndex },
    ...{ matchIndex: to.batches.at(-1)?.lastIndex ?? to.prevLogIndex, conflictIndex: 0, conflictTerm: -1 },
    ...over,
  };
}

/** The answer to one that did not. */
export function rejection(
  to: AppendEntries,
  conflictIndex: number,
  conflictTerm = -1,
  over: Partial<AppendEntriesReply> = {},
): AppendEntriesReply {
  return success(to, { success: false, matchIndex: 0, conflictIndex, conflictTerm, ...over });
}

/** The chunks that go to `to`. */
export function installs(sent: readonly Outgoing[], to: PeerId): InstallSnapshot[] {
  return sent.flatMap((each) => (each.to === to && each.message.type === "InstallSnapshot" ? [each.message] : []));
}
