import { describe, expect, it } from "vitest";
import { InvariantError } from "../../src/raft/errors.ts";
import { Disk } from "./disk.ts";
import { batch, texts } from "./entries.ts";
import { appendEntries, elect, Peer } from "./harness.ts";

const THREE = ["a", "b", "c"];

describe("Figure 2 state that survives a crash", () => {
  it("a peer starts as a follower that knows no leader, with the configuration committed", () => {
    const peer = new Peer("a", new Disk(THREE));
    expect(peer.facts).toMatchObject({ role: "follower", leader: undefined, currentTerm: 0, commitIndex: 1 });
    expect(peer.raft.votedFor).toBeUndefined();
    expect(peer.raft.log.lastIndex).toBe(1);
    expect(peer.settle()).toEqual([]);
  });

  it("term, vote and log are what they were, and the rest begins anew", () => {
    const peer = new Peer("a", new Disk(THREE));
    elect(peer, "b");
    peer.propose("x", "y");
    peer.receive("b", {
      ...{ type: "AppendEntriesReply", term: 1, round: 1, success: true },
      ...{ prevLogIndex: 1, matchIndex: 4, conflictIndex: 0, conflictTerm: -1 },
    });
    peer.propose("z");
    const before = peer.log;
    expect(peer.facts).toMatchObject({ role: "leader", commitIndex: 4 });
    peer.restart();
    expect(peer.facts).toMatchObject({ role: "follower", leader: undefined, currentTerm: 1, votedFor: "a" });
    expect(peer.log).toEqual(before);
    expect(peer.raft.commitIndex).toBe(1);
  });

  it("a restarted peer neither leads nor sends until a timer or a message tells it to", () => {
    const peer = new Peer("a", new Disk(THREE));
    elect(peer, "b");
    peer.restart();
    expect(peer.settle()).toEqual([]);
    expect(peer.raft.wakeAt).toBe(peer.now + 100);
  });

  it("a crash before the save loses entries and acknowledgement together", () => {
    const peer = new Peer("a", new Disk(THREE));
    peer.step("b", appendEntries({ batches: [batch(2, 1, "x")] }));
    expect(peer.settle("before save")).toEqual([]);
    peer.restart();
    expect(peer.facts).toMatchObject({ currentTerm: 0 });
    expect(peer.log).toEqual([]);
  });

  it("a crash after the save loses the acknowledgement only, and the same entries may come again", () => {
    const peer = new Peer("a", new Disk(THREE));
    peer.step("b", appendEntries({ batches: [batch(2, 1, "x")] }));
    expect(peer.settle("after save")).toEqual([]);
    peer.restart();
    expect(peer.log).toEqual(["1:x"]);
    const again = peer.receive("b", appendEntries({ batches: [batch(2, 1, "x")] }));
    expect(again).toMatchObject([{ message: { success: true, matchIndex: 2 } }]);
    expect(texts(peer.disk.batches).slice(1)).toEqual(["1:x"]);
  });

  it("a leader that crashes before its save has sent entries it does not hold, and takes them back as a follower", () => {
    const peer = new Peer("a", new Disk(THREE));
    elect(peer, "b");
    peer.raft.propose(batch(0, 0, "x").bytes, 0);
    peer.settle("before save");
    peer.restart();
    expect(peer.log).toEqual(["1:"]);
    const theirs = [batch(3, 1, "x"), batch(4, 2, "y")];
    peer.receive("b", appendEntries({ term: 2, prevLogIndex: 2, prevLogTerm: 1, leaderCommit: 3, batches: theirs }));
    expect(peer.log).toEqual(["1:", "1:x", "2:y"]);
    expect(peer.raft.commitIndex).toBe(3);
  });

  it("what is on disk decides what a later election of this peer is worth", () => {
    const peer = new Peer("a", Disk.holding(THREE, [1, 1, 2], 4, "c"));
    expect(peer.wake()).toMatchObject([
      { to: "b", message: { type: "PreVote", term: 5, lastLogIndex: 4, lastLogTerm: 2 } },
      { to: "c", message: { type: "PreVote", term: 5, lastLogIndex: 4, lastLogTerm: 2 } },
    ]);
  });

  it("the commit index is learned from the leader again, and never beyond what matches", () => {
    const peer = new Peer("a", Disk.holding(THREE, [1, 1, 1]));
    peer.receive("b", appendEntries({ prevLogIndex: 4, prevLogTerm: 1, leaderCommit: 3 }));
    expect(peer.raft.commitIndex).toBe(3);
    peer.restart();
    expect(peer.raft.commitIndex).toBe(1);
    peer.receive("b", appendEntries({ prevLogIndex: 4, prevLogTerm: 1, leaderCommit: 3 }));
    expect(peer.raft.commitIndex).toBe(3);
  });

  it("a single voter commits its old entries when it leads again", () => {
    const peer = new Peer("a", Disk.holding(["a"], [1, 1]));
    peer.tick(0);
    expect(peer.facts).toMatchObject({ role: "leader", currentTerm: 2, commitIndex: 4 });
  });

  it("a store of a cluster that this peer is not in is refused", () => {
    expect(() => new Peer("z", new Disk(THREE))).toThrow(InvariantError);
    expect(() => new Peer("z", new Disk(THREE))).toThrow(/z is not among the voters a, b, c/);
  });
});
