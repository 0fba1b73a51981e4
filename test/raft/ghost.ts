import type { PeerId } from "../../src/raft/message.ts";
import type { Cluster } from "./cluster.ts";
import { type Disk, type Peer, texts } from "./harness.ts";

interface Committed {
  readonly entry: string;
  /** The term in which it was first known to be committed. */
  readonly term: number;
}

/** What was seen of one peer so far. */
interface Seen {
  /** Its disk, entry by entry, as the saves alone tell; entry 1 first. */
  entries: string[];
  saves: number;
  savedTerm: number;
  incarnation: number;
  commitIndex: number;
}

function check(holds: boolean, message: () => string): void {
  if (!holds) throw new Error(message());
}

const termOf = (entry: string | undefined) => Number.parseInt(entry ?? "-1", 10);

/**
 * Remembers all that ever happened, which no peer can, and compares every step with it: the properties of Figure 3,
 * and what they rest on. Throws at the first that does not hold.
 */
export class Ghost {
  /** By index, from 1 on. */
  readonly committed: Committed[] = [];
  readonly leaders = new Map<number, PeerId>();
  truncations = 0;
  readsReleased = 0;
  readsRefused = 0;
  readonly #seen = new Map<PeerId, Seen>();
  readonly #votes = new Map<string, PeerId>();
  readonly #entries = new Map<string, string>();
  readonly #readFloors: number[] = [];

  /** A read that is asked for now; its id. It must see all that is committed by now. */
  addRead(): number {
    return this.#readFloors.push(this.committed.length) - 1;
  }

  /** To be called when `peer` has done something. */
  watch(cluster: Cluster, peer: Peer): void {
    for (const each of cluster.peers.values()) this.#followSaves(each.id, each.disk);
    const seen = this.#see(peer.id, peer.disk);
    const { role, currentTerm, commitIndex } = peer.raft;

    check(currentTerm === seen.savedTerm, () => `${peer.id} is in term ${currentTerm}, and ${seen.savedTerm} on disk`);
    if (peer.disk.incarnation > seen.incarnation) {
      seen.incarnation = peer.disk.incarnation;
      seen.commitIndex = 0;
    }
    if (role === "leader") this.#lead(peer, seen);
    this.#commit(peer, seen, commitIndex);
    for (const { id, index } of peer.released.splice(0)) {
      const floor = this.#readFloors[id] ?? 0;
      check(index >= floor, () => `linearizable reads: read ${id} at ${index}, though ${floor} was committed before`);
      this.readsReleased++;
    }
    this.readsRefused += peer.refused.splice(0).length;
  }

  /** Election safety, and leader completeness: it holds all that was committed in earlier terms. */
  #lead({ id, raft: { currentTerm } }: Peer, { entries }: Seen): void {
    const other = this.leaders.get(currentTerm);
    check(other === undefined || other === id, () => `election safety: ${other} and ${id} lead in term ${currentTerm}`);
    if (other === id) return;
    this.leaders.set(currentTerm, id);
    this.committed.forEach(({ entry, term }, at) => {
      check(
        term >= currentTerm || entries[at] === entry,
        () =>
          `leader completeness: ${id} leads in ${currentTerm} without entry ${at + 1} (${entry}), has ${entries[at]}`,
      );
    });
  }

  /** State machine safety; and what is committed is on the disks of a majority. */
  #commit(peer: Peer, seen: Seen, commitIndex: number): void {
    check(
      commitIndex >= seen.commitIndex,
      () => `${peer.id} went back from commit ${seen.commitIndex} to ${commitIndex}`,
    );
    while (seen.commitIndex < commitIndex) {
      for (const entry of texts(peer.raft.log.read(seen.commitIndex + 1, commitIndex))) {
        const at = seen.commitIndex++;
        check(seen.entries[at] === entry, () => `${peer.id} applies ${entry}, but its disk holds ${seen.entries[at]}`);
        const known = this.committed[at];
        if (known !== undefined) {
          check(known.entry === entry, () => `state machine safety: entry ${at + 1} is ${known.entry} and ${entry}`);
          continue;
        }
        const holders = this.#holders(at, entry);
        check(
          at === 0 || 2 * holders > this.#seen.size,
          () => `entry ${at + 1} (${entry}) is committed by ${peer.id}, and on ${holders} disks`,
        );
        this.committed.push({ entry, term: peer.raft.currentTerm });
      }
    }
  }

  #see(id: PeerId, disk: Disk): Seen {
    let seen = this.#seen.get(id);
    if (seen === undefined) {
      seen = { entries: texts(disk.batches), saves: 0, savedTerm: 0, incarnation: 0, commitIndex: 0 };
      this.#seen.set(id, seen);
    }
    return seen;
  }

  /** One vote a term; leaders append only; committed entries stay; log matching. */
  #followSaves(id: PeerId, disk: Disk): void {
    const seen = this.#see(id, disk);
    for (; seen.saves < disk.saves.length; seen.saves++) {
      const { hardState, truncateFrom, batches } = disk.saves[seen.saves] ?? { batches: [] };
      const savedTerm = hardState?.currentTerm ?? seen.savedTerm;
      check(savedTerm >= seen.savedTerm, () => `${id} went back from term ${seen.savedTerm} to ${savedTerm}`);
      seen.savedTerm = savedTerm;
      if (hardState?.votedFor !== undefined) {
        const ballot = `${id} in ${hardState.currentTerm}`;
        const vote = this.#votes.get(ballot) ?? hardState.votedFor;
        check(vote === hardState.votedFor, () => `two votes of ${ballot}: ${vote} and ${hardState.votedFor}`);
        this.#votes.set(ballot, vote);
      }
      if (truncateFrom !== undefined) this.#truncate(id, seen, truncateFrom);
      for (const batch of batches) {
        check(
          batch.firstIndex === seen.entries.length + 1,
          () => `${id} leaves a gap before entry ${batch.firstIndex}`,
        );
        for (const entry of texts([batch])) {
          const index = seen.entries.push(entry);
          const key = `${index} of ${batch.term}`;
          const content = `${entry} behind ${termOf(seen.entries[index - 2])}`;
          const known = this.#entries.get(key) ?? content;
          check(known === content, () => `log matching: entry ${key} is "${known}" and at ${id} "${content}"`);
          this.#entries.set(key, content);
        }
      }
    }
  }

  #truncate(id: PeerId, seen: Seen, from: number): void {
    this.truncations++;
    check(this.leaders.get(seen.savedTerm) !== id, () => `leader append-only: ${id} cuts its own log from ${from} on`);
    // One that is behind may drop what the others have committed; they may not become too few.
    seen.entries.length = from - 1;
    for (let at = from - 1; at < this.committed.length; at++) {
      const { entry = "" } = this.committed[at] ?? {};
      const holders = this.#holders(at, entry);
      check(
        2 * holders > this.#seen.size,
        () => `${id} drops ${entry}, which is committed, and leaves ${holders} copies`,
      );
    }
  }

  #holders(at: number, entry: string): number {
    return [...this.#seen.values()].filter((each) => each.entries[at] === entry).length;
  }
}
