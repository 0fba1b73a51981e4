import type { RaftRecord, RecordedStep } from "../../src/actors/record.ts";
import type { PeerId, RequestVote } from "../../src/raft/message.ts";
import type { RaftOptions } from "../../src/raft/options.ts";
import type { Rule } from "../../src/testing/reference/rules.ts";
import { Disk } from "../raft/disk.ts";
import { batch } from "../raft/entries.ts";
import { appendEntries, elect, Peer, success } from "../raft/harness.ts";
import { callOf, effectsOf, received, sending, showing, yielding } from "./lies.ts";
import { recording } from "./recording.ts";

const VOTERS = ["a", "b", "c"];

/** The life of a peer that is driven by hand. */
function live(id: PeerId, drive: (peer: Peer) => void, options: Partial<RaftOptions> = {}, disk = new Disk(VOTERS)) {
  const { make, records } = recording();
  drive(new Peer(id, disk, options, make));
  const [record] = records();
  if (record === undefined) throw new Error("nothing was recorded");
  return record;
}

/** The life with the last step that fits told otherwise. */
function changed(record: RaftRecord, change: (step: RecordedStep) => RecordedStep | undefined): RaftRecord {
  for (const [at, step] of [...record.steps.entries()].toReversed()) {
    const told = change(step);
    if (told !== undefined) return { ...record, steps: record.steps.with(at, told) };
  }
  throw new Error("no step fits");
}

const requestVote: RequestVote = { type: "RequestVote", term: 1, lastLogIndex: 9, lastLogTerm: 1 };

/** Elected by c; with what is on the disks of both committed, or not. */
function ledBy(id: PeerId, term: number, commits: boolean): RaftRecord {
  return live(id, (peer) => {
    if (term > 1) peer.receive("c", { type: "RequestVoteReply", term: term - 1, voteGranted: false });
    for (const { to, message } of elect(peer, "c")) {
      if (!commits || to !== "c" || message.type !== "AppendEntries") continue;
      peer.receive("c", success(message, { matchIndex: 2 }));
    }
  });
}

/** An entry of c is committed as the second. */
function taught(id: PeerId, term: number, text: string): RaftRecord {
  const message = appendEntries({ term, batches: [batch(2, term, text)], leaderCommit: 2 });
  return live(id, (peer) => peer.receive("c", message));
}

/** An entry of an earlier term is on a majority's disks, and the leader of a later term counts it (Figure 8). */
function figure8(): RaftRecord {
  const disk = Disk.holding(VOTERS, [2]);
  disk.incarnation = 1;
  const life = live(
    "a",
    (peer) => {
      for (const { to, message } of elect(peer, "b")) {
        if (to === "b" && message.type === "AppendEntries") peer.receive("b", success(message, { matchIndex: 2 }));
      }
    },
    {},
    disk,
  );
  return changed(life, (step) =>
    received(step, "AppendEntriesReply") ? showing(step, { commitIndex: 2 }) : undefined,
  );
}

/** Late news of the death of a leader's former process, and then a RequestVote, which is not looked at. */
export function lateNews(): RaftRecord {
  return live("b", (peer) => {
    peer.receive("a", appendEntries({}), 2);
    peer.raft.peerDied("a", 1, peer.now);
    peer.receive("c", { ...requestVote, term: 2 });
  });
}

/** A pre-vote for term 1 is asked for in the step in which its giver becomes a candidate in the term behind `currentTerm`. */
export function withdrawnPreVote(currentTerm: 0 | 1): RaftRecord {
  return live("b", (peer) => {
    if (currentTerm > 0) peer.receive("c", { type: "RequestVoteReply", term: currentTerm, voteGranted: false });
    peer.wake();
    peer.raft.step("c", 1, { type: "PreVote", term: 1, lastLogIndex: 9, lastLogTerm: 1 }, peer.now);
    const proposedTerm = currentTerm + 1;
    peer.receive("a", { type: "PreVoteReply", term: currentTerm, proposedTerm, voteGranted: true });
  });
}

/** A vote while the leader is heard: the one that came later is told to have come at once. */
function hasty(): RaftRecord {
  const life = live("b", (peer) => {
    peer.receive("a", appendEntries({}));
    peer.tick(99);
    peer.now += 20;
    peer.receive("c", requestVote);
  });
  return changed(life, (step) => {
    const call = received(step, "RequestVote") && callOf(step, "step");
    return call && { ...step, call: { ...call, now: call.now - 50 } };
  });
}

function staleVote(): RaftRecord {
  const life = live("b", (peer) => {
    peer.receive("a", appendEntries({ term: 2 }));
    peer.receive("c", requestVote);
  });
  return changed(life, (step) =>
    sending(step, "after", "RequestVoteReply", (message) => ({ ...message, voteGranted: true })),
  );
}

/** A leader that has heard nobody for long, and answers as if it led. */
function lateLease(): RaftRecord {
  const life = live(
    "a",
    (peer) => {
      for (const { to, message } of elect(peer, "c")) {
        if (to === "c" && message.type === "AppendEntries") peer.receive("c", success(message, { matchIndex: 2 }));
      }
      peer.raft.leaseIndex(peer.now);
    },
    { leaseMs: 50 },
  );
  return changed(life, (step) => {
    const call = callOf(step, "leaseIndex");
    return call?.returned === undefined ? undefined : { ...step, call: { ...call, now: call.now + 51 } };
  });
}

function readElsewhere(): RaftRecord {
  const life = live("b", (peer) => {
    peer.receive("a", appendEntries({ batches: [batch(2, 1, "x"), batch(3, 1, "y")], leaderCommit: 3 }));
    peer.raft.read(7);
    for (const { message } of peer.settle()) {
      if (message.type === "ReadIndex")
        peer.receive("a", { type: "ReadIndexReply", term: 1, token: message.token, granted: true, index: 3 });
    }
  });
  return changed(life, (step) => {
    const [read] = effectsOf(step)?.reads ?? [];
    return read && yielding(step, { reads: [{ ...read, index: 2 }] });
  });
}

/** Two lives of one peer, of which the second knows nothing of the vote that the first gave, and gives it to another. */
export function twoVotes(): readonly [RaftRecord, RaftRecord] {
  const vote = (candidate: PeerId, disk: Disk) =>
    live(
      "b",
      (peer) => {
        peer.now += 1_000;
        peer.receive(candidate, requestVote);
      },
      {},
      disk,
    );
  const disk = new Disk(VOTERS);
  disk.incarnation = 1;
  return [vote("a", new Disk(VOTERS)), vote("c", disk)];
}

/** What the schedules do not bring about, or what only several lives together show. */
export function handMade(): readonly (readonly [what: string, rule: Rule, lives: readonly RaftRecord[]])[] {
  return [
    ["two leaders of one term", "oneLeader", [ledBy("a", 1, true), ledBy("b", 1, false)]],
    ["a leader without what was committed before", "leaderCompleteness", [ledBy("a", 1, true), ledBy("b", 2, false)]],
    ["two entries committed at one index", "stateMachineSafety", [taught("a", 1, "x"), taught("b", 2, "y")]],
    ["two contents of one entry", "stateMachineSafety", [taught("a", 1, "x"), taught("b", 1, "y")]],
    ["a commit of an entry of an earlier term by counting", "figure8", [figure8()]],
    ["a vote while a leader is heard", "stickiness", [hasty()]],
    ["a vote for one of an earlier term", "staleTerm", [staleVote()]],
    ["an answer by a lease that is over", "lease", [lateLease()]],
    ["a follower's read at another index than its leader named", "followerReads", [readElsewhere()]],
  ];
}
