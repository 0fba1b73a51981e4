import { invariant } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { majority } from "../raft/quorum.ts";
import type { Role } from "../raft/state.ts";

const STATES = ["down", "up", "paused", "wedged", "given-up"] as const;
const ROLES: readonly Role[] = ["follower", "pre-candidate", "candidate", "leader"];

/**
 * How a peer's thread is: `wedged` hangs in native code and cannot be stopped, `given-up` died too often or has lost
 * its store.
 */
export type PeerState = (typeof STATES)[number];

/** What a peer says of itself. Names as in the paper. */
export interface PeerFields {
  readonly role: Role;
  readonly currentTerm: number;
  readonly votedFor: PeerId | undefined;
  readonly leader: PeerId | undefined;
  readonly commitIndex: number;
  readonly lastApplied: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** 0: no snapshot. */
  readonly snapshotIndex: number;
  /** Size of the live log, encoded. */
  readonly logBytes: number;
  /** 0: the peer has never run. */
  readonly incarnation: number;
}

/**
 * The last report of a peer and how its thread is. One that is neither up nor paused leads nobody and follows nobody:
 * its role is `follower`, its leader undefined; the rest is what it said last.
 */
export interface PeerStatus extends PeerFields {
  readonly id: PeerId;
  readonly state: PeerState;
}

/** Every field of a report is one f64 at its position here; peers as their position in the list plus one. */
const FIELDS = [
  "role",
  "currentTerm",
  "votedFor",
  "leader",
  "commitIndex",
  "lastApplied",
  "firstIndex",
  "lastIndex",
  "snapshotIndex",
  "logBytes",
  "incarnation",
] as const satisfies (keyof PeerFields)[];

/**
 * A block of the board belongs to one peer, and fills whole cache lines:
 *
 *     0 i32 state      written by the supervisor
 *     4 i32 version    of the report, counts up; the report in force stands in slot `version & 1`
 *     8     two slots, each a report
 */
const VERSION_WORD = 1;
const SLOTS_AT = 1;
const BLOCK_FLOATS = Math.ceil((SLOTS_AT + 2 * FIELDS.length) / 8) * 8;

/** The memory of a board on which every peer is down and has said nothing yet. */
export function createBoard(peers: readonly PeerId[]): SharedArrayBuffer {
  return new SharedArrayBuffer(peers.length * BLOCK_FLOATS * 8);
}

/**
 * What is known of each peer, in memory that all threads share: a peer writes its reports, its supervisor its state,
 * and anybody reads, whether the peer is busy, paused or dead. Every thread has a board of its own over one buffer.
 *
 * A peer writes a report into the slot that is not in force and then raises the version. So a thread that is killed
 * in the middle leaves the report before it whole, and a reader waits for nobody: only who is overtaken by two reports
 * reads again. All words of a report are written and read by Atomics, since the order of these is certain.
 */
export class Board {
  readonly #peers: readonly PeerId[];
  readonly #positions: ReadonlyMap<PeerId, number>;
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  /** One number, and its two words. */
  readonly #number = new Float64Array(1);
  readonly #numberWords = new Int32Array(this.#number.buffer);

  /** @param peers the list that the buffer was made for, in the same order. */
  constructor(buffer: SharedArrayBuffer, peers: readonly PeerId[]) {
    const needed = peers.length * BLOCK_FLOATS * 8;
    invariant(
      buffer.byteLength === needed,
      () => `a board of ${peers.length} peers has ${needed} bytes, got ${buffer.byteLength}`,
    );
    this.#peers = [...peers];
    this.#positions = new Map(peers.map((peer, position) => [peer, position]));
    this.#words = new Int32Array(buffer);
    this.#floats = new Float64Array(buffer);
  }

  /** Puts up a peer's report. For its own thread only: one writer at a time. */
  publish(peer: PeerId, report: PeerFields): void {
    const block = this.#block(peer);
    const version = Atomics.load(this.#words, 2 * block + VERSION_WORD) + 1;
    const slot = slotAt(block, version);
    this.#write(slot, ROLES.indexOf(report.role));
    this.#write(slot + 1, report.currentTerm);
    this.#write(slot + 2, this.#toNumber(report.votedFor));
    this.#write(slot + 3, this.#toNumber(report.leader));
    this.#write(slot + 4, report.commitIndex);
    this.#write(slot + 5, report.lastApplied);
    this.#write(slot + 6, report.firstIndex);
    this.#write(slot + 7, report.lastIndex);
    this.#write(slot + 8, report.snapshotIndex);
    this.#write(slot + 9, report.logBytes);
    this.#write(slot + 10, report.incarnation);
    Atomics.store(this.#words, 2 * block + VERSION_WORD, version);
  }

  /** Says how a peer's thread is. For the supervisor only. */
  setState(peer: PeerId, state: PeerState): void {
    Atomics.store(this.#words, 2 * this.#block(peer), STATES.indexOf(state));
  }

  /** The last report of a peer and the state of its thread, as of now. */
  status(peer: PeerId): PeerStatus {
    const block = this.#block(peer);
    const state = STATES[Atomics.load(this.#words, 2 * block)] ?? "down";
    const report = this.#read(block);
    const isAlive = state === "up" || state === "paused";
    return {
      id: peer,
      state,
      ...report,
      role: isAlive ? report.role : "follower",
      leader: isAlive ? report.leader : undefined,
    };
  }

  /** Whether the others of a peer are enough to elect a leader, and none of them leads yet. */
  isElecting(without: PeerId): boolean {
    const others = this.#peers.filter((peer) => peer !== without).map((peer) => this.status(peer));
    const up = others.filter(({ state }) => state === "up");
    return up.length >= majority(this.#peers.length) && up.every(({ role }) => role !== "leader");
  }

  /** Only a peer that lives and publishes twice during one reading makes another necessary. */
  #read(block: number): PeerFields {
    for (;;) {
      const version = Atomics.load(this.#words, 2 * block + VERSION_WORD);
      const slot = slotAt(block, version);
      const report: PeerFields = {
        role: ROLES[this.#load(slot)] ?? "follower",
        currentTerm: this.#load(slot + 1),
        votedFor: this.#toPeer(this.#load(slot + 2)),
        leader: this.#toPeer(this.#load(slot + 3)),
        commitIndex: this.#load(slot + 4),
        lastApplied: this.#load(slot + 5),
        firstIndex: this.#load(slot + 6),
        lastIndex: this.#load(slot + 7),
        snapshotIndex: this.#load(slot + 8),
        logBytes: this.#load(slot + 9),
        incarnation: this.#load(slot + 10),
      };
      if (Atomics.load(this.#words, 2 * block + VERSION_WORD) === version) return report;
    }
  }

  /** Only the peer writes to its slots, so it may compare before it pays for an atomic store. */
  #write(at: number, value: number): void {
    if (this.#floats[at] === value) return;
    this.#number[0] = value;
    Atomics.store(this.#words, 2 * at, this.#numberWords[0] ?? 0);
    Atomics.store(this.#words, 2 * at + 1, this.#numberWords[1] ?? 0);
  }

  #load(at: number): number {
    this.#numberWords[0] = Atomics.load(this.#words, 2 * at);
    this.#numberWords[1] = Atomics.load(this.#words, 2 * at + 1);
    return this.#number[0] ?? 0;
  }

  /** Where the peer's block begins, in floats. */
  #block(peer: PeerId): number {
    return this.#position(peer) * BLOCK_FLOATS;
  }

  #position(peer: PeerId): number {
    const position = this.#positions.get(peer);
    invariant(position !== undefined, () => `no peer of this board is named "${peer}"`);
    return position;
  }

  #toNumber(peer: PeerId | undefined): number {
    return peer === undefined ? 0 : this.#position(peer) + 1;
  }

  #toPeer(number: number): PeerId | undefined {
    return this.#peers[number - 1];
  }
}

function slotAt(block: number, version: number): number {
  return block + SLOTS_AT + (version & 1) * FIELDS.length;
}
