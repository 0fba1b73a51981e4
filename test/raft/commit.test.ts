import { describe, expect, it } from "vitest";
import { Cluster } from "./cluster.ts";
import { Disk } from "./disk.ts";
import { texts } from "./entries.ts";

const FIVE = ["s1", "s2", "s3", "s4", "s5"];

/** Five servers with these terms from index 2 on, in the current term `currentTerm`. */
function servers(terms: Record<string, readonly number[]>, currentTerm: number): Cluster {
  return new Cluster(
    Object.fromEntries(FIVE.map((id) => [id, Disk.holding(FIVE, terms[id] ?? [], currentTerm)])),
    // Timers are fired by hand.
    { electionMs: [1_000, 2_000], heartbeatMs: 100, random: () => 0 },
  );
}

/** `id` is elected by `supporters` while it cannot reach anyone else; what it sends as a leader stays on the wire. */
function elect(cluster: Cluster, id: string, ...supporters: string[]): void {
  cluster.partition([id, ...supporters]);
  const peer = cluster.peer(id);
  const leads = () => peer.raft.role === "leader";
  // The first attempt may end in learning a later term.
  for (let attempt = 0; attempt < 2 && !leads(); attempt++) {
    cluster.wire = [];
    cluster.now += 2_000;
    cluster.act(peer, ({ raft, now }) => raft.advance(now));
    while (!leads() && cluster.wire.length > 0) cluster.deliver(0);
  }
  expect(leads()).toBe(true);
  expect(cluster.wire.some((each) => each.message.type === "AppendEntries")).toBe(true);
}

/** Everything is delivered that passes between these, until nothing more is on the wire. */
function exchange(cluster: Cluster, ...group: string[]): void {
  cluster.partition(group);
  while (cluster.wire.length > 0) cluster.deliver(0);
}

/** The terms of a server's entries behind the configuration, as they are on its disk. */
function terms(cluster: Cluster, id: string): number[] {
  return texts(cluster.peer(id).disk.batches)
    .slice(1)
    .map((text) => Number.parseInt(text, 10));
}

describe("§5.4.2 committing entries from previous terms", () => {
  /**
   * Figure 8 up to (c). Index 2 of the paper is our 3, since entry 1 is the configuration; a leader's no-op stands where
   * the paper's leader has its first entry, and that it exists only at the leader is what (c) is about.
   */
  function figure8(): Cluster {
    const cluster = servers({ s1: [1, 2], s2: [1, 2], s3: [1], s4: [1], s5: [1] }, 2);
    // (b) S5 is elected by S3 and S4 in term 3, accepts an entry that reaches nobody, and crashes.
    elect(cluster, "s5", "s3", "s4");
    expect(terms(cluster, "s5")).toEqual([1, 3]);
    cluster.crash("s5");
    // (c) S1 is elected in term 4 by S2 and S3, and sends S3 what it lacks: the entry of term 2 alone.
    elect(cluster, "s1", "s2", "s3");
    expect(cluster.peer("s1").raft.currentTerm).toBe(4);
    return cluster;
  }

  /** Delivers to S3 only the part of S1's entries that is older than term 4. */
  function sendOldEntriesToS3(cluster: Cluster): void {
    const s1 = cluster.peer("s1");
    const [old] = s1.raft.log.read(3, 3);
    if (old === undefined) throw new Error("S1 has no entry 3");
    const probe = cluster.wire.find((each) => each.to === "s3" && each.message.type === "AppendEntries")?.message;
    if (probe?.type !== "AppendEntries") throw new Error("S1 sent nothing to S3");
    const message = { ...probe, prevLogIndex: 2, prevLogTerm: 1, batches: [old] };
    cluster.wire = [];
    cluster.handOver({ from: "s1", to: "s3", incarnation: 1, message });
    // S2 has it since (a), and says so.
    const heartbeat = { ...probe, prevLogIndex: 3, prevLogTerm: 2, batches: [] };
    cluster.handOver({ from: "s1", to: "s2", incarnation: 1, message: heartbeat });
    while (cluster.wire.length > 0) {
      // Replies arrive; what the leader sends because of them does not.
      const at = cluster.wire.findIndex((each) => each.message.type === "AppendEntriesReply");
      if (at < 0) break;
      cluster.deliver(at);
    }
    cluster.wire = [];
  }

  it("Figure 8 (c): an entry of an older term is not committed, though a majority holds it", () => {
    const cluster = figure8();
    sendOldEntriesToS3(cluster);
    const holders = FIVE.filter((id) => terms(cluster, id)[1] === 2);
    expect(holders).toEqual(["s1", "s2", "s3"]);
    expect(cluster.peer("s1").facts).toMatchObject({ role: "leader", currentTerm: 4, commitIndex: 1 });
  });

  it("Figure 8 (d): so that S5 may still be elected, and overwrite it", () => {
    const cluster = figure8();
    sendOldEntriesToS3(cluster);
    cluster.crash("s1");
    cluster.restart("s5");
    elect(cluster, "s5", "s3", "s4");
    exchange(cluster, "s2", "s3", "s4", "s5");
    for (const id of ["s2", "s3", "s4", "s5"]) expect(terms(cluster, id)).toEqual([1, 3, 5]);
    expect(cluster.peer("s5").raft.commitIndex).toBe(4);
    // And S1, when it is back, gives way: nothing it holds was committed.
    cluster.restart("s1");
    cluster.act(cluster.peer("s5"), ({ raft, now }) => raft.advance(now + 100));
    exchange(cluster, ...FIVE);
    expect(terms(cluster, "s1")).toEqual([1, 3, 5]);
  });

  it("Figure 8 (e): once an entry of its own term is on a majority, all before it is committed, and S5 is out", () => {
    const cluster = figure8();
    exchange(cluster, "s1", "s2", "s3");
    expect(cluster.peer("s1").raft.commitIndex).toBe(4);
    for (const id of ["s1", "s2", "s3"]) expect(terms(cluster, id)).toEqual([1, 2, 4]);
    cluster.crash("s1");
    cluster.restart("s5");
    const s5 = cluster.peer("s5");
    for (let attempt = 0; attempt < 5; attempt++) {
      cluster.now += 2_000;
      cluster.act(s5, ({ raft, now }) => raft.advance(now));
      exchange(cluster, "s2", "s3", "s4", "s5");
      expect(["follower", "pre-candidate"]).toContain(s5.raft.role);
    }
  });

  it("a leader opens its term with an entry of its own, so that older ones need not wait for a client", () => {
    const cluster = servers({ s1: [1, 1], s2: [1, 1], s3: [1, 1], s4: [1, 1], s5: [1, 1] }, 1);
    elect(cluster, "s1", "s2", "s3");
    expect(cluster.peer("s1").log).toEqual(["1:1.2", "1:1.3", "2:"]);
    exchange(cluster, ...FIVE);
    expect(cluster.peer("s1").raft.commitIndex).toBe(4);
  });

  it("an entry is committed by a majority of all voters, not of those that answer", () => {
    const cluster = servers({}, 0);
    elect(cluster, "s1", "s2", "s3");
    exchange(cluster, "s1", "s2");
    expect(cluster.peer("s1").raft.commitIndex).toBe(1);
    cluster.act(cluster.peer("s1"), ({ raft, now }) => raft.advance(now + 100));
    exchange(cluster, "s1", "s3");
    expect(cluster.peer("s1").raft.commitIndex).toBe(2);
  });
});
