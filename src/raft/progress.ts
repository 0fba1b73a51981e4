import type { SnapshotInfo } from "./effects.ts";
import type { PeerId } from "./message.ts";

/** So many rounds for reads a follower may leave unanswered before it is left out of further ones. */
const MOST_OPEN_ROUNDS = 16;

interface Inflight {
  readonly lastIndex: number;
  readonly bytes: number;
}

/** A snapshot on its way. */
interface Transfer {
  readonly snapshot: SnapshotInfo;
  /** What the follower lacks next. */
  nextChunk: number;
  /** The chunk behind the run that went out last. */
  runEnd: number;
  /** Since that run went out there was no heartbeat, so that its answer may still be on the way. */
  isFresh: boolean;
}

/**
 * What a leader knows of one follower (Figure 2, volatile state on leaders).
 *
 * While *probing* the leader does not know where the logs agree: one AppendEntries at a time. When one has matched it
 * *replicates*: messages follow each other without waiting, up to the window, and `nextIndex` runs ahead of what is
 * acknowledged. Loss shows as a rejection, of a heartbeat at the latest, and leads back to probing. A follower whose next
 * entry was compacted away gets a *snapshot*, one run of chunks at a time.
 *
 * Invariant: matchIndex < nextIndex. `nextIndex` is a guess, `matchIndex` a fact, and never falls.
 */
export class Progress {
  readonly id: PeerId;
  nextIndex: number;
  matchIndex = 0;
  state: "probe" | "replicate" | "snapshot" = "probe";
  /** In state `snapshot`. */
  transfer: Transfer | undefined;
  /** Not while replicating: one is under way, and the next waits for its reply or for a heartbeat. */
  probing = false;
  /** Of the process this progress is about; a new one has lost all that was under way. */
  incarnation = 0;
  /** When a reply last came in. */
  lastContact: number;
  /** The latest round that was acknowledged. */
  ackedRound = 0;
  /** When that round began; a lease counts from it. */
  ackedAt = Number.NEGATIVE_INFINITY;
  /** The highest leaderCommit that went out. */
  sentCommit = 0;
  /** A round for reads went by without it. */
  #missedRound = false;
  #inflight: Inflight[] = [];
  #inflightBytes = 0;
  /** Rounds for reads that it was asked for and has not answered, ascending. */
  #openRounds: number[] = [];

  constructor(id: PeerId, nextIndex: number, now: number) {
    this.id = id;
    this.nextIndex = nextIndex;
    this.lastContact = now;
  }

  /** Whether another message with entries may go out. */
  hasRoom(maxMessages: number, maxBytes: number): boolean {
    if (this.state !== "replicate") return !this.probing;
    return this.#inflight.length < maxMessages && this.#inflightBytes < maxBytes;
  }

  /**
   * Whether it is to be asked for a round for reads: one that stands still would find thousands in its inbox. It is told
   * of later rounds by entries and heartbeats, and asked again when it answers.
   */
  takesRound(round: number): boolean {
    this.#missedRound = this.#openRounds.length >= MOST_OPEN_ROUNDS;
    if (!this.#missedRound) this.#openRounds.push(round);
    return !this.#missedRound;
  }

  /** It has answered this round, and so all before it. @returns whether one went by that it was not asked for. */
  answeredRound(round: number): boolean {
    this.ackedRound = Math.max(this.ackedRound, round);
    const open = this.#openRounds.findIndex((asked) => asked > round);
    this.#openRounds.splice(0, open < 0 ? this.#openRounds.length : open);
    const missed = this.#missedRound;
    this.#missedRound = false;
    return missed;
  }

  /** Entries up to `lastIndex` went out. */
  sent(lastIndex: number, bytes: number): void {
    if (this.state !== "replicate") {
      this.probing = true;
      return;
    }
    this.nextIndex = lastIndex + 1;
    this.#inflight.push({ lastIndex, bytes });
    this.#inflightBytes += bytes;
  }

  /** The follower holds all up to `matchIndex` on its disk. Old news changes nothing. */
  matched(matchIndex: number): void {
    if (matchIndex < this.matchIndex) return;
    this.matchIndex = matchIndex;
    this.nextIndex = Math.max(this.nextIndex, matchIndex + 1);
    if (this.state !== "replicate") {
      // A snapshot that is under way goes on until the follower has what it stands for.
      if (this.transfer !== undefined && matchIndex < this.transfer.snapshot.index) return;
      this.state = "replicate";
      this.transfer = undefined;
      this.probing = false;
      this.nextIndex = matchIndex + 1;
    }
    let freed = 0;
    for (const message of this.#inflight) {
      if (message.lastIndex > matchIndex) break;
      this.#inflightBytes -= message.bytes;
      freed++;
    }
    if (freed > 0) this.#inflight.splice(0, freed);
  }

  /** A run of chunks went out, up to `runEnd`, that not included. */
  sentChunks(transfer: Transfer, runEnd: number): void {
    transfer.runEnd = runEnd;
    transfer.isFresh = true;
    this.probing = true;
  }

  /** The follower has the chunks before `nextChunk`. What it asks for goes out, unless it is under way. */
  lacksChunk(transfer: Transfer, nextChunk: number): void {
    // The answer to a chunk that was sent twice comes twice; what it asks for is under way since the first.
    if (nextChunk === transfer.nextChunk) return;
    const isUnderWay = nextChunk > transfer.nextChunk && nextChunk < transfer.runEnd;
    transfer.nextChunk = nextChunk;
    if (!isUnderWay) this.probing = false;
  }

  /** A heartbeat is due. What was not answered by now is repeated; nothing but the heartbeat to one who is silent. */
  heartbeat(isSilent: boolean): void {
    if (isSilent) this.lost();
    const { transfer } = this;
    this.probing = isSilent || (transfer?.isFresh ?? false);
    if (transfer !== undefined) transfer.isFresh = false;
  }

  /** What was under way did not arrive: asks again, from what is known to match or where it was asking. */
  lost(): void {
    if (this.state === "snapshot") this.probing = false;
    else this.probe(this.state === "replicate" ? this.matchIndex + 1 : this.nextIndex);
  }

  /** What the follower needs next is only in a snapshot. */
  sendSnapshot(snapshot: SnapshotInfo): void {
    this.probe(this.nextIndex);
    this.state = "snapshot";
    this.transfer = { snapshot, nextChunk: 0, runEnd: 0, isFresh: false };
  }

  /** Where the logs agree is not known any more; starts again at `nextIndex`, but never below what is known. */
  probe(nextIndex: number): void {
    this.state = "probe";
    this.transfer = undefined;
    this.probing = false;
    this.nextIndex = Math.max(nextIndex, this.matchIndex + 1);
    this.#inflight = [];
    this.#inflightBytes = 0;
  }
}
