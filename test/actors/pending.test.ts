import { describe, expect, it } from "vitest";
import { type Answer, PendingCommands } from "../../src/actors/pending.ts";

/** Results stay readable: each is a byte. */
const encode = (results: readonly number[]) => Uint8Array.from(results);

function results(answers: readonly Answer[]): unknown[] {
  return answers.map(({ client, reply }) => {
    if (reply.kind === "results")
      return { client, from: reply.firstId, index: reply.index, results: [...reply.results] };
    if (reply.kind === "refused") return { client, from: reply.firstId, count: reply.count, refused: reply.error.code };
    return reply;
  });
}

describe("commands that wait for their results", () => {
  it("answers a batch in one message when its last command is applied", () => {
    const pending = new PendingCommands<number>(encode);
    const answers: Answer[] = [];
    pending.add(1, 7, { firstIndex: 3, lastIndex: 4, term: 2 }, 10);
    pending.applied(2, 1, 10, answers);
    pending.applied(3, 2, 11, answers);
    expect(answers).toEqual([]);
    pending.applied(4, 2, 12, answers);
    expect(results(answers)).toEqual([{ client: 1, from: 7, index: 3, results: [11, 12] }]);
  });

  it("says of a command that gave way to another leader's entry that it is certainly not applied", () => {
    const pending = new PendingCommands<number>(encode);
    const answers: Answer[] = [];
    pending.add(1, 1, { firstIndex: 3, lastIndex: 5, term: 2 }, 10);
    pending.applied(3, 2, 11, answers);
    pending.applied(4, 3, 12, answers);
    expect(results(answers)).toEqual([
      { client: 1, from: 1, index: 3, results: [11] },
      { client: 1, from: 2, count: 2, refused: "ERR_SUPERSEDED" },
    ]);
    pending.applied(5, 3, 13, answers);
    expect(answers).toHaveLength(2);
  });

  it("keeps two commands apart that were appended at the same index in different terms", () => {
    // The peer led in term 2, lost its entry 3 to another leader, and leads again in term 4 (Students' Guide, "re-appearing indices").
    const pending = new PendingCommands<number>(encode);
    const answers: Answer[] = [];
    pending.add(1, 1, { firstIndex: 3, lastIndex: 3, term: 2 }, 10);
    pending.add(1, 2, { firstIndex: 3, lastIndex: 3, term: 4 }, 10);
    pending.applied(3, 4, 11, answers);
    expect(results(answers)).toEqual([
      { client: 1, from: 1, count: 1, refused: "ERR_SUPERSEDED" },
      { client: 1, from: 2, index: 3, results: [11] },
    ]);
  });

  it("says of commands that another leader cut off that they are not applied, long before the log is as long again", () => {
    // The peer led in term 2, and nobody took its entries 4 to 9. It leads again in term 4, and has no room for more commands.
    const pending = new PendingCommands<number>(encode);
    const answers: Answer[] = [];
    pending.add(1, 1, { firstIndex: 4, lastIndex: 6, term: 2 }, 30);
    pending.add(2, 1, { firstIndex: 7, lastIndex: 9, term: 2 }, 40);
    pending.applied(3, 2, 11, answers);
    expect(answers).toEqual([]);
    expect(pending.bytes).toBe(70);
    pending.applied(4, 4, 12, answers);
    expect(results(answers)).toEqual([
      { client: 1, from: 1, count: 3, refused: "ERR_SUPERSEDED" },
      { client: 2, from: 1, count: 3, refused: "ERR_SUPERSEDED" },
    ]);
    expect(pending.bytes).toBe(0);
  });

  it("knows no outcome of what a snapshot covers, and that nothing of an earlier term comes behind it", () => {
    const pending = new PendingCommands<number>(encode);
    const answers: Answer[] = [];
    pending.add(1, 1, { firstIndex: 4, lastIndex: 5, term: 2 }, 10);
    pending.add(1, 3, { firstIndex: 8, lastIndex: 8, term: 2 }, 10);
    pending.applied(4, 2, 11, answers);
    pending.coveredBySnapshot({ index: 6, term: 3 }, answers);
    expect(results(answers)).toEqual([
      { client: 1, from: 1, index: 4, results: [11] },
      { client: 1, from: 2, count: 1, refused: "ERR_UNKNOWN_OUTCOME" },
      { client: 1, from: 3, count: 1, refused: "ERR_SUPERSEDED" },
    ]);
    expect(pending.bytes).toBe(0);
  });

  it("answers an older command whose entry a later leader committed after all", () => {
    const pending = new PendingCommands<number>(encode);
    const answers: Answer[] = [];
    pending.add(1, 1, { firstIndex: 3, lastIndex: 4, term: 2 }, 10);
    pending.add(1, 3, { firstIndex: 4, lastIndex: 4, term: 4 }, 10);
    pending.applied(3, 2, 11, answers);
    pending.applied(4, 2, 12, answers);
    expect(results(answers)).toEqual([
      { client: 1, from: 3, count: 1, refused: "ERR_SUPERSEDED" },
      { client: 1, from: 1, index: 3, results: [11, 12] },
    ]);
  });
});
