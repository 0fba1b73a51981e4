import { describe, expect, it } from "vitest";
import type { Outgoing, SnapshotInfo } from "../../src/raft/effects.ts";
import { type InstallSnapshot, type InstallSnapshotReply, NO_ROUND } from "../../src/raft/message.ts";
import { Disk } from "./disk.ts";
import { batch } from "./entries.ts";
import { appendEntries, ELECTION_MS, Peer } from "./harness.ts";

const THREE = ["a", "b", "c"];

/** A snapshot somewhere else, that ends with entry `index` of `term`. Its content says who made it. */
class Made {
  readonly info: SnapshotInfo;
  readonly content: string;
  readonly #chunks: readonly Uint8Array[];

  constructor(index: number, term: number, { author = "b", chunks = 3 } = {}) {
    const parts = Array.from({ length: chunks }, (_, at) => `${at === 0 ? `applied=${index}` : ""};${author}=${at}`);
    this.#chunks = parts.map((part) => Buffer.from(part));
    this.content = parts.join("");
    const head = { index, term, time: 7, configuration: { voters: THREE }, version: 0 };
    this.info = { ...head, chunks, bytes: Buffer.byteLength(this.content) };
  }

  /** As the leader of term 2 sends it. */
  chunk(chunk: number, over: Partial<InstallSnapshot> = {}): InstallSnapshot {
    const { index: lastIncludedIndex, term: lastIncludedTerm } = this.info;
    const data = this.#chunks[chunk] ?? new Uint8Array();
    const info = chunk === 0 ? this.info : undefined;
    return {
      ...{ type: "InstallSnapshot", term: 2, round: 1, lastIncludedIndex, lastIncludedTerm, chunk, info, data },
      ...over,
    };
  }

  /** All of it, one after the other. */
  deliver(peer: Peer, from = "b"): Outgoing[] {
    return this.#chunks.flatMap((_, chunk) => peer.receive(from, this.chunk(chunk)));
  }
}

/** "a", with entries of these terms from index 2 on; the next in its log is `1.2`. */
const follower = (terms: readonly number[] = [], currentTerm = terms.at(-1) ?? 0) =>
  new Peer("a", Disk.holding(THREE, terms, currentTerm));

const repliesTo = (sent: readonly Outgoing[]): InstallSnapshotReply[] =>
  sent.flatMap(({ message }) => (message.type === "InstallSnapshotReply" ? [message] : []));
const replyOf = (sent: readonly Outgoing[]): InstallSnapshotReply => {
  const [reply, ...rest] = repliesTo(sent);
  if (reply === undefined || rest.length > 0) throw new Error(JSON.stringify(sent));
  return reply;
};
const range = ({ raft: { log } }: Peer) => [log.firstIndex, log.lastIndex];

describe("Figure 13, the follower: chunks", () => {
  it("each is answered with the one that lacks next, and the last one with: installed", () => {
    const peer = follower([1, 1]);
    const sent = new Made(10, 2).deliver(peer);
    expect(sent.map(({ to }) => to)).toEqual(["b", "b", "b"]);
    expect(repliesTo(sent)).toMatchObject([
      { lastIncludedIndex: 10, nextChunk: 1, installed: false },
      { lastIncludedIndex: 10, nextChunk: 2, installed: false },
      { lastIncludedIndex: 10, installed: true },
    ]);
  });

  it("one chunk may be all", () => {
    const peer = follower();
    expect(replyOf(new Made(10, 2, { chunks: 1 }).deliver(peer)).installed).toBe(true);
    expect(peer.machine.applied).toBe(10);
  });

  it("the last one is answered when all is on disk, those before at once, so that more may come while they are written", () => {
    const made = new Made(10, 2);
    const { raft } = follower();
    const answered = [0, 1, 2].map((chunk) => {
      raft.step("b", 1, made.chunk(chunk), 0);
      const { before = [], save, after = [] } = raft.effects() ?? {};
      raft.saved(0);
      return { before: repliesTo(before).length, saved: save?.chunks.length, after: repliesTo(after).length };
    });
    expect(answered).toEqual([
      // The term is news, and said to nobody before it is saved.
      { before: 0, saved: 1, after: 1 },
      { before: 1, saved: 1, after: 0 },
      { before: 0, saved: 1, after: 1 },
    ]);
  });

  it("several in one step are one write", () => {
    const made = new Made(10, 2);
    const peer = follower();
    for (const chunk of [0, 1, 2]) peer.step("b", made.chunk(chunk));
    expect(repliesTo(peer.settle()).map(({ installed }) => installed)).toEqual([false, false, true]);
    expect(peer.disk.saves.length).toBe(1);
    expect(peer.disk.content).toBe(made.content);
  });

  it("one that came already, or comes before its time, is answered with the one that lacks, and not taken", () => {
    const made = new Made(10, 2, { chunks: 4 });
    const peer = follower();
    peer.receive("b", made.chunk(0));
    peer.receive("b", made.chunk(1));
    const { length } = peer.disk.saves;
    for (const chunk of [0, 1, 3]) {
      expect(replyOf(peer.receive("b", made.chunk(chunk)))).toMatchObject({ nextChunk: 2, installed: false });
    }
    expect(peer.disk.saves.length).toBe(length);
    peer.receive("b", made.chunk(2));
    expect(replyOf(peer.receive("b", made.chunk(3))).installed).toBe(true);
    expect(peer.disk.content).toBe(made.content);
  });

  it("after a restart in the middle it begins again with the first", () => {
    const made = new Made(10, 2);
    const peer = follower();
    peer.receive("b", made.chunk(0));
    peer.receive("b", made.chunk(1));
    peer.restart();
    expect(replyOf(peer.receive("b", made.chunk(2)))).toMatchObject({ nextChunk: 0, installed: false });
    expect(repliesTo(made.deliver(peer)).at(-1)?.installed).toBe(true);
    expect(peer.disk.content).toBe(made.content);
  });

  it("a snapshot of the same entry from another leader begins again: its bytes may be others", () => {
    const [ofB, ofC] = [new Made(10, 2, { author: "b" }), new Made(10, 2, { author: "c", chunks: 4 })];
    const peer = follower();
    peer.receive("b", ofB.chunk(0));
    peer.receive("b", ofB.chunk(1));
    expect(replyOf(peer.receive("c", ofC.chunk(2, { term: 3 })))).toMatchObject({ nextChunk: 0 });
    for (const chunk of [0, 1, 2, 3]) {
      const { installed, nextChunk } = replyOf(peer.receive("c", ofC.chunk(chunk, { term: 3 })));
      expect(installed || nextChunk).toBe(chunk === 3 ? true : chunk + 1);
    }
    expect(peer.disk.content).toBe(ofC.content);
  });

  it.each([8, 12])("another leader's snapshot, of entry %i, takes the place of the one that was coming in", (index) => {
    const [before, after] = [new Made(10, 1), new Made(index, 1, { author: "c" })];
    const peer = follower();
    peer.receive("b", before.chunk(0));
    for (const chunk of [0, 1, 2]) peer.receive("c", after.chunk(chunk, { term: 3 }));
    expect([peer.raft.snapshot?.index, peer.disk.content]).toEqual([index, after.content]);
  });

  it("the same leader, elected again, goes on with what it began", () => {
    const made = new Made(10, 2);
    const peer = follower();
    peer.receive("b", made.chunk(0));
    peer.receive("c", appendEntries({ term: 3 }));
    expect(replyOf(peer.receive("b", made.chunk(0, { term: 4 }))).nextChunk).toBe(1);
    peer.receive("b", made.chunk(1, { term: 4 }));
    expect(replyOf(peer.receive("b", made.chunk(2, { term: 4 }))).installed).toBe(true);
  });

  it("the leader's next snapshot takes the place of the one that was coming in", () => {
    const [before, after] = [new Made(10, 2), new Made(12, 2)];
    const peer = follower();
    peer.receive("b", before.chunk(0));
    peer.receive("b", before.chunk(1));
    expect(repliesTo(after.deliver(peer)).at(-1)).toMatchObject({ lastIncludedIndex: 12, installed: true });
    expect(peer.disk.content).toBe(after.content);
  });

  it("late chunks of the leader's snapshot before do not disturb the one that is coming in", () => {
    const [before, after] = [new Made(10, 2), new Made(12, 2)];
    const peer = follower();
    peer.receive("b", before.chunk(0));
    peer.receive("b", after.chunk(0));
    for (const chunk of [0, 1, 2]) expect(replyOf(peer.receive("b", before.chunk(chunk))).installed).toBe(false);
    expect(replyOf(peer.receive("b", after.chunk(1))).nextChunk).toBe(2);
    expect(replyOf(peer.receive("b", after.chunk(2))).installed).toBe(true);
    expect(peer.disk.content).toBe(after.content);
  });

  it("the first of a later snapshot, behind the last of one, waits for the next step", () => {
    const [before, after] = [new Made(10, 2, { chunks: 1 }), new Made(12, 2)];
    const peer = follower();
    peer.step("b", before.chunk(0));
    peer.step("b", after.chunk(0));
    expect(repliesTo(peer.settle())).toMatchObject([
      { lastIncludedIndex: 10, installed: true },
      { lastIncludedIndex: 12, nextChunk: 0, installed: false },
    ]);
    expect(peer.disk.content).toBe(before.content);
    after.deliver(peer);
    expect([peer.disk.content, peer.installs]).toEqual([after.content, 2]);
  });
});

describe("Figure 13, the follower: what a complete snapshot does", () => {
  it("takes the place of a log that ends before it, of the state, and of the snapshot before (rules 7 and 8)", () => {
    const made = new Made(10, 2);
    const { raft } = follower([1, 1]);
    for (const chunk of [0, 1]) {
      raft.step("b", 1, made.chunk(chunk), 0);
      expect(raft.effects()?.restore).toBeUndefined();
      raft.saved(0);
    }
    raft.step("b", 1, made.chunk(2), 0);
    const effects = raft.effects();
    expect(effects?.restore).toEqual(made.info);
    expect(effects?.save).toMatchObject({ snapshot: made.info, resetTo: made.info, batches: [] });
    raft.saved(0);
    expect(raft.effects()).toBeUndefined();
    expect([raft.log.firstIndex, raft.log.lastIndex, raft.log.lastTerm, raft.commitIndex]).toEqual([11, 10, 2, 10]);
    expect(raft.snapshot).toEqual(made.info);
    expect(raft.configuration).toBe(made.info.configuration);
  });

  it("lets a log go whole that has another entry at its end, and all behind that (rule 7)", () => {
    const peer = follower([1, 1, 1, 1, 1, 1]);
    const made = new Made(4, 2);
    made.deliver(peer);
    expect([range(peer), peer.raft.log.lastTerm]).toEqual([[5, 4], 2]);
    expect([peer.disk.batches, peer.disk.content, peer.machine.applied]).toEqual([[], made.content, 4]);
  });

  it("leaves a log that holds its last entry as it is, and what is behind that (rule 6)", () => {
    const peer = follower([1, 1, 2, 2, 2]);
    const { state } = peer.machine;
    const reply = replyOf(peer.receive("b", new Made(4, 2).chunk(0)));
    expect(reply).toMatchObject({ lastIncludedIndex: 4, installed: true });
    expect(peer.log).toEqual(["1:1.2", "1:1.3", "2:2.4", "2:2.5", "2:2.6"]);
    expect([peer.raft.commitIndex, peer.raft.snapshot, peer.installs]).toEqual([4, undefined, 0]);
    // By the entries, not by the snapshot.
    expect(peer.machine.applied).toBe(4);
    expect(peer.machine.state).not.toBe(state);
  });

  it("says so only when those entries are on disk", () => {
    const { raft } = follower([1]);
    raft.step("b", 1, appendEntries({ term: 2, prevLogIndex: 2, prevLogTerm: 1, batches: [batch(3, 2, "x")] }), 0);
    raft.step("b", 1, new Made(3, 2).chunk(0), 0);
    const effects = raft.effects();
    expect(effects?.before).toEqual([]);
    expect(effects?.save?.batches).toMatchObject([{ firstIndex: 3 }]);
    expect(effects?.after.at(-1)).toMatchObject({ message: { installed: true } });
  });

  it.each([3, 4])("a stale one, of entry %i of 4 committed ones, changes nothing", (index) => {
    const peer = follower([1, 1, 1, 1], 2);
    peer.receive("b", appendEntries({ term: 2, prevLogIndex: 5, prevLogTerm: 1, leaderCommit: 4 }));
    const [{ length }, { state }] = [peer.disk.saves, peer.machine];
    for (const chunk of [0, 1, 2]) {
      const reply = replyOf(peer.receive("b", new Made(index, 1).chunk(chunk)));
      expect(reply).toMatchObject({ lastIncludedIndex: index, installed: true });
    }
    expect(peer.disk.saves.length).toBe(length);
    expect([peer.raft.commitIndex, peer.raft.snapshot, peer.machine.state]).toEqual([4, undefined, state]);
    expect(range(peer)).toEqual([1, 5]);
  });

  it("the same one again is stale", () => {
    const made = new Made(10, 2);
    const peer = follower();
    made.deliver(peer);
    const { length } = peer.disk.saves;
    expect(repliesTo(made.deliver(peer)).every(({ installed }) => installed)).toBe(true);
    expect([peer.disk.saves.length, peer.installs]).toEqual([length, 1]);
  });

  it("what became known by entries while it came in needs no snapshot any more", () => {
    const made = new Made(4, 2);
    const peer = follower([1]);
    peer.receive("b", made.chunk(0));
    const batches = [batch(3, 1, "x"), batch(4, 2, "y", "z")];
    peer.receive("c", appendEntries({ term: 3, prevLogIndex: 2, prevLogTerm: 1, leaderCommit: 4, batches }));
    expect(replyOf(peer.receive("c", made.chunk(1, { term: 3 }))).installed).toBe(true);
    expect([peer.installs, peer.raft.snapshot]).toEqual([0, undefined]);
    expect(peer.log).toEqual(["1:1.2", "1:x", "2:y", "2:z"]);
  });

  it.each(["before save", "after save"] as const)(
    "a crash %s of the last chunk leaves all of it or nothing",
    (crash) => {
      const made = new Made(10, 2);
      const peer = follower([1, 1]);
      for (const chunk of [0, 1]) peer.receive("b", made.chunk(chunk));
      peer.step("b", made.chunk(2));
      expect(peer.settle(crash)).toEqual([]);
      peer.restart();
      const isThere = crash === "after save";
      expect(range(peer)).toEqual(isThere ? [11, 10] : [1, 3]);
      expect([peer.raft.commitIndex, peer.machine.applied]).toEqual(isThere ? [10, 10] : [1, 1]);
      expect(replyOf(peer.receive("b", made.chunk(0)))).toMatchObject(isThere ? { installed: true } : { nextChunk: 1 });
    },
  );

  it("replication goes on behind it, and over it", () => {
    const peer = follower([1, 1]);
    new Made(10, 2).deliver(peer);
    const wrong = appendEntries({ term: 2, prevLogIndex: 11, prevLogTerm: 2 });
    expect(peer.receive("b", wrong)).toMatchObject([{ message: { success: false, conflictIndex: 11 } }]);
    const next = appendEntries({ term: 2, prevLogIndex: 10, prevLogTerm: 2, batches: [batch(11, 2, "x")] });
    expect(peer.receive("b", next)).toMatchObject([{ message: { success: true, matchIndex: 11 } }]);
    const reaching = [batch(9, 1, "9"), batch(10, 2, "10", "x", "y")];
    const over = appendEntries({ term: 2, prevLogIndex: 8, prevLogTerm: 1, leaderCommit: 12, batches: reaching });
    expect(peer.receive("b", over)).toMatchObject([{ message: { success: true, matchIndex: 12 } }]);
    expect([peer.log, peer.raft.commitIndex]).toEqual([["2:x", "2:y"], 12]);
  });

  it("entries that are all before it match, and are not taken", () => {
    const peer = follower();
    new Made(10, 2).deliver(peer);
    const { length } = peer.disk.saves;
    for (const over of [{}, { batches: [batch(2, 1, "x", "y")] }, { prevLogIndex: 0 }, { prevLogIndex: 9 }]) {
      const message = appendEntries({ term: 2, prevLogTerm: 1, ...over });
      expect(peer.receive("b", message)).toMatchObject([{ message: { success: true } }]);
    }
    expect([peer.disk.saves.length, peer.raft.log.lastIndex]).toEqual([length, 10]);
  });

  it("entries behind it that conflict later are cut down to it", () => {
    const peer = follower();
    new Made(10, 2).deliver(peer);
    peer.receive("b", appendEntries({ term: 2, prevLogIndex: 10, prevLogTerm: 2, batches: [batch(11, 2, "x")] }));
    const batches = [batch(11, 3, "y")];
    peer.receive("c", appendEntries({ term: 3, prevLogIndex: 10, prevLogTerm: 2, batches }));
    expect(peer.log).toEqual(["3:y"]);
    expect(peer.disk.saves.at(-1)).toMatchObject({ truncateFrom: 11, batches: [{ firstIndex: 11, term: 3 }] });
    peer.restart();
    expect(peer.log).toEqual(["3:y"]);
  });
});

describe("Figure 13, the follower: an RPC like any other", () => {
  const made = new Made(10, 2);

  it("of an older term is refused with the current one, resets nothing, and nothing of it is taken", () => {
    const peer = follower([1], 5);
    const { wakeAt } = peer.raft;
    peer.now = 50;
    const reply = replyOf(peer.receive("b", made.chunk(0, { term: 4, round: 3 })));
    expect(reply).toMatchObject({ term: 5, round: NO_ROUND, lastIncludedIndex: 10, installed: false });
    expect([peer.raft.wakeAt, peer.raft.leader, peer.disk.saves]).toEqual([wakeAt, undefined, []]);
  });

  it("of a later term is taken over, and the reply carries the current term, not the snapshot's", () => {
    const peer = follower([1], 2);
    expect(replyOf(peer.receive("b", made.chunk(0, { term: 6, round: 4 })))).toMatchObject({ term: 6, round: 4 });
    expect(peer.facts).toMatchObject({ currentTerm: 6, leader: "b", role: "follower" });
    expect(peer.disk.saves.at(-1)).toMatchObject({ hardState: { currentTerm: 6, votedFor: undefined } });
    for (const chunk of [1, 2]) peer.receive("b", made.chunk(chunk, { term: 6 }));
    expect(peer.facts).toMatchObject({ currentTerm: 6 });
  });

  it.each(["a chunk that is taken", "one that is not", "a stale snapshot"])("%s resets the election timer", (what) => {
    const peer = follower([1], 2);
    peer.now = 90;
    const message = { "one that is not": made.chunk(2), "a stale snapshot": new Made(1, 0).chunk(0) }[what];
    peer.receive("b", message ?? made.chunk(0));
    expect(peer.facts).toMatchObject({ wakeAt: 90 + ELECTION_MS[0], leader: "b" });
  });

  it("who is sent one stands by its leader", () => {
    const peer = follower([1], 2);
    peer.receive("b", made.chunk(0));
    peer.now = ELECTION_MS[0] - 1;
    const ask = { type: "PreVote", term: 3, lastLogIndex: 99, lastLogTerm: 2 } as const;
    expect(peer.receive("c", ask)).toMatchObject([{ message: { voteGranted: false } }]);
    expect(peer.receive("c", { ...ask, type: "RequestVote" })).toEqual([]);
  });

  it("and votes and campaigns as before when the leader falls silent", () => {
    const peer = follower([1], 2);
    peer.receive("b", made.chunk(0));
    expect(peer.wake()).toMatchObject([
      { message: { type: "PreVote", term: 3, lastLogIndex: 2, lastLogTerm: 1 } },
      { message: { type: "PreVote", term: 3, lastLogIndex: 2, lastLogTerm: 1 } },
    ]);
    const ask = { type: "RequestVote", term: 3, lastLogIndex: 9, lastLogTerm: 2 } as const;
    expect(peer.receive("c", ask)).toMatchObject([{ message: { voteGranted: true } }]);
  });

  it.each(["pre-candidate", "candidate"] as const)("a %s of that term yields to who sends it", (role) => {
    const peer = follower([1], role === "candidate" ? 1 : 2);
    peer.wake();
    if (role === "candidate") {
      peer.receive("c", { type: "PreVoteReply", term: 1, proposedTerm: 2, voteGranted: true });
    }
    expect(peer.facts).toMatchObject({ role, currentTerm: 2 });
    made.deliver(peer);
    expect(peer.facts).toMatchObject({ role: "follower", leader: "b", currentTerm: 2, commitIndex: 10 });
    expect(peer.raft.votedFor).toBe(role === "candidate" ? "a" : undefined);
  });
});

describe("Figure 13, the follower: its own snapshot beside the leader's", () => {
  const made = new Made(10, 2);

  /** "a", that has applied 5 entries and begun a snapshot of them. */
  function building(): Peer {
    const peer = follower([1, 1, 1, 1]);
    peer.receive("b", appendEntries({ term: 2, prevLogIndex: 5, prevLogTerm: 1, leaderCommit: 5 }));
    peer.beginSnapshot();
    return peer;
  }

  it("a chunk of the leader's puts out the own one that was being set aside", () => {
    const peer = building();
    peer.continueSnapshot();
    peer.settle();
    peer.receive("b", made.chunk(0));
    expect(peer.raft.stageChunk(1, new Uint8Array(1))).toBe(false);
    peer.receive("b", made.chunk(1));
    peer.receive("b", made.chunk(2));
    expect(peer.disk.content).toBe(made.content);
  });

  it("the first chunk of an own one puts out the leader's, which begins again", () => {
    const peer = building();
    peer.receive("b", made.chunk(0));
    peer.continueSnapshot();
    expect(replyOf(peer.receive("b", made.chunk(1)))).toMatchObject({ nextChunk: 0, installed: false });
    while (peer.building !== undefined) peer.continueSnapshot();
    peer.settle();
    expect([peer.raft.snapshot?.index, range(peer)]).toEqual([5, [6, 5]]);
    made.deliver(peer);
    expect([peer.raft.snapshot?.index, peer.disk.content]).toEqual([10, made.content]);
  });

  it("both in one step: the one that came last is set aside, whole", () => {
    const peer = building();
    peer.continueSnapshot();
    peer.step("b", made.chunk(0));
    peer.settle();
    expect(peer.disk.staged.length).toBe(1);
    peer.receive("b", made.chunk(1));
    peer.receive("b", made.chunk(2));
    expect(peer.disk.content).toBe(made.content);
  });

  it("none can begin in the step in which the leader's became complete", () => {
    const peer = building();
    for (const chunk of [0, 1, 2]) peer.step("b", made.chunk(chunk));
    expect(peer.raft.stageChunk(0, new Uint8Array(1))).toBe(false);
    peer.settle();
    expect([peer.disk.content, peer.building]).toEqual([made.content, undefined]);
  });

  it("the leader's waits when an own one became complete in the same step", () => {
    const peer = building();
    while (peer.building !== undefined) peer.continueSnapshot();
    peer.step("b", made.chunk(0));
    expect(replyOf(peer.settle())).toMatchObject({ nextChunk: 0, installed: false });
    expect(peer.raft.snapshot?.index).toBe(5);
    made.deliver(peer);
    expect(peer.disk.content).toBe(made.content);
  });

  it("a stale one of the leader's leaves the own one alone", () => {
    const peer = building();
    peer.continueSnapshot();
    peer.receive("b", new Made(4, 1).chunk(0));
    while (peer.building !== undefined) peer.continueSnapshot();
    peer.settle();
    expect(peer.raft.snapshot?.index).toBe(5);
  });
});
