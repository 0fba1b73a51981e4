import { describe, expect, it } from "vitest";
import type { Outgoing } from "../../src/raft/effects.ts";
import { EMPTY_SAVE } from "../../src/raft/effects.ts";
import type { Message, PreVote, PreVoteReply, RequestVote, RequestVoteReply } from "../../src/raft/message.ts";
import { Disk } from "./disk.ts";
import { batch, pack } from "./entries.ts";
import { appendEntries, appends, ELECTION_MS, elect, HEARTBEAT_MS, Peer } from "./harness.ts";

const THREE = ["a", "b", "c"];
const FIVE = ["a", "b", "c", "d", "e"];
const [SHORTEST, LONGEST] = ELECTION_MS;

const requestVote = (over: Partial<RequestVote> = {}): RequestVote => ({
  ...{ type: "RequestVote", term: 1, lastLogIndex: 1, lastLogTerm: 0 },
  ...over,
});
const preVote = (over: Partial<PreVote> = {}): PreVote => ({
  ...{ type: "PreVote", term: 1, lastLogIndex: 1, lastLogTerm: 0 },
  ...over,
});
const voteReply = (term: number, voteGranted = true): RequestVoteReply => ({
  ...{ type: "RequestVoteReply", term, voteGranted },
});
const preVoteReply = (proposedTerm: number, voteGranted = true, term = 0): PreVoteReply => ({
  ...{ type: "PreVoteReply", term, proposedTerm, voteGranted },
});

function to(sent: readonly Outgoing[], id: string): Message[] {
  return sent.filter((each) => each.to === id).map((each) => each.message);
}

/** Whether the only answer to `id` grants what it asked for. */
function granted(sent: readonly Outgoing[], id: string): boolean {
  const [message, ...rest] = to(sent, id);
  if (message === undefined || !("voteGranted" in message) || rest.length > 0) {
    throw new Error(`expected one answer to ${id}, got ${JSON.stringify(sent)}`);
  }
  return message.voteGranted;
}

/** A peer whose store was never used before, so that no promise of an earlier process binds it. */
const fresh = (terms: readonly number[] = [], voters = THREE, currentTerm = terms.at(-1) ?? 0) =>
  new Peer("a", Disk.holding(voters, terms, currentTerm));

/** Through pre-votes to a candidate whose own vote is durable. */
function candidate(peer: Peer, ...supporters: string[]): Outgoing[] {
  peer.wake();
  let sent: Outgoing[] = [];
  for (const from of supporters) sent = peer.receive(from, preVoteReply(peer.raft.currentTerm + 1));
  expect(peer.raft.role).toBe("candidate");
  return sent;
}

describe("§5.2 leader election: the election timer", () => {
  it("a follower that hears nothing campaigns after its timeout, and not before", () => {
    const peer = new Peer("a", new Disk(THREE), { random: () => 0.5 });
    expect(peer.raft.wakeAt).toBe(150);
    expect(peer.tick(149)).toEqual([]);
    expect(peer.raft.role).toBe("follower");
    expect(peer.tick(1).map((each) => [each.to, each.message.type])).toEqual([
      ["b", "PreVote"],
      ["c", "PreVote"],
    ]);
  });

  it("each timeout is drawn anew between the two bounds", () => {
    const draws = [0, 0.999, 0.25];
    const peer = new Peer("a", new Disk(THREE), { random: () => draws.shift() ?? 0 });
    expect(peer.raft.wakeAt).toBe(100);
    peer.receive("b", appendEntries());
    expect(peer.raft.wakeAt).toBeCloseTo(199.9);
    peer.receive("b", appendEntries());
    expect(peer.raft.wakeAt).toBe(125);
  });

  it("AppendEntries of the current leader reset the timer, even when they are rejected", () => {
    const peer = fresh();
    peer.tick(60);
    peer.receive("b", appendEntries());
    expect(peer.raft.wakeAt).toBe(160);
    peer.tick(20);
    peer.receive("b", appendEntries({ prevLogIndex: 9, prevLogTerm: 1 }));
    expect(peer.raft.wakeAt).toBe(180);
  });

  it("AppendEntries of a former leader do not reset the timer, nor make it the leader", () => {
    const peer = fresh([], THREE, 3);
    peer.tick(60);
    peer.receive("b", appendEntries({ term: 2 }));
    expect(peer.raft.wakeAt).toBe(100);
    expect(peer.raft.leader).toBeUndefined();
  });

  it("granting a vote resets the timer, and refusing one does not", () => {
    const peer = fresh([1]);
    peer.tick(60);
    expect(granted(peer.receive("b", requestVote({ term: 2, lastLogIndex: 1, lastLogTerm: 0 })), "b")).toBe(false);
    expect(peer.raft.currentTerm).toBe(2);
    expect(peer.raft.wakeAt).toBe(100);
    expect(granted(peer.receive("c", requestVote({ term: 2, lastLogIndex: 2, lastLogTerm: 1 })), "c")).toBe(true);
    expect(peer.raft.wakeAt).toBe(160);
  });

  it("neither a pre-vote, granted or not, nor any reply resets the timer", () => {
    const peer = fresh([1]);
    peer.tick(60);
    expect(granted(peer.receive("b", preVote({ term: 2, lastLogIndex: 2, lastLogTerm: 1 })), "b")).toBe(true);
    expect(granted(peer.receive("c", preVote({ term: 2 })), "c")).toBe(false);
    peer.receive("b", voteReply(1));
    peer.receive("b", preVoteReply(2));
    expect(peer.raft.wakeAt).toBe(100);
  });

  it("a candidate that is not elected in time tries again in a later term", () => {
    const peer = fresh();
    candidate(peer, "b");
    expect(peer.raft.currentTerm).toBe(1);
    peer.tick(SHORTEST);
    expect(peer.raft.role).toBe("pre-candidate");
    peer.receive("c", preVoteReply(2));
    expect(peer.facts).toMatchObject({ role: "candidate", currentTerm: 2, votedFor: "a" });
  });

  it("a candidate repeats its request to those who have not granted it (§5.1)", () => {
    const peer = fresh([], FIVE);
    candidate(peer, "b", "c");
    peer.receive("b", voteReply(1));
    const again = peer.tick(HEARTBEAT_MS);
    expect(again.map((each) => each.to)).toEqual(["c", "d", "e"]);
    expect(new Set(again.map((each) => each.message.type))).toEqual(new Set(["RequestVote"]));
  });
});

describe("§5.2 leader election: votes", () => {
  it("a peer votes for one candidate in a term, first come first served", () => {
    const peer = fresh();
    expect(granted(peer.receive("b", requestVote()), "b")).toBe(true);
    expect(granted(peer.receive("c", requestVote()), "c")).toBe(false);
    expect(peer.raft.votedFor).toBe("b");
  });

  it("a repeated request of the same candidate is granted again, without another write", () => {
    const peer = fresh();
    peer.receive("b", requestVote());
    const saves = peer.disk.saves.length;
    expect(granted(peer.receive("b", requestVote()), "b")).toBe(true);
    expect(peer.disk.saves.length).toBe(saves);
  });

  it("term and vote are one write, and the reply waits for it", () => {
    const { raft } = fresh();
    raft.step("b", 1, requestVote({ term: 4 }), 0);
    expect(raft.effects()).toEqual({
      ...{ before: [], restore: undefined, reads: [], refusedReads: [] },
      save: { ...EMPTY_SAVE, hardState: { currentTerm: 4, votedFor: "b" } },
      after: [{ to: "b", message: voteReply(4) }],
    });
  });

  it("a candidate asks for votes only after its term and its own vote are durable", () => {
    const { raft } = fresh();
    raft.advance(SHORTEST);
    while (raft.effects() !== undefined);
    raft.step("b", 1, preVoteReply(1), SHORTEST);
    const effects = raft.effects();
    expect(effects?.before).toEqual([]);
    expect(effects?.save?.hardState).toEqual({ currentTerm: 1, votedFor: "a" });
    expect(effects?.after).toEqual([
      { to: "b", message: requestVote() },
      { to: "c", message: requestVote() },
    ]);
  });

  it("a candidate counts its own vote only once it is durable", () => {
    const { raft } = fresh();
    raft.advance(SHORTEST);
    while (raft.effects() !== undefined);
    raft.step("b", 1, preVoteReply(1), SHORTEST);
    // An answer to a request that was not even sent: nothing forbids the wire to be quick.
    raft.step("b", 1, voteReply(1), SHORTEST);
    expect(raft.role).toBe("candidate");
    raft.effects();
    expect(raft.role).toBe("candidate");
    raft.saved(SHORTEST);
    expect(raft.role).toBe("leader");
  });

  it("votes of a majority elect, and not of fewer, however often one of them repeats itself", () => {
    const peer = fresh([], FIVE);
    candidate(peer, "b", "c");
    for (let i = 0; i < 3; i++) peer.receive("b", voteReply(1));
    peer.receive("d", voteReply(1, false));
    expect(peer.raft.role).toBe("candidate");
    const sent = peer.receive("c", voteReply(1));
    expect(peer.facts).toMatchObject({ role: "leader", leader: "a" });
    expect(sent.map((each) => [each.to, each.message.type])).toEqual(
      ["b", "c", "d", "e"].map((id) => [id, "AppendEntries"]),
    );
  });

  it("grants of an earlier election are not counted in a later one", () => {
    const peer = fresh([], FIVE);
    candidate(peer, "b", "c");
    peer.receive("b", voteReply(1));
    peer.tick(SHORTEST);
    peer.receive("b", preVoteReply(2));
    peer.receive("c", preVoteReply(2));
    expect(peer.facts).toMatchObject({ role: "candidate", currentTerm: 2 });
    peer.receive("b", voteReply(1));
    peer.receive("c", voteReply(1));
    peer.receive("d", voteReply(1));
    expect(peer.raft.role).toBe("candidate");
    peer.receive("d", voteReply(2));
    expect(peer.raft.role).toBe("candidate");
    peer.receive("e", voteReply(2));
    expect(peer.raft.role).toBe("leader");
  });

  it("the vote of one that is no voter of this cluster is not counted", () => {
    const peer = fresh();
    candidate(peer, "b");
    peer.receive("z", voteReply(1));
    peer.receive("a", voteReply(1));
    expect(peer.raft.role).toBe("candidate");
  });

  it("a candidate votes for nobody else in its term", () => {
    const peer = fresh();
    candidate(peer, "b");
    expect(granted(peer.receive("c", requestVote()), "c")).toBe(false);
    expect(peer.facts).toMatchObject({ role: "candidate", votedFor: "a" });
  });

  it("a candidate follows the leader of its term, and keeps its vote in it", () => {
    const peer = fresh();
    candidate(peer, "b");
    peer.receive("c", appendEntries());
    expect(peer.facts).toMatchObject({ role: "follower", leader: "c", currentTerm: 1, votedFor: "a" });
    expect(granted(peer.receive("b", requestVote()), "b")).toBe(false);
  });

  it("a single voter elects itself at once, when its vote is durable", () => {
    const peer = new Peer("a", new Disk(["a"]));
    expect(peer.raft.wakeAt).toBe(0);
    peer.raft.advance(0);
    expect(peer.raft.role).toBe("candidate");
    expect(peer.settle()).toEqual([]);
    expect(peer.facts).toMatchObject({ role: "leader", currentTerm: 1, commitIndex: 2 });
  });

  it("two leaders in one term stop the peer that sees it", () => {
    const peer = fresh();
    elect(peer, "b");
    expect(() => peer.receive("c", appendEntries({ term: 1 }))).toThrow(/both lead in term 1/);
  });
});

describe("§5.1 terms", () => {
  const later: Message[] = [
    voteReply(7, false),
    preVoteReply(2, false, 7),
    requestVote({ term: 7 }),
    appendEntries({ term: 7 }),
    {
      ...{ type: "AppendEntriesReply", term: 7, round: 1, success: false },
      ...{ prevLogIndex: 1, matchIndex: 0, conflictIndex: 1, conflictTerm: -1 },
    },
  ];
  it.each(later)("a later term in a $type is taken over, and clears the vote", (message) => {
    const peer = fresh();
    elect(peer, "b");
    expect(peer.facts).toMatchObject({ role: "leader", votedFor: "a" });
    peer.now += LONGEST + 1;
    peer.receive("c", message);
    expect(peer.facts).toMatchObject({ role: "follower", currentTerm: 7 });
    expect(peer.raft.votedFor).toBeUndefined();
    expect(peer.disk.hardState.currentTerm).toBe(7);
    // Whoever has sent an AppendEntries is stood by for so long.
    peer.now += SHORTEST;
    expect(granted(peer.receive("b", requestVote({ term: 7, lastLogIndex: 9, lastLogTerm: 1 })), "b")).toBe(true);
  });

  it("requests of an earlier term are refused and told the term", () => {
    const peer = fresh([], THREE, 5);
    expect(to(peer.receive("b", requestVote({ term: 4 })), "b")).toEqual([voteReply(5, false)]);
    expect(to(peer.receive("b", appendEntries({ term: 4 })), "b")).toMatchObject([{ success: false, term: 5 }]);
    expect(to(peer.receive("b", preVote({ term: 4 })), "b")).toEqual([preVoteReply(4, false, 5)]);
    expect(peer.raft.votedFor).toBeUndefined();
  });
});

describe("§5.4.1 election restriction", () => {
  it.each([
    { index: 3, term: 2, grant: true, why: "as long, of the same term" },
    { index: 4, term: 2, grant: true, why: "longer, of the same term" },
    { index: 2, term: 2, grant: false, why: "shorter, of the same term" },
    { index: 2, term: 3, grant: true, why: "shorter, of a later term" },
    { index: 9, term: 1, grant: false, why: "longer, of an earlier term" },
  ])("a log that is $why: granted $grant, asked either way", ({ index, term, grant }) => {
    const last = { term: 4, lastLogIndex: index, lastLogTerm: term };
    expect(granted(fresh([1, 2]).receive("b", preVote(last)), "b")).toBe(grant);
    expect(granted(fresh([1, 2]).receive("b", requestVote(last)), "b")).toBe(grant);
  });

  it("a refused candidate's term is taken over all the same", () => {
    const peer = fresh([1, 2]);
    peer.receive("b", requestVote({ term: 9 }));
    expect(peer.facts).toMatchObject({ currentTerm: 9, votedFor: undefined });
  });
});

describe("dissertation 9.6 PreVote", () => {
  it("changes nothing at the one who answers, granted or not", () => {
    const peer = fresh([1]);
    const wakeAt = peer.raft.wakeAt;
    expect(granted(peer.receive("b", preVote({ term: 9, lastLogIndex: 2, lastLogTerm: 1 })), "b")).toBe(true);
    expect(granted(peer.receive("c", preVote({ term: 9 })), "c")).toBe(false);
    expect(peer.disk.saves).toEqual([]);
    expect(peer.facts).toMatchObject({ currentTerm: 1, votedFor: undefined, role: "follower", wakeAt });
  });

  it("is granted to several, since it is no vote", () => {
    const peer = fresh();
    expect(granted(peer.receive("b", preVote()), "b")).toBe(true);
    expect(granted(peer.receive("c", preVote()), "c")).toBe(true);
  });

  it("is not granted for a term in which the vote is given away, except to whom it was given", () => {
    const peer = fresh();
    peer.receive("b", requestVote({ term: 3 }));
    expect(granted(peer.receive("c", preVote({ term: 3 })), "c")).toBe(false);
    expect(granted(peer.receive("b", preVote({ term: 3 })), "b")).toBe(true);
    expect(granted(peer.receive("c", preVote({ term: 4 })), "c")).toBe(true);
  });

  it("a peer that cannot win does not raise its term, however long it is alone", () => {
    const peer = fresh();
    for (let i = 0; i < 50; i++) peer.wake();
    expect(peer.facts).toMatchObject({ role: "pre-candidate", currentTerm: 0 });
    expect(peer.disk.saves).toEqual([]);
  });

  it("candidates and pre-candidates answer pre-votes too", () => {
    const peer = fresh();
    peer.wake();
    expect(granted(peer.receive("b", preVote()), "b")).toBe(true);
    candidate(peer, "b");
    expect(granted(peer.receive("c", preVote({ term: 1 })), "c")).toBe(false);
    expect(granted(peer.receive("c", preVote({ term: 2 })), "c")).toBe(true);
  });

  it("answers for another term, refusals and answers that come after the election do nothing", () => {
    const peer = fresh();
    peer.wake();
    peer.receive("b", preVoteReply(2));
    peer.receive("b", preVoteReply(1, false));
    expect(peer.facts).toMatchObject({ role: "pre-candidate", currentTerm: 0 });
    elect(peer, "b");
    peer.receive("c", preVoteReply(1));
    peer.receive("c", preVoteReply(2));
    expect(peer.facts).toMatchObject({ role: "leader", currentTerm: 1 });
  });

  it("a grant that names a later term of the answerer does not stop the campaign", () => {
    const peer = fresh();
    peer.wake();
    peer.receive("b", preVoteReply(1, true, 1));
    expect(peer.facts).toMatchObject({ role: "candidate", currentTerm: 1 });
  });

  it("the longest log in an old term and a short log in a high term agree on a leader", () => {
    const long = new Peer("a", Disk.holding(THREE, [1, 1, 2], 2));
    const short = new Peer("b", Disk.holding(THREE, [1], 9));
    // The short one can win nothing, and its question does not pull the other up either.
    const question = to(short.wake(), "a")[0] as PreVote;
    expect(granted(long.receive("b", question), "b")).toBe(false);
    expect(long.raft.currentTerm).toBe(2);
    // The long one learns the term from the refusal, and asks again in it.
    const refusal = to(short.receive("a", to(long.wake(), "b")[0] as PreVote), "a")[0] as PreVoteReply;
    expect(refusal).toMatchObject({ voteGranted: false, term: 9 });
    long.receive("b", refusal);
    expect(long.facts).toMatchObject({ role: "follower", currentTerm: 9 });
    const again = to(long.wake(), "b")[0] as PreVote;
    expect(again.term).toBe(10);
    long.receive("b", to(short.receive("a", again), "a")[0] as PreVoteReply);
    expect(long.facts).toMatchObject({ role: "candidate", currentTerm: 10 });
  });

  it("who becomes a candidate in the step in which it has promised another a pre-vote takes that back", () => {
    const peer = fresh([1]);
    peer.wake();
    peer.raft.step("c", 1, preVote({ term: 2, lastLogTerm: 1, lastLogIndex: 2 }), peer.now);
    const sent = peer.receive("b", preVoteReply(2));
    expect(peer.raft.role).toBe("candidate");
    expect(to(sent, "c")).toMatchObject([
      { type: "PreVoteReply", term: 2, proposedTerm: 2, voteGranted: false },
      { type: "RequestVote", term: 2 },
    ]);
  });

  it("a pre-candidate that gives its vote away waits for the one it elected", () => {
    const peer = fresh([], THREE, 5);
    peer.wake();
    expect(peer.raft.role).toBe("pre-candidate");
    peer.tick(HEARTBEAT_MS / 2);
    expect(granted(peer.receive("b", requestVote({ term: 5 })), "b")).toBe(true);
    peer.receive("c", preVoteReply(6));
    expect(peer.facts).toMatchObject({ role: "follower", currentTerm: 5 });
    expect(peer.raft.wakeAt).toBe(peer.now + SHORTEST);
  });
});

describe("dissertation 4.2.3 disregarding campaigns while a leader is heard", () => {
  it.each(["PreVote", "RequestVote"] as const)("a follower that heard its leader lately ignores a %s", (type) => {
    const peer = fresh();
    peer.receive("b", appendEntries());
    const question = { ...requestVote({ term: 5, lastLogIndex: 9, lastLogTerm: 4 }), type };
    peer.now += SHORTEST - 1;
    const sent = peer.receive("c", question);
    if (type === "PreVote") expect(granted(sent, "c")).toBe(false);
    else expect(sent).toEqual([]);
    expect(peer.raft.currentTerm).toBe(1);
    peer.now += 1;
    expect(granted(peer.receive("c", question), "c")).toBe(true);
  });

  it("a leader that a majority answers ignores a RequestVote, and one that is alone does not", () => {
    const peer = fresh();
    elect(peer, "b");
    peer.now += LONGEST - 1;
    expect(peer.receive("c", requestVote({ term: 5, lastLogIndex: 9, lastLogTerm: 4 }))).toEqual([]);
    expect(peer.facts).toMatchObject({ role: "leader", currentTerm: 1 });
    peer.now += 2;
    expect(granted(peer.receive("c", requestVote({ term: 5, lastLogIndex: 9, lastLogTerm: 4 })), "c")).toBe(true);
    expect(peer.facts).toMatchObject({ role: "follower", currentTerm: 5 });
  });

  it("one that campaigns itself stands by nobody", () => {
    const peer = fresh();
    peer.receive("b", appendEntries());
    peer.wake();
    expect(peer.raft.leader).toBeUndefined();
    expect(granted(peer.receive("c", preVote({ term: 2 })), "c")).toBe(true);
  });

  it("a former leader may be elected again by those who followed it", () => {
    const peer = fresh();
    peer.receive("b", appendEntries());
    peer.now += SHORTEST;
    expect(granted(peer.receive("b", preVote({ term: 2 })), "b")).toBe(true);
    expect(granted(peer.receive("b", requestVote({ term: 2 })), "b")).toBe(true);
  });
});

describe("dissertation 6.2 a leader that lost touch with a majority", () => {
  it("steps down after the longest election timeout, in its term and with its vote", () => {
    const peer = fresh([], FIVE);
    elect(peer, "b", "c");
    const electedAt = peer.now;
    const reply: Message = {
      ...{ type: "AppendEntriesReply", term: 1, round: 1, success: true },
      ...{ prevLogIndex: 1, matchIndex: 2, conflictIndex: 0, conflictTerm: -1 },
    };
    while (peer.raft.role === "leader" && peer.now < electedAt + 1000) {
      peer.wake();
      // One of four is no majority, however often it answers.
      if (peer.raft.role === "leader") peer.receive("b", reply);
    }
    expect(peer.now - electedAt).toBeGreaterThan(ELECTION_MS[1]);
    expect(peer.now - electedAt).toBeLessThanOrEqual(ELECTION_MS[1] + HEARTBEAT_MS);
    expect(peer.facts).toMatchObject({ role: "follower", currentTerm: 1, votedFor: "a", leader: undefined });
    expect(peer.raft.wakeAt).toBe(peer.now + SHORTEST);
  });

  it("steps down in time however often it is asked for reads, and refuses them", () => {
    const peer = fresh();
    elect(peer, "b");
    const electedAt = peer.now;
    for (let id = 0; peer.raft.role === "leader" && peer.now < electedAt + 1000; id++) {
      peer.raft.read(id);
      peer.settle();
      peer.tick(1);
    }
    expect(peer.now - electedAt).toBeLessThanOrEqual(ELECTION_MS[1] + HEARTBEAT_MS);
    expect(peer.refused.length).toBe(peer.now - electedAt);
  });

  it("stays while a majority answers, be it with rejections", () => {
    const peer = fresh();
    elect(peer, "b");
    for (let i = 0; i < 100; i++) {
      const message = appends(peer.wake(), "b")[0];
      const { round, prevLogIndex } = message ?? { round: 0, prevLogIndex: 0 };
      const rejected = { success: false, matchIndex: 0, conflictIndex: 1, conflictTerm: -1 };
      peer.receive("b", { type: "AppendEntriesReply", term: 1, round, prevLogIndex, ...rejected });
    }
    expect(peer.raft.role).toBe("leader");
  });

  it("a stalled leader that finds mail when it wakes reads it before it acts", () => {
    const peer = fresh();
    elect(peer, "b");
    peer.now += 10_000;
    peer.receive("b", appendEntries({ term: 2 }));
    expect(peer.tick(0)).toEqual([]);
    expect(peer.facts).toMatchObject({ role: "follower", leader: "b", currentTerm: 2 });
  });
});

describe("after a restart", () => {
  it("of a used store no vote is granted for the shortest election timeout, and no term taken from candidates", () => {
    const peer = fresh();
    peer.receive("b", appendEntries());
    peer.now = 1000;
    peer.restart();
    peer.now += SHORTEST - 1;
    expect(granted(peer.receive("c", preVote({ term: 5 })), "c")).toBe(false);
    expect(peer.receive("c", requestVote({ term: 5 }))).toEqual([]);
    expect(granted(peer.receive("c", requestVote({ term: 1 })), "c")).toBe(false);
    expect(peer.facts).toMatchObject({ currentTerm: 1, votedFor: undefined });
    peer.now += 1;
    expect(granted(peer.receive("c", preVote({ term: 5 })), "c")).toBe(true);
    expect(granted(peer.receive("c", requestVote({ term: 5 })), "c")).toBe(true);
  });

  it("of a fresh store votes are granted at once", () => {
    expect(granted(fresh().receive("c", requestVote()), "c")).toBe(true);
  });

  it("the vote that was given in this term is remembered", () => {
    const peer = fresh();
    peer.receive("b", requestVote());
    peer.restart();
    peer.now += SHORTEST;
    expect(granted(peer.receive("c", requestVote()), "c")).toBe(false);
    expect(granted(peer.receive("b", requestVote()), "b")).toBe(true);
  });

  it("a vote that was not saved was not given: the crash loses the reply with it", () => {
    const peer = fresh();
    peer.raft.step("b", 1, requestVote(), 0);
    expect(peer.settle("before save")).toEqual([]);
    peer.restart();
    peer.now += SHORTEST;
    expect(granted(peer.receive("c", requestVote()), "c")).toBe(true);
  });

  it("messages of a process that has a successor are dropped", () => {
    const peer = fresh();
    peer.receive("b", appendEntries(), 2);
    const wakeAt = peer.raft.wakeAt;
    peer.now += 10;
    expect(peer.receive("b", appendEntries({ term: 8 }), 1)).toEqual([]);
    expect(peer.facts).toMatchObject({ currentTerm: 1, wakeAt });
    candidate(peer, "c");
    peer.receive("b", voteReply(2), 1);
    expect(peer.raft.role).toBe("candidate");
    peer.receive("b", voteReply(2), 2);
    expect(peer.raft.role).toBe("leader");
  });
});

describe("a cold start, of all peers", () => {
  const cold = (id: string, random: number, disk = new Disk(THREE)) =>
    new Peer(id, disk, { coldStart: true, random: () => random });

  it("makes them campaign within ten milliseconds, one after the other", () => {
    const slots = [0, 1].map((random) => THREE.map((id) => cold(id, random).raft.wakeAt));
    expect(slots).toEqual([
      [0, 5, 10],
      [0, 3.75, 8.75],
    ]);
  });

  it("lets them vote at once, since no leader is left that they stood by", () => {
    const peer = cold("c", 0);
    peer.receive("b", appendEntries());
    peer.now = 1000;
    peer.restart();
    expect(granted(peer.receive("a", preVote({ term: 2 })), "a")).toBe(true);
    expect(granted(peer.receive("a", requestVote({ term: 2 })), "a")).toBe(true);
  });

  it("does not let one who comes later disturb a leader that is heard", () => {
    const peer = fresh();
    peer.receive("b", appendEntries());
    const late = cold("c", 0, Disk.holding(THREE, [], 1));
    const [asked] = late.tick(10).filter(({ to }) => to === "a");
    if (asked === undefined) throw new Error("it does not campaign");
    expect(granted(peer.receive("c", asked.message), "c")).toBe(false);
    expect(peer.facts).toMatchObject({ leader: "b", currentTerm: 1 });
    expect(late.raft.currentTerm).toBe(1);
  });

  it("that does not come to a leader goes on with the timeouts of others", () => {
    const peer = cold("a", 0);
    peer.tick(0);
    expect(peer.raft.role).toBe("pre-candidate");
    peer.tick(SHORTEST - 1);
    expect(peer.tick(1).map(({ message }) => message.type)).toEqual(["PreVote", "PreVote"]);
  });
});

describe("news of the leader's death", () => {
  it("makes a follower forget its leader and campaign within ten milliseconds", () => {
    const peer = new Peer("a", new Disk(THREE), { random: () => 1 });
    peer.receive("b", appendEntries(), 3);
    peer.now += 1;
    peer.raft.peerDied("b", 3, peer.now);
    expect(peer.facts).toMatchObject({ role: "follower", leader: undefined, wakeAt: peer.now });
    expect(granted(peer.receive("c", preVote({ term: 2 })), "c")).toBe(true);
    expect(granted(peer.receive("c", requestVote({ term: 2 })), "c")).toBe(true);
  });

  it("makes its followers campaign one after the other, since all hear it at once", () => {
    const slots = [0, 1].map((random) =>
      ["a", "c"].map((id) => {
        const peer = new Peer(id, new Disk(THREE), { random: () => random });
        peer.receive("b", appendEntries(), 3);
        peer.raft.peerDied("b", 3, peer.now);
        return peer.raft.wakeAt - peer.now;
      }),
    );
    expect(slots).toEqual([
      [0, 10],
      [0, 7.5],
    ]);
  });

  it.each([
    { who: "b", incarnation: 2, why: "of an older process of the leader" },
    { who: "c", incarnation: 3, why: "of another peer" },
  ])("$why means nothing", ({ who, incarnation }) => {
    const peer = fresh();
    peer.receive("b", appendEntries(), 3);
    const wakeAt = peer.raft.wakeAt;
    peer.raft.peerDied(who, incarnation, peer.now);
    expect(peer.facts).toMatchObject({ leader: "b", wakeAt });
  });

  it("of a follower does not disturb the leader", () => {
    const peer = fresh();
    elect(peer, "b");
    peer.raft.peerDied("b", 1, peer.now);
    expect(peer.raft.role).toBe("leader");
    expect(peer.raft.propose(pack(["x"]), 0)).toBeDefined();
  });

  it("of a leader that lives again is taken back by its next AppendEntries", () => {
    const peer = fresh();
    peer.receive("b", appendEntries({ batches: [batch(2, 1, "x")] }), 1);
    peer.raft.peerDied("b", 1, peer.now);
    peer.receive("b", appendEntries({ prevLogIndex: 2, prevLogTerm: 1 }), 1);
    expect(peer.facts).toMatchObject({ leader: "b", role: "follower", wakeAt: SHORTEST });
  });
});
