import type { SnapshotInfo } from "../../src/raft/effects.ts";
import { EMPTY_SAVE } from "../../src/raft/effects.ts";
import type { PeerId } from "../../src/raft/message.ts";
import type { Cluster } from "./cluster.ts";
import type { Disk } from "./disk.ts";
import { texts } from "./entries.ts";
import type { Peer } from "./harness.ts";
import { Machine } from "./machine.ts";

interface Committed {
  readonly entry: string;
  /** The term in which it was first known to be committed. */
  readonly term: number;
}

/** What was seen of one peer so far. */
interface Seen {
  /**
   * Its disk, entry by entry, as the saves alone tell; entry 1 first. A snapshot holds all entries that it stands for,
   * so compaction takes nothing away.
   */
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
  /** The state after each committed entry, by full replay; at 0 the one before all. */
  readonly states: string[] = [new Machine().state];
  truncations = 0;
  snapshots = 0;
  installs = 0;
  compactions = 0;
  readsReleased = 0;
  readsRefused = 0;
  readonly #seen = new Map<PeerId, Seen>();
  readonly #votes = new Map<string, PeerId>();
  readonly #entries = new Map<string, string>();
  readonly #readFloors: number[] = [];
  readonly #replay = new Machine();

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
      seen.commitIndex = peer.disk.snapshot?.info.index ?? 0;
    }
    if (role === "leader") this.#lead(peer, seen);
    this.#commit(peer, seen, commitIndex);
    for (const { id, index } of peer.released.splice(0)) {
      const floor = this.#readFloors[id] ?? 0;
      check(index >= floor, () => `linearizable reads: read ${id} at ${index}, though ${floor} was committed before`);
      this.readsReleased++;
    }
    this.readsRefused += peer.refused.splice(0).length;
    this.#compareWithDisk(peer);
    const { state } = peer.machine;
    check(
      state === this.states[commitIndex],
      () => `snapshot and tail are not the full replay: ${peer.id} is at ${state}, not ${this.states[commitIndex]}`,
    );
  }

  /** All effects are carried out, so memory and disk say the same. */
  #compareWithDisk({ id, raft, disk }: Peer): void {
    const { firstIndex, lastIndex } = raft.log;
    const there = [disk.base.index + 1, disk.lastIndex, disk.snapshot?.info.index];
    check(
      [firstIndex, lastIndex, raft.snapshot?.index].every((value, at) => value === there[at]),
      () => `${id} has a log of ${firstIndex}..${lastIndex} behind ${raft.snapshot?.index}, on disk ${there.join()}`,
    );
    check(
      raft.log.termAt(firstIndex - 1) === disk.base.term,
      () => `${id} believes that entry ${firstIndex - 1} is of term ${raft.log.termAt(firstIndex - 1)}`,
    );
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
      for (const entry of this.#entriesFrom(seen.commitIndex + 1, commitIndex, peer, seen)) {
        const at = seen.commitIndex++;
        check(seen.entries[at] === entry, () => `${peer.id} applies ${entry}, but its disk holds ${seen.entries[at]}`);
        const known = this.committed[at];
        if (known !== undefined) {
          check(known.entry === entry, () => `state machine safety: entry ${at + 1} is ${known.entry} and ${entry}`);
          continue;
        }
        const holders = this.#holders(at, entry);
        check(
          2 * holders > this.#seen.size,
          () => `entry ${at + 1} (${entry}) is committed by ${peer.id}, and on ${holders} disks`,
        );
        this.#record({ entry, term: peer.raft.currentTerm });
      }
    }
  }

  #record(next: Committed): void {
    this.committed.push(next);
    this.#replay.apply(next.entry);
    this.states.push(this.#replay.state);
  }

  /** What a peer believes to be committed: as its log has it, or as its snapshot stands for it. */
  #entriesFrom(from: number, to: number, { raft: { log } }: Peer, { entries }: Seen): string[] {
    return from < log.firstIndex ? entries.slice(from - 1, log.firstIndex - 1) : texts(log.read(from, to));
  }

  #see(id: PeerId, disk: Disk): Seen {
    let seen = this.#seen.get(id);
    if (seen === undefined) {
      seen = { entries: texts(disk.batches), saves: 0, savedTerm: 0, incarnation: 0, commitIndex: 0 };
      this.#seen.set(id, seen);
      // The configuration is committed by definition.
      if (this.committed.length === 0) this.#record({ entry: seen.entries[0] ?? "", term: 0 });
    }
    return seen;
  }

  /** One vote a term; leaders append only; committed entries stay; log matching. */
  #followSaves(id: PeerId, disk: Disk): void {
    const seen = this.#see(id, disk);
    for (; seen.saves < disk.saves.length; seen.saves++) {
      const { hardState, snapshot, resetTo, truncateFrom, batches, compactTo } = disk.saves[seen.saves] ?? EMPTY_SAVE;
      const savedTerm = hardState?.currentTerm ?? seen.savedTerm;
      check(savedTerm >= seen.savedTerm, () => `${id} went back from term ${seen.savedTerm} to ${savedTerm}`);
      seen.savedTerm = savedTerm;
      if (hardState?.votedFor !== undefined) {
        const ballot = `${id} in ${hardState.currentTerm}`;
        const vote = this.#votes.get(ballot) ?? hardState.votedFor;
        check(vote === hardState.votedFor, () => `two votes of ${ballot}: ${vote} and ${hardState.votedFor}`);
        this.#votes.set(ballot, vote);
      }
      if (snapshot !== undefined) this.#followSnapshot(id, disk, snapshot);
      if (resetTo !== undefined) this.#reset(id, seen, resetTo);
      if (compactTo !== undefined) this.compactions++;
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
    seen.entries.length = from - 1;
    this.#expectHeld(id, from);
  }

  /** A snapshot is of committed entries only, and holds the state that they lead to. */
  #followSnapshot(id: PeerId, disk: Disk, info: SnapshotInfo): void {
    this.snapshots++;
    const { index, term } = info;
    const last = this.committed[index - 1]?.entry;
    check(termOf(last) === term, () => `${id} has a snapshot of ${index} of term ${term}, where ${last} is committed`);
    // Else it has another by now.
    if (disk.snapshot?.info !== info) return;
    const { state } = Machine.parse(disk.content);
    check(state === this.states[index], () => `${id} has ${state} as a snapshot, not ${this.states[index]}`);
  }

  /** §7, and Figure 13, rules 6 and 7: only a log goes that does not hold the snapshot's last entry. */
  #reset(id: PeerId, seen: Seen, { index }: SnapshotInfo): void {
    this.installs++;
    const last = this.committed[index - 1]?.entry;
    check(seen.entries[index - 1] !== last, () => `${id} lets its log go, though it holds entry ${index}, ${last}`);
    seen.entries = this.committed.slice(0, index).map(({ entry }) => entry);
    this.#expectHeld(id, index + 1);
  }

  /** One that is behind may drop what the others have committed; they may not become too few. */
  #expectHeld(id: PeerId, from: number): void {
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
