import { describe, expect, it } from "vitest";
import type { Outgoing } from "../../src/raft/effects.ts";
import type { AppendEntries, Message } from "../../src/raft/message.ts";
import { Disk } from "./disk.ts";
import { appendEntries, appends, ELECTION_MS, elect, HEARTBEAT_MS, Peer } from "./harness.ts";

const THREE = ["a", "b", "c"];

function of<Type extends Message["type"]>(sent: readonly Outgoing[], type: Type): Extract<Message, { type: Type }>[] {
  return sent
    .map(({ message }) => message)
    .filter((message): message is Extract<Message, { type: Type }> => message.type === type);
}

function acknowledge(peer: Peer, from: string, sent: readonly Outgoing[]): Outgoing[] {
  const last = appends(sent, from).at(-1);
  if (last === undefined) throw new Error(`nothing was sent to ${from}`);
  const { term, round, prevLogIndex, batches }: AppendEntries = last;
  const matchIndex = batches.at(-1)?.lastIndex ?? prevLogIndex;
  const success = { success: true, matchIndex, conflictIndex: 0, conflictTerm: -1 };
  return peer.receive(from, { type: "AppendEntriesReply", term, round, prevLogIndex, ...success });
}

function requestVote(term: number): Message {
  return { type: "RequestVote", term, lastLogIndex: 9, lastLogTerm: 1 };
}

/** A leader of term 1 that has committed its no-op, entry 2. */
function leader(options = {}): Peer {
  const peer = new Peer("a", new Disk(THREE), options);
  acknowledge(peer, "b", elect(peer, "b"));
  expect(peer.raft.commitIndex).toBe(2);
  return peer;
}

/** A follower of "b" in term 1. */
function follower(): Peer {
  const peer = new Peer("a", new Disk(THREE));
  peer.receive("b", appendEntries({ term: 1 }));
  return peer;
}

describe("dissertation 6.4 reads at followers", () => {
  it("a follower asks its leader once for all reads of a step, and serves them at the index it is given", () => {
    const peer = follower();
    peer.raft.read(1);
    peer.raft.read(2);
    const [asked, ...others] = of(peer.settle(), "ReadIndex");
    expect(others).toEqual([]);
    peer.receive("b", { type: "ReadIndexReply", term: 1, token: asked?.token ?? -1, granted: true, index: 9 });
    expect(peer.released).toEqual([
      { id: 1, index: 9 },
      { id: 2, index: 9 },
    ]);
  });

  it("a follower has 16 questions open at most; reads behind them wait for an answer, and go as one", () => {
    const peer = follower();
    const asked = Array.from({ length: 100 }, (_, at) => {
      peer.raft.read(at);
      return of(peer.settle(), "ReadIndex");
    }).flat();
    expect(asked.length).toBe(16);
    const reply = { type: "ReadIndexReply", term: 1, granted: true, index: 9 } as const;
    const next = of(peer.receive("b", { ...reply, token: asked[0]?.token ?? -1 }), "ReadIndex");
    expect(next.length).toBe(1);
    for (const { token } of [...asked.slice(1), ...next]) peer.receive("b", { ...reply, token });
    expect(peer.released.map(({ id }) => id).sort((one, other) => one - other)).toEqual(
      Array.from({ length: 100 }, (_, at) => at),
    );
  });

  it("reads that wait behind open questions are refused with them, or go to the next leader", () => {
    const peer = follower();
    for (let id = 0; id < 20; id++) {
      peer.raft.read(id);
      peer.settle();
    }
    peer.now += ELECTION_MS[0];
    const sent = of(peer.receive("c", appendEntries({ term: 2 })), "ReadIndex");
    expect(peer.refused).toEqual(Array.from({ length: 16 }, (_, at) => at));
    expect(sent.length).toBe(1);
    peer.receive("c", { type: "ReadIndexReply", term: 2, token: sent[0]?.token ?? -1, granted: true, index: 9 });
    expect(peer.released.map(({ id }) => id)).toEqual([16, 17, 18, 19]);
  });

  it("however many reads wait, they are refused together when the leader is lost", () => {
    const peer = follower();
    const many = 300_000;
    for (let id = 0; id < many; id++) {
      peer.raft.read(id);
      if (id < 20) peer.settle();
    }
    peer.settle();
    peer.raft.peerDied("b", 1, peer.now);
    peer.settle();
    expect(peer.refused.length).toBe(many);
  });

  it("an answer counts once, from the leader only, and for its own request", () => {
    const peer = follower();
    peer.raft.read(1);
    const [asked] = of(peer.settle(), "ReadIndex");
    const token = asked?.token ?? -1;
    const reply = { type: "ReadIndexReply", term: 1, granted: true, index: 9 } as const;
    peer.receive("c", { ...reply, token });
    peer.receive("b", { ...reply, token: token + 1 });
    expect(peer.released).toEqual([]);
    peer.receive("b", { ...reply, token });
    peer.receive("b", { ...reply, token });
    expect(peer.released).toEqual([{ id: 1, index: 9 }]);
  });

  it("a request or an answer that was lost is repeated when the leader is heard", () => {
    const peer = follower();
    peer.raft.read(1);
    const [asked] = of(peer.settle(), "ReadIndex");
    expect(of(peer.receive("b", appendEntries({ term: 1 })), "ReadIndex")).toEqual([]);
    peer.now += 2 * HEARTBEAT_MS;
    expect(of(peer.receive("b", appendEntries({ term: 1 })), "ReadIndex")).toEqual([asked]);
  });

  it.each<[string, (peer: Peer) => void]>([
    ["another leads", (peer) => peer.receive("c", appendEntries({ term: 2 }))],
    ["a later term is heard of", (peer) => peer.receive("c", requestVote(2))],
    ["the leader is silent for too long", (peer) => peer.tick(ELECTION_MS[1])],
    ["the leader's process is dead", (peer) => peer.raft.peerDied("b", 1, peer.now)],
    [
      "the one it asked does not lead",
      (peer) => peer.receive("b", { type: "ReadIndexReply", term: 1, token: 0, granted: false, index: 0 }),
    ],
  ])("reads that wait at a follower are refused when %s, and are not released after it", (_, happens) => {
    const peer = follower();
    peer.raft.read(1);
    const [asked] = of(peer.settle(), "ReadIndex");
    // Nobody is stood by any longer.
    peer.now += ELECTION_MS[0];
    happens(peer);
    peer.settle();
    expect(peer.refused).toEqual([1]);
    peer.receive("b", { type: "ReadIndexReply", term: 1, token: asked?.token ?? -1, granted: true, index: 9 });
    expect(peer.released).toEqual([]);
  });

  it("a leader answers a follower after a round that began since it was asked", () => {
    const peer = leader();
    const earlier = peer.tick(HEARTBEAT_MS);
    const sent = peer.receive("c", { type: "ReadIndex", term: 1, token: 5 });
    expect(of(acknowledge(peer, "b", earlier), "ReadIndexReply")).toEqual([]);
    expect(of(acknowledge(peer, "b", sent), "ReadIndexReply")).toEqual([
      { type: "ReadIndexReply", term: 1, token: 5, granted: true, index: 2 },
    ]);
  });

  it("a leader that steps down says so to those who wait", () => {
    const peer = leader();
    peer.receive("c", { type: "ReadIndex", term: 1, token: 5 });
    const sent = peer.receive("b", appendEntries({ term: 2, prevLogIndex: 2, prevLogTerm: 1 }));
    expect(of(sent, "ReadIndexReply")).toEqual([
      { type: "ReadIndexReply", term: 2, token: 5, granted: false, index: 0 },
    ]);
  });

  it("who does not lead says so, and one of an earlier term is told of the later", () => {
    const peer = follower();
    const refusal = { type: "ReadIndexReply", term: 1, token: 5, granted: false, index: 0 };
    expect(of(peer.receive("c", { type: "ReadIndex", term: 1, token: 5 }), "ReadIndexReply")).toEqual([refusal]);
    expect(of(peer.receive("c", { type: "ReadIndex", term: 0, token: 5 }), "ReadIndexReply")).toEqual([refusal]);
  });

  it("what a former process of a follower asked is not answered to the next", () => {
    const peer = leader();
    peer.step("c", { type: "ReadIndex", term: 1, token: 5 }, 1);
    const sent = peer.settle();
    peer.step("c", { type: "PreVote", term: 2, lastLogIndex: 0, lastLogTerm: 0 }, 2);
    expect(of(acknowledge(peer, "b", sent), "ReadIndexReply")).toEqual([]);
  });
});

describe("dissertation 6.4.1 the lease", () => {
  const LEASE_MS = ELECTION_MS[0] - 1;

  it("counts from the sending of the round that a majority has acknowledged", () => {
    const peer = leader({ leaseMs: LEASE_MS });
    const sentAt = peer.now + HEARTBEAT_MS;
    const sent = peer.tick(HEARTBEAT_MS);
    peer.now += 40;
    acknowledge(peer, "b", sent);
    expect(peer.raft.leaseIndex(sentAt + LEASE_MS - 0.5)).toBe(2);
    expect(peer.raft.leaseIndex(sentAt + LEASE_MS)).toBeUndefined();
  });

  it("is not prolonged by sending alone, nor by late answers to old rounds", () => {
    const peer = leader({ leaseMs: LEASE_MS });
    const old = peer.tick(HEARTBEAT_MS);
    acknowledge(peer, "b", old);
    const end = peer.now + LEASE_MS;
    for (let beat = 0; beat < 4; beat++) peer.tick(HEARTBEAT_MS);
    acknowledge(peer, "b", old);
    acknowledge(peer, "c", old);
    expect(peer.raft.leaseIndex(end)).toBeUndefined();
  });

  it("is over when the leader steps down, though its time is not", () => {
    const peer = leader({ leaseMs: LEASE_MS });
    acknowledge(peer, "b", peer.tick(HEARTBEAT_MS));
    expect(peer.raft.leaseIndex(peer.now)).toBe(2);
    peer.receive("c", { type: "RequestVoteReply", term: 9, voteGranted: false });
    expect(peer.raft.leaseIndex(peer.now)).toBeUndefined();
  });

  it("is over for a thread that stood still, before it has read its mail", () => {
    const peer = leader({ leaseMs: LEASE_MS });
    acknowledge(peer, "b", peer.tick(HEARTBEAT_MS));
    expect(peer.raft.leaseIndex(peer.now + 10_000)).toBeUndefined();
  });

  it("is not there when the clock has gone back, before a commit in the term, or without the option", () => {
    const peer = leader({ leaseMs: LEASE_MS });
    acknowledge(peer, "b", peer.tick(HEARTBEAT_MS));
    expect(peer.raft.leaseIndex(peer.now - 1_000)).toBeUndefined();
    const fresh = new Peer("a", new Disk(THREE), { leaseMs: LEASE_MS });
    elect(fresh, "b");
    expect(fresh.raft.leaseIndex(fresh.now)).toBeUndefined();
    const without = leader();
    acknowledge(without, "b", without.tick(HEARTBEAT_MS));
    expect(without.raft.leaseIndex(without.now)).toBeUndefined();
  });

  it("is kept by a follower that has heard of a later term in the meantime: it votes for nobody before its time", () => {
    const peer = follower();
    peer.receive("c", { type: "PreVoteReply", term: 6, proposedTerm: 2, voteGranted: false });
    expect(peer.raft.currentTerm).toBe(6);
    const ask = requestVote(6);
    const grants = (sent: readonly Outgoing[]) => of(sent, "RequestVoteReply").map(({ voteGranted }) => voteGranted);
    peer.now += ELECTION_MS[0] - 1;
    expect(grants(peer.receive("c", ask))).toEqual([false]);
    peer.now += 1;
    expect(grants(peer.receive("c", ask))).toEqual([true]);
  });

  it("ends early at a follower that knows the leader's process to be dead, for that serves nothing any more", () => {
    const peer = follower();
    peer.raft.peerDied("b", 1, peer.now);
    const sent = peer.receive("c", requestVote(2));
    expect(of(sent, "RequestVoteReply")).toMatchObject([{ voteGranted: true }]);
  });
});
