import { type Entry, PlainLog } from "./plain-log.ts";
import type { Bytes, Message, Role, Save, Snapshot, Start, VoteRequest } from "./trace.ts";

/** What a life leaves to the next (Figure 2, persistent state). */
export interface Durable {
  currentTerm: number;
  votedFor: string | undefined;
  log: PlainLog;
  snapshot: Snapshot | undefined;
}

/** A term in which this server leads, or led until a moment ago (Figure 2, volatile state on leaders). */
export interface Leadership {
  readonly term: number;
  /** The server's own while it leads; then what that was in the end. */
  log: PlainLog;
  commitIndex: number;
  readonly matchIndex: Map<string, number>;
  /** The latest round of contact that each of the others has answered. */
  readonly ackedRound: Map<string, number>;
  /** When each round was first sent, at the latest. */
  readonly sentRounds: { readonly round: number; readonly at: number }[];
}

/** A read that waits for its release. */
export interface PendingRead {
  /** Who asked: this server itself, or a follower, by a token. */
  readonly from: string;
  readonly id: number;
  /** A leader answers only when a majority has answered a later round than this one. */
  readonly round: number;
  readonly minIndex: number;
  readonly term: number;
}

/** A reply that a request has made possible; says what is wrong with another. */
export interface Owed {
  readonly to: string;
  readonly type: Message["type"];
  /** Of a reply that may leave before others: what it has in common with the one that it belongs to. */
  readonly about?: string;
  readonly check: (reply: Message) => void;
}

/** One server of the specification, with what is needed to judge the next step. */
export class Server {
  readonly id: string;
  readonly voters: readonly string[];
  readonly electionMs: readonly [number, number];
  readonly leaseMs: number;

  // Figure 2: persistent, and what of it is on disk.
  currentTerm: number;
  votedFor: string | undefined;
  readonly log: PlainLog;
  durable: Durable;
  /** From which index on the log may differ from that on disk. */
  dirtyFrom = Number.POSITIVE_INFINITY;
  /** Handed out, and not yet reported as durable. */
  saving: Save | undefined;

  // Figure 2: volatile.
  role: Role = "follower";
  commitIndex: number;
  leader: string | undefined;
  leadership: Leadership | undefined;
  /** Those that ended since effects were last taken: what they have sent may still leave. */
  ended: Leadership[] = [];
  preVotes = new Set<string>();
  votesGranted = new Set<string>();

  // Refinements.
  snapshot: Snapshot | undefined;
  readonly incarnations = new Map<string, number>();
  /** The latest time that was told. */
  clock: number;
  lastLeaderContact = Number.NEGATIVE_INFINITY;
  /** Of the process that was heard then: news of the death of one before it may come late. */
  leaderIncarnation = 0;
  readonly noVoteBefore: number;
  /** What candidates may have asked since effects were last taken. */
  asked: VoteRequest[] = [];
  owed: Owed[] = [];
  pendingReads: PendingRead[] = [];
  /** How often effects were taken. */
  turn = 0;
  /** Followers: in which turn each read came in. */
  readonly forwardedReads = new Map<number, number>();
  /** Followers: in which turn the leader was asked, by token, and what it has answered. */
  readonly forwarded = new Map<number, { readonly turn: number; index: number | undefined }>();

  // Snapshots on their way.
  /** By sender and index. */
  readonly received = new Map<string, { info: Snapshot | undefined; readonly chunks: Map<number, Bytes> }>();
  /** What is set aside on the disk. */
  aside: Bytes[] = [];
  /** One that is complete and not written yet; if it was installed, with the chunks that it must consist of. */
  completed: { readonly info: Snapshot; readonly chunks: ReadonlyMap<number, Bytes> | undefined } | undefined;

  /** @param log of the life before, whose entries are known better than by what a store tells. */
  constructor({ options, stored, now }: Start, log = PlainLog.stored(stored)) {
    this.id = options.id;
    this.voters = stored.configuration.voters;
    this.electionMs = options.electionMs;
    this.leaseMs = options.leaseMs ?? 0;
    this.currentTerm = stored.hardState.currentTerm;
    this.votedFor = stored.hardState.votedFor;
    this.log = log;
    this.snapshot = stored.snapshot;
    this.durable = { ...stored.hardState, log: log.copy(), snapshot: stored.snapshot };
    // The configuration is the first entry everywhere from the beginning, and so committed.
    this.commitIndex = Math.max(stored.snapshot?.index ?? 1, stored.applied?.index ?? 0);
    this.clock = now;
    this.noVoteBefore = stored.used && !options.coldStart ? now + options.electionMs[0] : Number.NEGATIVE_INFINITY;
  }

  isMajority(count: number): boolean {
    return 2 * count > this.voters.length;
  }

  append(entry: Entry): void {
    this.log.append(entry);
    this.dirtyFrom = Math.min(this.dirtyFrom, this.log.lastIndex);
  }

  truncateFrom(index: number): void {
    this.log.truncateFrom(index);
    this.dirtyFrom = Math.min(this.dirtyFrom, index);
  }

  /** §5.4.1: whether a log that ends so is at least as up to date as this one. */
  isUpToDate(lastLogIndex: number, lastLogTerm: number): boolean {
    const { lastTerm, lastIndex } = this.log;
    return lastLogTerm > lastTerm || (lastLogTerm === lastTerm && lastLogIndex >= lastIndex);
  }

  /** The leader of its term has sent entries, or a snapshot. */
  heardLeader(leader: string, now: number): void {
    this.lastLeaderContact = now;
    this.leaderIncarnation = this.incarnations.get(leader) ?? 0;
  }

  /** Dissertation 4.2.3: whether it must not vote, since somebody leads or may still rely on what it promised. */
  standsByLeader(now: number): boolean {
    return now < this.noVoteBefore || now - this.lastLeaderContact < this.electionMs[0];
  }

  /** Leads, or has led in this term since effects were last taken. */
  leadershipOf(term: number): Leadership | undefined {
    return [this.leadership, ...this.ended].find((leadership) => leadership?.term === term);
  }
}
