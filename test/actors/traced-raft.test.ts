import { describe, expect, it } from "vitest";
import type { TraceStep } from "../../src/actors/protocol.ts";
import { TracedRaft } from "../../src/actors/traced-raft.ts";
import type { AppendEntries, Message } from "../../src/raft/message.ts";
import { DEFAULT_LIMITS } from "../../src/raft/options.ts";
import { Disk } from "../raft/disk.ts";
import { batch, pack } from "../raft/entries.ts";

const VOTERS = ["a", "b", "c"];

/** Peer "a" on a disk. `told` gives what it told since the last call, without the times, or of messages only the types. */
function setUp(disk: Disk) {
  const steps: TraceStep[] = [];
  const time = { now: 0 };
  const options = {
    ...DEFAULT_LIMITS,
    id: "a",
    heartbeatMs: 10,
    electionMs: [100, 200] as const,
    commitNewsMs: 2,
    snapshotTail: 0,
    snapshotTailMax: 0,
    random: () => 0,
  };
  const raft = new TracedRaft(options, disk.stored(), disk, { now: () => time.now }, (step) => steps.push(step));
  return {
    raft,
    time,
    steps,
    give: (from: string, message: Message) => raft.step(from, 1, message, time.now),
    carryOut() {
      for (let effects = raft.effects(); effects !== undefined; effects = raft.effects()) {
        if (effects.save !== undefined) raft.saved(time.now);
      }
    },
    told: () =>
      steps.splice(0).map(({ at, ...step }) => {
        expect(at).toBe(time.now);
        return "message" in step ? { ...step, message: step.message.type } : step;
      }),
  };
}

const appendEntries = (fields: Partial<AppendEntries>): AppendEntries => ({
  ...{ type: "AppendEntries", term: 2, prevLogIndex: 1, prevLogTerm: 0, leaderCommit: 1, round: 1 },
  ...{ isQuiet: false, batches: [] },
  ...fields,
});

describe("A peer that is traced", () => {
  it("begins with what it has on its disk", () => {
    const { told } = setUp(Disk.holding(VOTERS, [1, 1, 3], 4, "b"));
    const start = { currentTerm: 4, votedFor: "b", firstIndex: 1, lastIndex: 4, snapshotIndex: 0 };
    expect(told()).toEqual([{ kind: "start", ...start }]);
  });

  it("tells of its election in the order in which it happens", () => {
    const { raft, time, give, carryOut, told } = setUp(new Disk(VOTERS));
    told();
    time.now = 100;
    raft.advance(100);
    carryOut();
    expect(told()).toEqual([
      { kind: "role", role: "pre-candidate", currentTerm: 0 },
      { kind: "send", to: "b", message: "PreVote" },
      { kind: "send", to: "c", message: "PreVote" },
    ]);
    give("b", { type: "PreVoteReply", term: 0, proposedTerm: 1, voteGranted: true });
    carryOut();
    expect(told()).toEqual([
      { kind: "receive", from: "b", message: "PreVoteReply" },
      { kind: "role", role: "candidate", currentTerm: 1 },
      { kind: "vote", votedFor: "a", currentTerm: 1 },
      // What asks for votes waits for the candidate's own to be durable.
      { kind: "saved" },
      { kind: "send", to: "b", message: "RequestVote" },
      { kind: "send", to: "c", message: "RequestVote" },
    ]);
    give("b", { type: "RequestVoteReply", term: 1, voteGranted: true });
    carryOut();
    expect(told()).toEqual([
      { kind: "receive", from: "b", message: "RequestVoteReply" },
      { kind: "role", role: "leader", currentTerm: 1 },
      // A leader may send what it has not written yet (dissertation 10.2.1).
      { kind: "send", to: "b", message: "AppendEntries" },
      { kind: "send", to: "c", message: "AppendEntries" },
      { kind: "append", firstIndex: 2, lastIndex: 2 },
      { kind: "saved" },
    ]);
  });

  it("tells where a follower's log is cut, and what takes that place", () => {
    const { give, carryOut, told } = setUp(Disk.holding(VOTERS, [1, 1, 1], 1));
    told();
    const batches = [batch(3, 2, "x", "y")];
    give("b", appendEntries({ prevLogIndex: 2, prevLogTerm: 1, leaderCommit: 3, batches }));
    carryOut();
    expect(told()).toEqual([
      { kind: "receive", from: "b", message: "AppendEntries" },
      { kind: "role", role: "follower", currentTerm: 2 },
      { kind: "follow", leader: "b", currentTerm: 2 },
      { kind: "commit", commitIndex: 3 },
      { kind: "truncate", from: 3 },
      { kind: "append", firstIndex: 3, lastIndex: 4 },
      { kind: "saved" },
      { kind: "send", to: "b", message: "AppendEntriesReply" },
    ]);
  });

  it("tells of proposals that it takes, and not of those that it refuses", () => {
    const { raft, carryOut, told } = setUp(Disk.holding(["a"], [1], 1));
    told();
    expect(raft.propose(pack(["x"]), 0)).toBeUndefined();
    expect(told()).toEqual([]);
    raft.advance(1_000);
    carryOut();
    told();
    raft.propose(pack(["x", "y"]), 0);
    expect(told()).toEqual([{ kind: "propose", firstIndex: 4, lastIndex: 5 }]);
    carryOut();
    expect(told()).toEqual([
      { kind: "append", firstIndex: 4, lastIndex: 5 },
      { kind: "saved" },
      { kind: "commit", commitIndex: 5 },
    ]);
  });

  it("tells that it was told of a death, and that it has no leader then", () => {
    const { raft, time, give, carryOut, told } = setUp(new Disk(VOTERS));
    give("b", appendEntries({ term: 1 }));
    carryOut();
    told();
    raft.peerDied("b", 1, 0);
    expect(told()).toEqual([{ kind: "peer-died", peer: "b", incarnation: 1 }]);
    time.now = raft.wakeAt;
    raft.advance(time.now);
    expect(told()).toEqual([{ kind: "role", role: "pre-candidate", currentTerm: 1 }]);
  });
});

describe("The message of a step", () => {
  it("says which entries it brings, and brings none", () => {
    const { steps, give } = setUp(new Disk(VOTERS));
    const message = appendEntries({ batches: [batch(2, 2, "x", "y", "z")] });
    give("b", message);
    give("b", appendEntries({ prevLogIndex: 4, prevLogTerm: 2 }));
    const received = steps.flatMap((step) => (step.kind === "receive" ? [step.message] : []));
    const { batches: _, ...head } = message;
    expect(received).toEqual([
      { ...head, lastIndex: 4 },
      { ...head, prevLogIndex: 4, prevLogTerm: 2, lastIndex: 4 },
    ]);
  });
});
