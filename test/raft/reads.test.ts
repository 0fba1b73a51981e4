import { describe, expect, it } from "vitest";
import type { Outgoing } from "../../src/raft/effects.ts";
import type { AppendEntries, Message } from "../../src/raft/message.ts";
import { Disk } from "./disk.ts";
import { pack } from "./entries.ts";
import { appendEntries, appends, ELECTION_MS, elect, HEARTBEAT_MS, Peer } from "./harness.ts";

const THREE = ["a", "b", "c"];
const FIVE = ["a", "b", "c", "d", "e"];

/** Acknowledges a request, be it late or in another's name. */
function acknowledge(peer: Peer, from: string, { term, round, prevLogIndex, batches }: AppendEntries): Outgoing[] {
  const matchIndex = batches.at(-1)?.lastIndex ?? prevLogIndex;
  const success = { success: true, matchIndex, conflictIndex: 0, conflictTerm: -1 };
  return peer.receive(from, { type: "AppendEntriesReply", term, round, prevLogIndex, ...success });
}

const last = (sent: readonly Outgoing[], to: string): AppendEntries => {
  const message = appends(sent, to).at(-1);
  if (message === undefined) throw new Error(`nothing was sent to ${to}`);
  return message;
};

/** A leader that has committed its no-op, entry 2. */
function established(voters = THREE): Peer {
  const peer = new Peer("a", new Disk(voters));
  const supporters = voters.slice(1, 1 + voters.length / 2);
  const sent = elect(peer, ...supporters);
  for (const from of supporters) acknowledge(peer, from, last(sent, from));
  expect(peer.raft.commitIndex).toBe(2);
  return peer;
}

/** A leader all of whose followers have all of its log. */
function inStep(): Peer {
  const peer = established();
  acknowledge(peer, "c", last(peer.tick(HEARTBEAT_MS), "c"));
  for (const from of ["b", "c"]) acknowledge(peer, from, last(peer.tick(HEARTBEAT_MS), from));
  return peer;
}

function read(peer: Peer, ...ids: number[]): Outgoing[] {
  for (const id of ids) expect(peer.raft.read(id)).toBe(true);
  return peer.settle();
}

describe("dissertation 6.4 linearizable reads without log entries", () => {
  it("a read is released at the commit index of its arrival, once a majority has answered a round begun since", () => {
    const peer = established();
    const sent = read(peer, 7);
    expect(appends(sent, "b")).toMatchObject([{ batches: [], leaderCommit: 2 }]);
    expect(peer.released).toEqual([]);
    acknowledge(peer, "b", last(sent, "b"));
    expect(peer.released).toEqual([{ id: 7, index: 2 }]);
    acknowledge(peer, "c", last(sent, "c"));
    expect(peer.released.length).toBe(1);
  });

  it("answers to rounds that began before the read do not count, however late or often they come", () => {
    const peer = established(FIVE);
    const earlier = peer.tick(HEARTBEAT_MS);
    const sent = read(peer, 1);
    for (let i = 0; i < 3; i++) for (const from of ["b", "c", "d", "e"]) acknowledge(peer, from, last(earlier, from));
    expect(peer.released).toEqual([]);
    acknowledge(peer, "b", last(sent, "b"));
    acknowledge(peer, "b", last(sent, "b"));
    expect(peer.released).toEqual([]);
    acknowledge(peer, "d", last(sent, "d"));
    expect(peer.released).toEqual([{ id: 1, index: 2 }]);
  });

  it("a rejection of the log proves as well that the answerer follows this leader", () => {
    const peer = established();
    const { term, round, prevLogIndex } = last(read(peer, 1), "c");
    const rejected = { success: false, matchIndex: 0, conflictIndex: 1, conflictTerm: -1 };
    peer.receive("c", { type: "AppendEntriesReply", term, round, prevLogIndex, ...rejected });
    expect(peer.released).toEqual([{ id: 1, index: 2 }]);
  });

  it("all reads of a step share one round, and entries of the step carry it", () => {
    const peer = established();
    peer.raft.propose(pack(["x"]), 0);
    const sent = read(peer, 1, 2, 3);
    expect(appends(sent, "b").length).toBe(1);
    expect(last(sent, "b").batches.length).toBe(1);
    acknowledge(peer, "b", last(sent, "b"));
    expect(peer.released).toEqual([1, 2, 3].map((id) => ({ id, index: 2 })));
  });

  it("a later round releases the reads of all rounds before it, in order", () => {
    const peer = established();
    read(peer, 1);
    read(peer, 2);
    const sent = read(peer, 3);
    acknowledge(peer, "b", last(sent, "b"));
    expect(peer.released.map((each) => each.id)).toEqual([1, 2, 3]);
  });

  it("an earlier round releases only the reads before it", () => {
    const peer = established();
    const first = read(peer, 1);
    const second = read(peer, 2);
    acknowledge(peer, "b", last(first, "b"));
    expect(peer.released.map((each) => each.id)).toEqual([1]);
    acknowledge(peer, "b", last(second, "b"));
    expect(peer.released.map((each) => each.id)).toEqual([1, 2]);
  });

  it("nothing is released before the leader has committed in its term, though its round is answered", () => {
    const peer = new Peer("a", Disk.holding(THREE, [1, 1]));
    const opening = elect(peer, "b");
    const sent = read(peer, 1);
    // The round is answered by a heartbeat that shows nothing of the no-op.
    const heartbeat = { ...last(sent, "b"), prevLogIndex: 3, prevLogTerm: 1, batches: [] };
    acknowledge(peer, "b", heartbeat);
    expect(peer.released).toEqual([]);
    acknowledge(peer, "b", last(opening, "b"));
    expect(peer.raft.commitIndex).toBe(4);
    expect(peer.released).toEqual([{ id: 1, index: 4 }]);
  });

  it("a read sees what was committed before it came, and may wait for no more", () => {
    const peer = established();
    const [x] = appends(peer.propose("x"), "b");
    const early = read(peer, 1);
    acknowledge(peer, "b", x ?? appendEntries());
    expect(peer.raft.commitIndex).toBe(3);
    const late = read(peer, 2);
    acknowledge(peer, "b", last(early, "b"));
    acknowledge(peer, "b", last(late, "b"));
    expect(peer.released).toEqual([
      { id: 1, index: 2 },
      { id: 2, index: 3 },
    ]);
  });

  it("a round that was lost is repeated with the next heartbeat", () => {
    const peer = established();
    read(peer, 1);
    const sent = peer.tick(HEARTBEAT_MS);
    acknowledge(peer, "b", last(sent, "b"));
    expect(peer.released).toEqual([{ id: 1, index: 2 }]);
  });

  it("a peer that does not lead takes no read", () => {
    const peer = new Peer("a", new Disk(THREE));
    expect(peer.raft.read(1)).toBe(false);
    peer.wake();
    expect(peer.raft.read(1)).toBe(false);
    expect(peer.settle()).toEqual([]);
    expect(peer.refused).toEqual([]);
  });

  it("reads that wait are refused when a later term ends the leadership, and are not released after it", () => {
    const peer = established();
    const sent = read(peer, 1, 2);
    peer.receive("c", appendEntries({ term: 2, prevLogIndex: 2, prevLogTerm: 1 }));
    expect(peer.refused).toEqual([1, 2]);
    acknowledge(peer, "b", last(sent, "b"));
    expect(peer.released).toEqual([]);
  });

  it("reads that wait are refused when the leader gives up for want of a majority", () => {
    const peer = established();
    read(peer, 1);
    for (let ms = 0; ms <= ELECTION_MS[1] + HEARTBEAT_MS; ms += HEARTBEAT_MS) peer.tick(HEARTBEAT_MS);
    expect(peer.raft.role).not.toBe("leader");
    expect(peer.refused).toEqual([1]);
  });

  it("a paused leader that was deposed meanwhile is not helped by answers to its old rounds", () => {
    const peer = established();
    const old = read(peer, 1);
    acknowledge(peer, "b", last(old, "b"));
    expect(peer.released.length).toBe(1);
    // The client asks again under the same name; the first answer is delivered a second time.
    const again = read(peer, 1);
    acknowledge(peer, "b", last(old, "b"));
    expect(peer.released.length).toBe(1);
    peer.now += 10_000;
    peer.receive("b", { type: "RequestVoteReply", term: 9, voteGranted: false });
    acknowledge(peer, "b", last(again, "b"));
    expect(peer.released.length).toBe(1);
    expect(peer.refused).toEqual([1]);
  });

  it("answers of an earlier leadership do not count in a later one, whose rounds bear the same numbers", () => {
    const peer = established();
    const old = read(peer, 1);
    peer.receive("c", appendEntries({ term: 2, prevLogIndex: 2, prevLogTerm: 1 }));
    elect(peer, "b");
    expect(peer.facts).toMatchObject({ role: "leader", currentTerm: 3 });
    peer.raft.read(2);
    acknowledge(peer, "b", { ...last(old, "b"), round: 99 });
    acknowledge(peer, "c", { ...last(old, "b"), round: 99 });
    expect(peer.released).toEqual([]);
  });

  it.each<{ what: string; sent: Message }>([
    { what: "entries", sent: appendEntries({ term: 1, round: 99 }) },
    {
      what: "a snapshot",
      sent: {
        ...{ type: "InstallSnapshot", term: 1, round: 99, lastIncludedIndex: 9, lastIncludedTerm: 1, chunk: 1 },
        ...{ info: undefined, data: new Uint8Array() },
      },
    },
  ])("who refuses $what of an earlier leadership acknowledges no round of the later one", ({ sent }) => {
    const peer = established();
    peer.receive("c", appendEntries({ term: 2, prevLogIndex: 2, prevLogTerm: 1 }));
    acknowledge(peer, "b", last(elect(peer, "b"), "b"));
    expect(peer.facts).toMatchObject({ role: "leader", currentTerm: 3, commitIndex: 3 });
    const other = new Peer("b", new Disk(THREE));
    other.receive("a", appendEntries({ term: 3, prevLogIndex: 9 }));
    const [refusal] = other.receive("a", sent);
    if (refusal === undefined) throw new Error("expected an answer");
    expect(refusal.message.term).toBe(3);
    peer.raft.read(1);
    peer.settle();
    peer.receive("b", refusal.message);
    expect(peer.released).toEqual([]);
  });

  it("who answers nothing is left out of rounds for reads after 16, but not of heartbeats; the others go on", () => {
    const peer = inStep();
    let asked = 0;
    for (let id = 1; id <= 100; id++) {
      const sent = read(peer, id);
      asked += appends(sent, "c").length;
      acknowledge(peer, "b", last(sent, "b"));
    }
    expect(peer.released.length).toBe(100);
    expect(asked).toBe(16);
    expect(appends(peer.tick(HEARTBEAT_MS), "c").length).toBe(1);
    expect(appends(read(peer, 101), "c")).toEqual([]);
  });

  it("who was left out is told of later rounds by entries", () => {
    const peer = inStep();
    for (let id = 1; id <= 20; id++) acknowledge(peer, "b", last(read(peer, id), "b"));
    peer.raft.propose(pack(["x"]), 0);
    const sent = read(peer, 21);
    acknowledge(peer, "c", last(sent, "c"));
    expect(peer.released.at(-1)?.id).toBe(21);
  });

  it("who was left out is asked again as soon as it answers, for all that wait by then", () => {
    const peer = inStep();
    const sent = Array.from({ length: 30 }, (_, at) => read(peer, at + 1));
    for (const [at, one] of sent.entries()) {
      for (const to of ["b", "c"]) expect(appends(one, to).length).toBe(at < 16 ? 1 : 0);
    }
    const again = acknowledge(peer, "b", last(sent[15] ?? [], "b"));
    expect(peer.released.length).toBe(16);
    expect(appends(again, "b").length).toBe(1);
    // It has answered none of its 16.
    expect(appends(again, "c")).toEqual([]);
    acknowledge(peer, "b", last(again, "b"));
    expect(peer.released.map(({ id }) => id)).toEqual(sent.map((_, at) => at + 1));
    expect(appends(read(peer, 31), "b").length).toBe(1);
  });

  it("an answer makes room for as many rounds as it answers, and no more", () => {
    const peer = inStep();
    const sent = Array.from({ length: 30 }, (_, at) => read(peer, at + 1));
    acknowledge(peer, "c", last(sent[3] ?? [], "c"));
    let asked = 0;
    for (let id = 31; id <= 60; id++) asked += appends(read(peer, id), "c").length;
    // One went out with the answer.
    expect(asked).toBe(3);
  });

  it("a single voter needs nobody's answer", () => {
    const peer = new Peer("a", new Disk(["a"]));
    peer.tick(0);
    read(peer, 1);
    expect(peer.released).toEqual([{ id: 1, index: 2 }]);
  });
});
