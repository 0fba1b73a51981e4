import { expect, it } from "vitest";
import { Replica } from "../../../../src/actors/replica.ts";
import { KeyValueMap } from "../../../../src/machine/key-value.ts";
import type { AppendEntriesReply, PreVote } from "../../../../src/raft/message.ts";
import { Commits } from "../../../../src/testing/simulator/checks/commits.ts";
import { Promises } from "../../../../src/testing/simulator/checks/promises.ts";
import { Killed } from "../../../../src/testing/simulator/crash-points.ts";
import { life } from "./life.ts";

const acknowledgement: AppendEntriesReply = {
  ...{ type: "AppendEntriesReply", term: 1, round: 1, success: true },
  ...{ prevLogIndex: 1, matchIndex: 3, conflictIndex: 0, conflictTerm: -1 },
};
const question: PreVote = { type: "PreVote", term: 2, lastLogIndex: 3, lastLogTerm: 1 };

it("a promise binds the process that made it and those after it, not one that has lost its disk to them", () => {
  const promises = new Promises(100);
  promises.leads({ ...life(1, { role: "leader" }), id: "p2" });
  promises.sends(life(2), "p2", acknowledgement);
  promises.sends(life(1), "p3", question);
  for (const incarnation of [2, 3]) {
    expect(() => promises.sends(life(incarnation), "p3", question)).toThrow("has promised p2 to wait 90 ms more");
  }
});

it("nobody is bound to who is elected after the news that it has ended, and goes on without its disk", () => {
  const promises = new Promises(100);
  const leader = (incarnation: number) => ({ ...life(incarnation, { role: "leader" }), id: "p2" });
  promises.died(leader(1));
  promises.leads(leader(1));
  promises.sends(life(1), "p2", acknowledgement);
  promises.sends(life(1), "p3", question);
  promises.leads(leader(2));
  promises.sends(life(1), "p2", acknowledgement);
  expect(() => promises.sends({ ...life(1) }, "p3", question)).toThrow("has promised p2 to wait 90 ms more");
});

it("what a process commits that has lost its disk, and cannot be read any more, is left to others", () => {
  const replica = new Replica("the full replay", new KeyValueMap(), { enter: () => {}, leave: () => {} });
  const commits = new Commits(new Map(), replica);
  const { log } = life(1).raft;
  const read = () => {
    throw new Killed("idle");
  };
  commits.check(life(1, { commitIndex: 3, log: { ...log, read } }));
  expect(commits.lastIndex).toBe(1);
});
