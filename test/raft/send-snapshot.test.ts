import { describe, expect, it } from "vitest";
import type { Outgoing } from "../../src/raft/effects.ts";
import type { AppendEntries, InstallSnapshot, InstallSnapshotReply } from "../../src/raft/message.ts";
import type { RaftOptions } from "../../src/raft/options.ts";
import { Cluster } from "./cluster.ts";
import { Disk } from "./disk.ts";
import { appends, ELECTION_MS, elect, HEARTBEAT_MS, installs, Peer, rejection, success } from "./harness.ts";

const THREE = ["a", "b", "c"];
/** No two chunks go out together. */
const ONE_AT_A_TIME = { maxMessageBytes: 1 };
const CHUNKS = ["applied=5;", "0=1;", "1=2"].map((text) => Buffer.from(text));

/** The one message of a kind. */
function only<T>(messages: readonly T[]): T {
  const [message, ...rest] = messages;
  if (message === undefined || rest.length > 0) throw new Error(`expected one, got ${JSON.stringify(messages)}`);
  return message;
}
const append = (sent: readonly Outgoing[], to: string): AppendEntries => only(appends(sent, to));
const install = (sent: readonly Outgoing[], to: string): InstallSnapshot => only(installs(sent, to));

/** The answer of one who has taken the chunk, or all of it. */
function taken(
  { term, round, lastIncludedIndex, chunk }: InstallSnapshot,
  over: Partial<InstallSnapshotReply> = {},
): InstallSnapshotReply {
  const next = { nextChunk: chunk + 1, installed: false };
  return { type: "InstallSnapshotReply", term, round, lastIncludedIndex, ...next, ...over };
}

/**
 * "a", just elected by "b" in term 2, with entries 2 to 5 of term 1 in a snapshot of three chunks and entry 6, its own;
 * "b" has all of it, "c" was not heard yet. Also what was sent to "c" at first.
 */
function leader(options: Partial<RaftOptions> = {}, compactTo = 5, chunks = CHUNKS) {
  const disk = Disk.holding(THREE, [1, 1, 1, 1]).holdSnapshot(5, chunks, compactTo);
  const peer = new Peer("a", disk, { ...ONE_AT_A_TIME, ...options });
  const sent = elect(peer, "b");
  peer.receive("b", success(append(sent, "b")));
  expect(peer.facts).toMatchObject({ role: "leader", currentTerm: 2, commitIndex: 6 });
  return { peer, first: append(sent, "c") };
}

/** The same, with "c" found out to have nothing; also the chunk that it is sent for that. */
function sending() {
  const { peer, first } = leader();
  const chunk = install(peer.receive("c", rejection(first, 2)), "c");
  return { peer, chunk };
}

/** Lets time pass, heartbeat by heartbeat, that "b" answers. @returns what was sent to "c". */
function heartbeats(peer: Peer, ms: number): Outgoing[] {
  const toC: Outgoing[] = [];
  for (let passed = 0; passed < ms; passed += HEARTBEAT_MS) {
    const sent = peer.tick(HEARTBEAT_MS);
    toC.push(...sent.filter(({ to }) => to === "c"));
    for (const message of appends(sent, "b")) peer.receive("b", success(message));
  }
  return toC;
}

describe("§7 when a leader sends its snapshot", () => {
  it("at once when a follower's next entry is gone, with no new command needed", () => {
    const { peer, chunk } = sending();
    expect(chunk).toMatchObject({ term: 2, lastIncludedIndex: 5, lastIncludedTerm: 1, chunk: 0 });
    expect(chunk.info).toEqual(peer.raft.snapshot);
    expect(Buffer.from(chunk.data)).toEqual(CHUNKS[0]);
  });

  it("not when the follower's next entry is the log's first: the term before that is known", () => {
    const disk = Disk.holding(THREE, [1, 1, 1, 1, 1, 1]).holdSnapshot(5, CHUNKS);
    const peer = new Peer("a", disk);
    const first = append(elect(peer, "b"), "c");
    expect(first.prevLogIndex).toBe(7);
    const sent = peer.receive("c", rejection(first, 6));
    expect(append(sent, "c")).toMatchObject({ prevLogIndex: 5, prevLogTerm: 1, batches: [{ firstIndex: 6 }, {}] });
    expect(installs(sent, "c")).toEqual([]);
  });

  it("when it needs the very entry before the log's first", () => {
    const { peer, first } = leader();
    expect(install(peer.receive("c", rejection(first, 5)), "c").chunk).toBe(0);
  });

  it("not when the tail behind the snapshot's front has what it needs", () => {
    const { peer, first } = leader({}, 3);
    const sent = peer.receive("c", rejection(first, 4));
    expect(append(sent, "c")).toMatchObject({ prevLogIndex: 3, prevLogTerm: 1 });
    expect(installs(sent, "c")).toEqual([]);
  });

  it("when compaction takes away what one that is not heard still needs, but only once it can be read", () => {
    const peer = new Peer("a", new Disk(THREE), ONE_AT_A_TIME);
    const sent = elect(peer, "b");
    peer.receive("b", success(append(sent, "b")));
    peer.beginSnapshot();
    while (peer.building !== undefined) peer.continueSnapshot();
    const effects = peer.raft.effects();
    expect(effects?.save?.snapshot?.index).toBe(2);
    expect(installs(effects?.before ?? [], "c")).toEqual([]);
    if (effects?.save !== undefined) peer.disk.save(effects.save);
    peer.raft.saved(peer.now);
    expect(installs(peer.raft.effects()?.before ?? [], "c")).toMatchObject([{ chunk: 0, lastIncludedIndex: 2 }]);
  });

  it("before its own save, as AppendEntries is sent: the snapshot is on disk", () => {
    const { peer, first } = leader();
    peer.raft.step("c", 1, rejection(first, 2), peer.now);
    expect(installs(peer.raft.effects()?.before ?? [], "c").length).toBe(1);
  });
});

describe("Figure 13, the leader: chunks", () => {
  it("go out in their order, each when the one before was taken, and entries follow when all is installed", () => {
    const { peer, chunk } = sending();
    const second = install(peer.receive("c", taken(chunk)), "c");
    expect(second).toMatchObject({ chunk: 1, info: undefined });
    const third = install(peer.receive("c", taken(second)), "c");
    expect([third.chunk, Buffer.from(third.data)]).toEqual([2, CHUNKS[2]]);
    const next = append(peer.receive("c", taken(third, { nextChunk: 0, installed: true })), "c");
    expect(next).toMatchObject({ prevLogIndex: 5, prevLogTerm: 1, batches: [{ firstIndex: 6 }] });
  });

  it("as many as a message may have bytes of entries go out together, and more when these were taken", () => {
    const chunks = ["applied=5;", "0=1;1=2;2=", "3"].map((text) => Buffer.from(text));
    const { peer, first } = leader({ maxMessageBytes: 20 }, 5, chunks);
    const [one, two, ...more] = installs(peer.receive("c", rejection(first, 2)), "c");
    if (one === undefined || two === undefined) throw new Error("expected two chunks");
    expect([one.chunk, two.chunk, more]).toEqual([0, 1, []]);
    expect(peer.receive("c", taken(one))).toEqual([]);
    const third = install(peer.receive("c", taken(two)), "c");
    expect(third.chunk).toBe(2);
    const next = append(peer.receive("c", taken(third, { nextChunk: 0, installed: true })), "c");
    expect(next).toMatchObject({ prevLogIndex: 5, batches: [{ firstIndex: 6 }] });
  });

  it("those of them that were lost go out again, and no others", () => {
    const { peer, first } = leader({ maxMessageBytes: 1_000 });
    const run = installs(peer.receive("c", rejection(first, 2)), "c");
    expect(run.map(({ chunk }) => chunk)).toEqual([0, 1, 2]);
    const [one] = run;
    if (one !== undefined) peer.receive("c", taken(one));
    const again = heartbeats(peer, 2 * HEARTBEAT_MS);
    expect(installs(again, "c").map(({ chunk }) => chunk)).toEqual([1, 2]);
  });

  it("one is under way, whatever else happens", () => {
    const { peer } = sending();
    expect(installs(peer.propose("x"), "c")).toEqual([]);
    expect(installs(peer.settle(), "c")).toEqual([]);
    peer.raft.read(1);
    expect(installs(peer.settle(), "c")).toEqual([]);
  });

  it("one that is not answered for a whole time between heartbeats goes out again", () => {
    const { peer, chunk } = sending();
    expect(installs(peer.tick(HEARTBEAT_MS), "c")).toEqual([]);
    expect(install(peer.tick(HEARTBEAT_MS), "c")).toEqual({ ...chunk, round: chunk.round + 2 });
    const second = install(peer.receive("c", taken(chunk)), "c");
    expect(installs(peer.tick(HEARTBEAT_MS), "c")).toEqual([]);
    expect(install(peer.tick(HEARTBEAT_MS), "c")).toMatchObject({ chunk: second.chunk });
  });

  it("an answer that comes twice sends nothing twice", () => {
    const { peer, chunk } = sending();
    const second = install(peer.receive("c", taken(chunk)), "c");
    expect(peer.receive("c", taken(chunk))).toEqual([]);
    const third = install(peer.receive("c", taken(second)), "c");
    expect(third.chunk).toBe(2);
    expect(peer.receive("c", taken(second))).toEqual([]);
  });

  it("a late answer costs a chunk, and the answer to that brings it back to where it was", () => {
    const { peer, chunk } = sending();
    const second = install(peer.receive("c", taken(chunk)), "c");
    const third = install(peer.receive("c", taken(second)), "c");
    expect(install(peer.receive("c", taken(chunk)), "c").chunk).toBe(1);
    expect(install(peer.receive("c", taken(second)), "c").chunk).toBe(2);
    const sent = peer.receive("c", taken(third, { nextChunk: 0, installed: true }));
    expect(append(sent, "c").prevLogIndex).toBe(5);
    for (const late of [chunk, second]) expect(installs(peer.receive("c", taken(late)), "c")).toEqual([]);
  });

  it("a follower that lost what it had gets all of it again", () => {
    const { peer, chunk } = sending();
    peer.receive("c", taken(chunk));
    const again = install(peer.receive("c", taken({ ...chunk, chunk: 1 }, { nextChunk: 0 })), "c");
    expect([again.chunk, again.info]).toEqual([0, peer.raft.snapshot]);
  });

  it("a new process of the follower is asked at once, and what the old one said is dropped", () => {
    const { peer, chunk } = sending();
    const second = install(peer.receive("c", taken(chunk)), "c");
    const unrelated = { type: "PreVoteReply", term: 2, proposedTerm: 9, voteGranted: false } as const;
    expect(install(peer.receive("c", unrelated, 2), "c")).toMatchObject({ chunk: 1 });
    expect(peer.receive("c", taken(second), 1)).toEqual([]);
    expect(install(peer.receive("c", taken(second, { nextChunk: 0 }), 2), "c").chunk).toBe(0);
  });

  it("when another snapshot has taken the place of the one that is being sent, that is sent from its beginning", () => {
    const { peer, chunk } = sending();
    peer.takeSnapshot();
    expect(peer.raft.snapshot?.index).toBe(6);
    const next = install(peer.receive("c", taken(chunk)), "c");
    expect(next).toMatchObject({ lastIncludedIndex: 6, lastIncludedTerm: 2, chunk: 0, info: peer.raft.snapshot });
    // Answers about the one before, late ones, move nothing on.
    expect(peer.receive("c", taken(chunk))).toEqual([]);
    expect(install(heartbeats(peer, 2 * HEARTBEAT_MS), "c")).toMatchObject({ lastIncludedIndex: 6, chunk: 0 });
  });

  it("if it had all of the one before by then, it is at that", () => {
    const { peer, chunk } = sending();
    peer.takeSnapshot();
    const installed = taken({ ...chunk, chunk: 2 }, { nextChunk: 0, installed: true });
    const sent = peer.receive("c", installed);
    expect(installs(sent, "c")).toMatchObject([{ lastIncludedIndex: 6, chunk: 0 }]);
  });

  it("if it had all of the one before by then, it is at that, even in the step in which news of a commit is due", () => {
    const { peer, chunk } = sending();
    for (const message of appends(peer.propose("more"), "b")) peer.receive("b", success(message));
    peer.takeSnapshot();
    expect(peer.raft.log.firstIndex).toBe(8);
    peer.now += 2;
    expect(peer.now).toBeGreaterThanOrEqual(peer.raft.wakeAt);
    peer.step("c", taken(chunk, { nextChunk: 0, installed: true }));
    peer.raft.advance(peer.now);
    expect(install(peer.settle(), "c")).toMatchObject({ lastIncludedIndex: 7, chunk: 0 });
  });

  it("a follower that has the entries after all gets no more of it", () => {
    const { peer, chunk } = sending();
    const sent = peer.receive("c", taken(chunk, { nextChunk: 0, installed: true }));
    expect(append(sent, "c")).toMatchObject({ prevLogIndex: 5, batches: [{ firstIndex: 6 }] });
    const { peer: other, chunk: underWay } = sending();
    const heartbeat = { ...append(heartbeat6(other), "c"), batches: [] };
    expect(other.receive("c", success(heartbeat))).toEqual([]);
    expect(installs(other.receive("c", taken(underWay)), "c")).toEqual([]);
    expect(append(other.propose("x"), "c")).toMatchObject({ prevLogIndex: 6, batches: [{ firstIndex: 7 }] });
  });
});

/** A read's round, in which "c" gets an AppendEntries while a chunk is under way. */
function heartbeat6(peer: Peer): Outgoing[] {
  peer.raft.read(1);
  return peer.settle();
}

describe("Figure 13, the leader: the others, and the one that is silent", () => {
  it("one transfer holds nobody up: entries go to the others, and are committed", () => {
    const { peer } = sending();
    for (let index = 7; index < 12; index++) {
      const sent = peer.propose(`${index}`);
      expect(appends(sent, "c")).toEqual([]);
      peer.receive("b", success(append(sent, "b")));
      expect(peer.raft.commitIndex).toBe(index);
    }
  });

  it("several followers are sent it, each at its own pace", () => {
    const five = ["a", "b", "c", "d", "e"];
    const peer = new Peer("a", Disk.holding(five, [1, 1, 1, 1]).holdSnapshot(5, CHUNKS), ONE_AT_A_TIME);
    const sent = elect(peer, "b", "e");
    const toC = install(peer.receive("c", rejection(append(sent, "c"), 2)), "c");
    const toD = install(peer.receive("d", rejection(append(sent, "d"), 2)), "d");
    expect(install(peer.receive("c", taken(toC)), "c").chunk).toBe(1);
    expect(install(peer.receive("d", taken(toD)), "d").chunk).toBe(1);
  });

  it("what was installed counts for commits like entries", () => {
    const { peer, chunk } = sending();
    const entry = append(peer.receive("c", taken(chunk, { nextChunk: 0, installed: true })), "c");
    const sent = peer.propose("x");
    peer.receive("c", success(entry));
    expect(peer.raft.commitIndex).toBe(6);
    peer.receive("c", success(append(sent, "c")));
    expect(peer.raft.commitIndex).toBe(7);
  });

  it("a heartbeat that it rejects does not disturb the transfer", () => {
    const { peer, chunk } = sending();
    const heartbeat = append(heartbeat6(peer), "c");
    expect(heartbeat).toMatchObject({ prevLogIndex: 6, batches: [] });
    expect(peer.receive("c", rejection(heartbeat, 2))).toEqual([]);
    expect(install(peer.receive("c", taken(chunk)), "c").chunk).toBe(1);
  });

  it.each([
    { what: "rejection", answer: (first: AppendEntries) => rejection({ ...first, prevLogIndex: 1 }, 1) },
    { what: "success with less", answer: (first: AppendEntries) => success(first, { matchIndex: 3 }) },
  ])("nor does a late $what", ({ answer }) => {
    const { peer, first } = leader();
    const chunk = install(peer.receive("c", rejection(first, 3)), "c");
    const second = install(peer.receive("c", taken(chunk)), "c");
    expect(peer.receive("c", answer(first))).toEqual([]);
    expect(install(peer.receive("c", taken(second)), "c").chunk).toBe(2);
  });

  it("one that falls silent gets heartbeats only, and goes on where it was when it is back", () => {
    const { peer, chunk } = sending();
    peer.receive("c", taken(chunk));
    heartbeats(peer, ELECTION_MS[1] + HEARTBEAT_MS);
    const toC = heartbeats(peer, 5 * HEARTBEAT_MS);
    expect([installs(toC, "c").length, appends(toC, "c").length]).toEqual([0, 5]);
    const [heartbeat] = appends(toC, "c");
    if (heartbeat !== undefined) peer.receive("c", rejection(heartbeat, 2));
    expect(installs(heartbeats(peer, HEARTBEAT_MS), "c")).toMatchObject([{ chunk: 1, lastIncludedIndex: 5 }]);
  });

  it("it is known whether one that is heard is being sent the snapshot", () => {
    expect(leader().peer.raft.isSendingSnapshot(0)).toBe(false);
    const { peer, chunk } = sending();
    expect(peer.raft.isSendingSnapshot(peer.now)).toBe(true);
    expect(peer.raft.isSendingSnapshot(peer.now + ELECTION_MS[1] + 1)).toBe(false);
    peer.receive("c", taken(chunk, { installed: true }));
    expect(peer.raft.isSendingSnapshot(peer.now)).toBe(false);
  });
});

describe("Figure 13, the leader: answers like any other", () => {
  it("keep the leader in office when only they come (dissertation 6.2)", () => {
    const { peer, chunk } = sending();
    for (let ms = 0; ms < 3 * ELECTION_MS[1]; ms += HEARTBEAT_MS) {
      peer.tick(HEARTBEAT_MS);
      peer.receive("c", taken(chunk, { nextChunk: 0 }));
    }
    expect(peer.raft.role).toBe("leader");
  });

  it("confirm the rounds of reads that they repeat (§8)", () => {
    const { peer, chunk } = sending();
    peer.raft.read(1);
    peer.settle();
    peer.receive("c", taken(chunk));
    expect(peer.released).toEqual([]);
    peer.tick(HEARTBEAT_MS);
    const again = install(peer.tick(HEARTBEAT_MS), "c");
    peer.receive("c", taken(again, { nextChunk: 1 }));
    expect(peer.released).toEqual([{ id: 1, index: 6 }]);
  });

  it("of a later term end the leadership", () => {
    const { peer, chunk } = sending();
    expect(peer.receive("c", taken(chunk, { term: 7 }))).toEqual([]);
    expect(peer.facts).toMatchObject({ role: "follower", currentTerm: 7, leader: undefined });
  });

  it("of an earlier term mean nothing, nor do those that come to a follower", () => {
    const { peer, chunk } = sending();
    expect(peer.receive("c", taken(chunk, { term: 1, installed: true }))).toEqual([]);
    expect(install(peer.receive("c", taken(chunk)), "c").chunk).toBe(1);
    const other = new Peer("b", new Disk(THREE));
    expect(other.receive("c", taken(chunk, { term: 0, installed: true }))).toEqual([]);
  });
});

describe("§7 a follower that was away for long", () => {
  /** A cluster whose peer "c" was cut off while the others compacted all that it lacks. */
  function cutOff() {
    const cluster = Cluster.of(3, ONE_AT_A_TIME);
    cluster.run(1_000);
    const { leader: first } = cluster;
    const lost = cluster.running.find((peer) => peer !== first);
    if (first === undefined || lost === undefined) throw new Error("no leader");
    cluster.crash(lost.id);
    for (let i = 0; i < 20; i++) {
      cluster.act(first, (peer) => peer.propose(`${i}`));
      cluster.run(5);
    }
    for (const peer of cluster.running) cluster.act(peer, () => peer.takeSnapshot(8));
    return { cluster, first, lost };
  }

  it("catches up by the snapshot of an idle leader, and takes part again", () => {
    const { cluster, first, lost } = cutOff();
    cluster.restart(lost.id);
    cluster.run(100);
    expect(lost.installs).toBe(1);
    expect(lost.machine.state).toBe(first.machine.state);
    cluster.act(first, (peer) => peer.propose("more"));
    cluster.run(50);
    expect(lost.machine.state).toBe(first.machine.state);
    expect(lost.raft.snapshot?.chunks).toBeGreaterThan(3);
  });

  it("catches up by another leader's, when the first dies in the middle of it", () => {
    const { cluster, first, lost } = cutOff();
    cluster.restart(lost.id);
    for (let ms = 0; ms < 1_000 && lost.disk.staged.length < 2; ms++) cluster.run(1);
    expect(lost.disk.staged.length).toBe(2);
    cluster.crash(first.id);
    cluster.run(1_000);
    expect(cluster.leader?.id).not.toBe(first.id);
    expect(lost.installs).toBe(1);
    expect(lost.machine.state).toBe(cluster.leader?.machine.state);
  });
});
