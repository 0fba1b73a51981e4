import { describe, expect, it } from "vitest";
import { EMPTY_SAVE } from "../../src/raft/effects.ts";
import { InvariantError } from "../../src/raft/errors.ts";
import type { RaftOptions } from "../../src/raft/options.ts";
import { Disk } from "./disk.ts";
import { batch, texts } from "./entries.ts";
import { appendEntries, appends, ELECTION_MS, elect, Peer, success } from "./harness.ts";

const THREE = ["a", "b", "c"];

/** "a", a follower with one entry a batch of term 1, from index 2 up to `lastIndex`, all of them committed. */
function follower(lastIndex: number, options: Partial<RaftOptions> = {}): Peer {
  const terms = Array<number>(lastIndex - 1).fill(1);
  const peer = new Peer("a", Disk.holding(THREE, terms), options);
  peer.receive("b", appendEntries({ prevLogIndex: lastIndex, prevLogTerm: 1, leaderCommit: lastIndex }));
  return peer;
}

/** "a", leading "b", who has all up to `lastIndex`, and "c", who was never heard. */
function leader(lastIndex: number, options: Partial<RaftOptions> = {}): Peer {
  const peer = new Peer("a", new Disk(THREE), options);
  let sent = elect(peer, "b");
  for (let index = 3; index <= lastIndex; index++) sent.push(...peer.propose(`${index}`));
  for (; sent.length > 0; sent = appends(sent, "b").flatMap((message) => peer.receive("b", success(message))));
  expect(peer.raft.commitIndex).toBe(lastIndex);
  return peer;
}

/** Tells the leader that `from` has all up to `index`. */
function acknowledge(peer: Peer, from: string, index: number) {
  const message = appendEntries({ term: peer.raft.currentTerm, prevLogIndex: index, round: 0 });
  return peer.receive(from, success(message));
}

const range = ({ raft: { log } }: Peer) => [log.firstIndex, log.lastIndex];

describe("§7 a peer's own snapshot", () => {
  it("takes the place of the log before it, in one write", () => {
    const peer = follower(6);
    peer.takeSnapshot();
    const { index, term } = peer.raft.snapshot ?? {};
    expect([index, term]).toEqual([6, 1]);
    expect(peer.disk.saves.at(-1)).toMatchObject({ snapshot: { index: 6 }, resetTo: undefined, compactTo: 6 });
    expect(range(peer)).toEqual([7, 6]);
    expect(peer.raft.log.bytes).toBe(0);
    expect(peer.disk.batches).toEqual([]);
  });

  it("leaves what it does not cover: entries that are not committed, or not applied when it was frozen", () => {
    const peer = follower(6);
    peer.beginSnapshot();
    const batches = [batch(7, 1, "committed later"), batch(8, 1, "uncommitted")];
    peer.receive("b", appendEntries({ prevLogIndex: 6, prevLogTerm: 1, leaderCommit: 7, batches }));
    while (peer.building !== undefined) peer.continueSnapshot();
    peer.settle();
    expect(peer.raft.snapshot?.index).toBe(6);
    expect(peer.log).toEqual(["1:committed later", "1:uncommitted"]);
    expect(peer.raft.commitIndex).toBe(7);
  });

  it("leaves a tail of entries for followers that are a little behind", () => {
    const peer = follower(9, { snapshotTail: 3 });
    peer.takeSnapshot();
    expect(range(peer)).toEqual([7, 9]);
    expect(peer.log).toEqual(["1:1.7", "1:1.8", "1:1.9"]);
  });

  it("drops nothing when the tail is longer than the log", () => {
    const peer = follower(4, { snapshotTail: 100, snapshotTailMax: 100 });
    peer.takeSnapshot();
    expect(range(peer)).toEqual([1, 4]);
    expect(peer.disk.saves.at(-1)).toMatchObject({ snapshot: { index: 4 }, compactTo: undefined });
  });

  it("cuts the log between two batches only, so that none is written again", () => {
    const peer = follower(2, { snapshotTail: 1 });
    const batches = [batch(3, 1, "p", "q"), batch(5, 1, "r", "s", "t")];
    peer.receive("b", appendEntries({ prevLogIndex: 2, prevLogTerm: 1, leaderCommit: 6, batches }));
    peer.takeSnapshot();
    // Entry 5 could go too, but for entry 6 beside it.
    expect(range(peer)).toEqual([5, 7]);
    expect(texts(peer.disk.batches)).toEqual(["1:r", "1:s", "1:t"]);
  });

  it("cuts there also what is in the store only", () => {
    const peer = follower(2, { snapshotTail: 1, cacheBytes: 0 });
    const batches = [batch(3, 1, "p", "q"), batch(5, 1, "r", "s", "t")];
    peer.receive("b", appendEntries({ prevLogIndex: 2, prevLogTerm: 1, leaderCommit: 6, batches }));
    peer.takeSnapshot();
    expect(range(peer)).toEqual([5, 7]);
  });

  it("may be followed by entries of the same write", () => {
    const peer = leader(5);
    peer.beginSnapshot();
    while (peer.building !== undefined) peer.continueSnapshot();
    peer.propose("x");
    expect(peer.disk.saves.at(-1)).toMatchObject({
      snapshot: { index: 5 },
      batches: [{ firstIndex: 6 }],
      compactTo: 5,
    });
    expect(peer.log).toEqual(["1:x"]);
  });

  it("keeps the term of the entry before the log, which is still compared with", () => {
    const peer = follower(5);
    peer.takeSnapshot();
    const { log } = peer.raft;
    expect([4, 5, 6].map((index) => log.termAt(index))).toEqual([undefined, 1, undefined]);
    expect(log.lastTerm).toBe(1);
    peer.restart();
    expect([4, 5, 6].map((index) => peer.raft.log.termAt(index))).toEqual([undefined, 1, undefined]);
  });

  it("is set aside chunk by chunk, and is not in force before the last", () => {
    const peer = follower(5);
    peer.beginSnapshot();
    for (let next = 1; peer.building !== undefined; next++) {
      expect(peer.raft.snapshot).toBeUndefined();
      expect(range(peer)).toEqual([1, 5]);
      peer.continueSnapshot();
      peer.settle();
      expect(peer.disk.saves.at(-1)?.chunks.map(({ number }) => number)).toEqual([next - 1]);
    }
    expect(peer.raft.snapshot?.chunks).toBeGreaterThan(2);
    expect(peer.disk.snapshot?.info).toEqual(peer.raft.snapshot);
    // It is complete: nothing can be added to it.
    expect(peer.raft.stageChunk(peer.raft.snapshot?.chunks ?? 0, new Uint8Array(1))).toBe(false);
    expect(peer.raft.effects()).toBeUndefined();
  });

  it("that is not complete when the process ends leaves the one before in force", () => {
    const peer = follower(5);
    peer.takeSnapshot();
    const { content } = peer.disk;
    peer.receive("b", appendEntries({ prevLogIndex: 5, prevLogTerm: 1, leaderCommit: 6, batches: [batch(6, 1, "x")] }));
    peer.beginSnapshot();
    peer.continueSnapshot();
    peer.settle();
    peer.restart();
    expect([peer.raft.snapshot?.index, peer.disk.content]).toEqual([5, content]);
    peer.receive("b", appendEntries({ prevLogIndex: 6, prevLogTerm: 1, leaderCommit: 6 }));
    peer.takeSnapshot();
    expect(peer.raft.snapshot?.index).toBe(6);
  });

  it.each(["before save", "after save"] as const)(
    "a crash %s of its completion leaves all of it or nothing",
    (crash) => {
      const peer = follower(5);
      peer.beginSnapshot();
      while (peer.building !== undefined) peer.continueSnapshot();
      peer.settle(crash);
      peer.restart();
      expect([peer.raft.snapshot?.index, range(peer)]).toEqual(
        crash === "after save" ? [5, [6, 5]] : [undefined, [1, 5]],
      );
    },
  );

  it("of what is not committed, or older than the one before, is refused", () => {
    const peer = follower(5);
    peer.takeSnapshot();
    const { snapshot } = peer.raft;
    if (snapshot === undefined) throw new Error("no snapshot");
    expect(() => peer.raft.completeSnapshot(snapshot, 0)).toThrow(InvariantError);
    expect(() => peer.raft.completeSnapshot({ ...snapshot, index: 6 }, 0)).toThrow(InvariantError);
  });
});

describe("§7 how much of the log a leader keeps", () => {
  const options = { snapshotTail: 1, snapshotTailMax: 4 };

  it("what a follower that it hears from lacks stays, since entries cost less than a state", () => {
    const peer = leader(9, options);
    acknowledge(peer, "c", 7);
    peer.takeSnapshot();
    expect(range(peer)).toEqual([8, 9]);
    const sent = acknowledge(peer, "c", 7);
    expect(appends(sent, "c")).toEqual([]);
  });

  it("but no more of it than the limit", () => {
    const peer = leader(9, options);
    acknowledge(peer, "c", 2);
    peer.takeSnapshot();
    expect(range(peer)).toEqual([6, 9]);
  });

  it("and the tail at least, when nobody lacks anything", () => {
    const peer = leader(9, options);
    acknowledge(peer, "c", 9);
    peer.takeSnapshot();
    expect(range(peer)).toEqual([9, 9]);
  });

  it("nothing is kept for one that was not heard for the longest election timeout", () => {
    const peer = leader(9, options);
    acknowledge(peer, "c", 2);
    for (let ms = 0; ms <= ELECTION_MS[1]; ms += 10) {
      peer.tick(10);
      acknowledge(peer, "b", 9);
    }
    peer.takeSnapshot();
    expect(range(peer)).toEqual([9, 9]);
  });

  it("a follower keeps the tail only", () => {
    const peer = follower(9, options);
    peer.takeSnapshot();
    expect(range(peer)).toEqual([9, 9]);
  });
});

describe("§7 a peer that starts with a snapshot", () => {
  const chunks = [Buffer.from("applied=4;0=7;"), Buffer.from("1=8")];
  const disk = (terms: readonly number[], compactTo?: number) =>
    Disk.holding(THREE, terms).holdSnapshot(4, chunks, compactTo);

  it("has committed what the snapshot stands for, and no more", () => {
    const peer = new Peer("a", disk([1, 1, 2, 2, 3]));
    expect(peer.facts).toMatchObject({ role: "follower", commitIndex: 4, currentTerm: 3 });
    expect(peer.raft.snapshot).toMatchObject({ index: 4, term: 2, chunks: 2 });
    expect(peer.log).toEqual(["2:2.5", "3:3.6"]);
    expect(peer.machine.applied).toBe(4);
  });

  it("has the tail before the snapshot's end as well", () => {
    const peer = new Peer("a", disk([1, 1, 2, 2, 3], 2));
    expect(range(peer)).toEqual([3, 6]);
    expect([1, 2, 3, 4].map((index) => peer.raft.log.termAt(index))).toEqual([undefined, 1, 1, 2]);
    expect(peer.raft.commitIndex).toBe(4);
  });

  it("commits and applies what comes behind it", () => {
    const peer = new Peer("a", disk([1, 1, 2, 2, 3]));
    peer.receive("b", appendEntries({ term: 3, prevLogIndex: 6, prevLogTerm: 3, leaderCommit: 5 }));
    expect([peer.raft.commitIndex, peer.machine.applied]).toEqual([5, 5]);
  });

  it("campaigns with an empty log by what the snapshot ends with (§5.4.1)", () => {
    const peer = new Peer("a", disk([1, 1, 2]));
    expect(range(peer)).toEqual([5, 4]);
    expect(peer.wake()).toMatchObject([
      { to: "b", message: { type: "PreVote", term: 3, lastLogIndex: 4, lastLogTerm: 2 } },
      { to: "c", message: { type: "PreVote", term: 3, lastLogIndex: 4, lastLogTerm: 2 } },
    ]);
  });

  it.each([
    { last: [4, 2], granted: true },
    { last: [3, 2], granted: false },
    { last: [9, 1], granted: false },
    { last: [2, 3], granted: true },
  ] as const)(
    "votes with an empty log by what the snapshot ends with: for $last.0 of term $last.1 $granted",
    (each) => {
      const peer = new Peer("a", disk([1, 1, 2]));
      const [lastLogIndex, lastLogTerm] = each.last;
      const sent = peer.receive("b", { type: "RequestVote", term: 5, lastLogIndex, lastLogTerm });
      expect(sent).toMatchObject([{ message: { type: "RequestVoteReply", voteGranted: each.granted } }]);
    },
  );

  it("leads with an empty log, whose first entry follows the snapshot", () => {
    const peer = new Peer("a", disk([1, 1, 2]));
    const sent = elect(peer, "b");
    expect(appends(sent, "b")).toMatchObject([{ prevLogIndex: 4, prevLogTerm: 2, batches: [{ firstIndex: 5 }] }]);
    const [message] = appends(sent, "b");
    if (message !== undefined) peer.receive("b", success(message));
    expect(peer.raft.commitIndex).toBe(5);
  });

  it("is refused when entries are missing between the snapshot and the log", () => {
    const stored = disk([1, 1, 2, 2, 3]).stored();
    const start = (over: object) => {
      const broken = disk([1, 1, 2, 2, 3]);
      broken.stored = () => ({ ...stored, ...over });
      return () => new Peer("a", broken);
    };
    expect(start({})).not.toThrow();
    expect(start({ snapshot: undefined })).toThrow(InvariantError);
    expect(start({ firstIndex: 6, terms: [{ firstIndex: 4, term: 2 }] })).toThrow(/6..6 does not fit a snapshot of 4/);
    expect(start({ lastIndex: 3, firstIndex: 1, terms: [{ firstIndex: 1, term: 0 }] })).toThrow(InvariantError);
  });

  it("the disk of these tests refuses what would leave such a gap", () => {
    const gap = Disk.holding(THREE, [1, 1, 2]);
    expect(() => gap.save({ ...EMPTY_SAVE, compactTo: 2 })).toThrow(/dropping entries up to 2/);
  });
});
