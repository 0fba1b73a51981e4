import { MessageChannel } from "node:worker_threads";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Call, Lane, type LaneOwner } from "../../src/actors/lane.ts";
import type { LaneReply, LaneRequest } from "../../src/actors/protocol.ts";
import { encodeResults, pack } from "../../src/machine/codec.ts";
import { stampBatch, wholeOf } from "../../src/raft/entry.ts";

/** A lane, the peer's end of it, and what its owner hears. */
function setUp() {
  const { port1, port2: peer } = new MessageChannel();
  const heard: unknown[] = [];
  const owner: LaneOwner<Call> = {
    onLeader: (_lane, term, leader) => heard.push(["leader", term, leader]),
    onSettled: (call, { result }, index, term) => heard.push(["settled", call.id, result, index, term]),
    onRefused: (call, error) => heard.push(["refused", call.id, error.code]),
    onApplied: (id, incarnation, entries) => heard.push(["applied", id, incarnation, entries.length]),
    onTrace: (id, incarnation, steps) => heard.push(["trace", id, incarnation, steps.length]),
    onClosed: (_lane, unsent, sent) => heard.push(["closed", unsent.length, sent.length]),
  };
  const lane = new Lane("p1", port1, () => {}, owner);
  const requests: LaneRequest[] = [];
  peer.on("message", (request: LaneRequest) => requests.push(request));
  onTestFinished(() => peer.close());
  return { lane, peer, heard, requests, reply: (...replies: LaneReply[]) => peer.postMessage(replies) };
}

function call(kind: Call["kind"], onAppended?: Call["onAppended"]): Call {
  return { kind, data: wholeOf(pack("x")), inSession: false, minIndex: 0, onAppended, id: undefined };
}

/** Long enough for what was posted to arrive: several turns of the event loop. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
}

const results = (...values: unknown[]) => encodeResults(values.map((result) => ({ result, threw: undefined })));

describe("a lane", () => {
  it("whose peer has ended hears its last words first, and gives up the rest, once", async () => {
    const { lane, peer, heard, reply } = setUp();
    lane.add(call("propose"));
    lane.add(call("propose"));
    await turns();
    lane.add(call("propose"));
    reply({ kind: "results", firstId: 1, count: 1, index: 7, term: 2, results: results("one") });
    lane.end();
    expect(heard).toEqual([
      ["settled", 1, "one", 7, 2],
      ["closed", 1, 1],
    ]);
    await lane.closed;
    peer.close();
    await turns();
    expect(heard).toHaveLength(2);
  });

  it("sends commands that are large together in several messages", async () => {
    const { lane, requests } = setUp();
    for (let at = 0; at < 5; at++) lane.add({ ...call("propose"), data: wholeOf(new Uint8Array(100 << 10)) });
    await turns();
    expect(requests).toMatchObject([
      { firstId: 1, count: 2 },
      { firstId: 3, count: 2 },
      { firstId: 5, count: 1 },
    ]);
  });

  it("sends the commands of one turn as one message, and numbers them", async () => {
    const { lane, requests } = setUp();
    for (let at = 0; at < 3; at++) lane.add(call("propose"));
    expect(requests).toEqual([]);
    await turns();
    expect(requests).toMatchObject([{ kind: "propose", firstId: 1, count: 3, tellAppended: false }]);
    const [request] = requests;
    if (request?.kind !== "propose") throw new Error("no commands");
    expect(stampBatch(request.packed, { firstIndex: 1, term: 1, time: 0 }).lastIndex).toBe(3);
    lane.add(call("propose"));
    await turns();
    expect(requests[1]).toMatchObject({ firstId: 4, count: 1 });
  });

  it("keeps the order of commands, also of those who want to hear when they are appended", async () => {
    const { lane, requests } = setUp();
    lane.add(call("propose"));
    lane.add(call("propose"));
    lane.add(call("propose", () => {}));
    lane.add(call("propose"));
    await turns();
    expect(requests).toMatchObject([
      { kind: "propose", firstId: 1, count: 2, tellAppended: false },
      { kind: "propose", firstId: 3, count: 1, tellAppended: true },
      { kind: "propose", firstId: 4, count: 1, tellAppended: false },
    ]);
  });

  it("sends queries behind the commands of the same turn, so that all go together that want the same", async () => {
    const { lane, requests, heard, reply } = setUp();
    const calls = (["propose", "linearizable", "propose", "linearizable", "local", "propose"] as const).map((kind) =>
      call(kind),
    );
    for (const one of calls) lane.add(one);
    await turns();
    expect(requests).toMatchObject([
      { kind: "propose", firstId: 1, count: 3 },
      { kind: "query", firstId: 4, count: 2, consistency: "linearizable" },
      { kind: "query", firstId: 6, count: 1, consistency: "local" },
    ]);
    expect(calls.map(({ id }) => id)).toEqual([1, 4, 2, 5, 6, 3]);
    reply({ kind: "answers", firstId: 5, answers: results("second"), index: 9 });
    await turns();
    expect(heard).toEqual([["settled", 5, "second", 9, 0]]);
  });

  it("tells the peer with one message which queries nobody waits for any more", async () => {
    const { lane, requests } = setUp();
    const queries = Array.from({ length: 4 }, () => call("linearizable"));
    for (const one of queries) lane.add(one);
    await turns();
    for (const one of [3, 0, 2]) expect(queries[one] && lane.forget(queries[one])).toBe(true);
    await turns();
    expect(requests.slice(1)).toEqual([{ kind: "cancel", ids: [4, 1, 3] }]);
  });

  it("sends queries that want the same together, some dozens at once", async () => {
    const { lane, requests } = setUp();
    for (let at = 0; at < 70; at++) lane.add(call("linearizable"));
    for (let at = 0; at < 2; at++) lane.add(call("lease"));
    await turns();
    expect(requests).toMatchObject([
      { kind: "query", firstId: 1, count: 64, consistency: "linearizable" },
      { kind: "query", firstId: 65, count: 6, consistency: "linearizable" },
      { kind: "query", firstId: 71, count: 2, consistency: "lease" },
    ]);
  });

  it("hands each result to the command it belongs to, and each once", async () => {
    const { lane, heard, reply } = setUp();
    const appended: unknown[] = [];
    for (let at = 0; at < 3; at++) lane.add(call("propose", (where) => appended.push(where)));
    lane.add(call("linearizable"));
    await turns();
    reply(
      { kind: "appended", firstId: 1, count: 3, index: 10, term: 2 },
      { kind: "results", firstId: 2, count: 2, index: 11, term: 2, results: results("b", "c") },
      { kind: "answers", index: 0, firstId: 4, answers: results("d") },
      { kind: "results", firstId: 1, count: 1, index: 10, term: 2, results: results("a") },
      { kind: "results", firstId: 1, count: 1, index: 10, term: 2, results: results("again") },
    );
    await turns();
    expect(appended).toEqual([10, 11, 12].map((index) => ({ index, term: 2 })));
    expect(heard).toEqual([
      ["settled", 2, "b", 11, 2],
      ["settled", 3, "c", 12, 2],
      ["settled", 4, "d", 0, 0],
      ["settled", 1, "a", 10, 2],
    ]);
  });

  it("tells of refusals, of leaders and of what was applied, in the order in which they come", async () => {
    const { lane, heard, reply } = setUp();
    lane.add(call("propose"));
    lane.add(call("propose"));
    await turns();
    const error = { code: "ERR_NOT_LEADER", message: "no", outcome: "not-applied" } as const;
    reply(
      { kind: "leader", term: 3, leader: "p2" },
      { kind: "refused", firstId: 1, count: 2, error },
      { kind: "applied", incarnation: 1, entries: [{ index: 1, term: 1, kind: "noop" }] },
    );
    await turns();
    expect(heard).toEqual([
      ["leader", 3, "p2"],
      ["refused", 1, "ERR_NOT_LEADER"],
      ["refused", 2, "ERR_NOT_LEADER"],
      ["applied", "p1", 1, 1],
    ]);
  });

  it("says of a call that is forgotten whether the peer may have it, and ignores its answer", async () => {
    const { lane, heard, reply, requests } = setUp();
    const sent = call("propose");
    lane.add(sent);
    await turns();
    const unsent = call("propose");
    lane.add(unsent);
    expect(lane.forget(unsent)).toBe(false);
    expect(lane.forget(sent)).toBe(true);
    reply({ kind: "results", firstId: 1, count: 1, index: 1, term: 1, results: results("late") });
    await turns();
    expect(heard).toEqual([]);
    expect(requests).toHaveLength(1);
  });

  it("sends a call once that was forgotten, and added again before any was sent", async () => {
    const { lane, requests } = setUp();
    const [first, second] = [call("propose"), call("propose")];
    lane.add(first);
    lane.add(second);
    lane.forget(first);
    lane.add(first);
    await turns();
    expect(requests).toMatchObject([{ kind: "propose", firstId: 1, count: 2 }]);
    expect([second.id, first.id]).toEqual([1, 2]);
  });

  it("hands calls over before the turn is done as soon as there are 512 of them", async () => {
    const { lane, requests, heard } = setUp();
    for (let at = 0; at < 1_700; at++) lane.add(call("propose"));
    lane.end();
    expect(heard).toEqual([["closed", 1_700 - 3 * 512, 3 * 512]]);
    await turns();
    expect(requests.map((request) => request.kind === "propose" && request.count)).toEqual([512, 512, 512]);
  });

  it("forgets a call that was not sent yet, and hands over those around it", async () => {
    const { lane, requests, reply, heard } = setUp();
    const calls = Array.from({ length: 3 }, () => call("propose"));
    for (const one of calls) lane.add(one);
    expect(calls.map((one) => one === calls[1] && lane.forget(one))).toEqual([false, false, false]);
    await turns();
    expect(requests).toMatchObject([{ kind: "propose", count: 2 }]);
    reply({ kind: "results", firstId: 1, count: 2, index: 1, term: 1, results: results("first", "third") });
    await turns();
    expect(heard).toEqual([
      ["settled", 1, "first", 1, 1],
      ["settled", 2, "third", 2, 1],
    ]);
  });

  it("tells what was handed over and what was not when the peer's thread ends, after its last words", async () => {
    const { lane, heard, peer, reply } = setUp();
    for (let at = 0; at < 3; at++) lane.add(call("propose"));
    await turns();
    reply({ kind: "results", firstId: 1, count: 1, index: 1, term: 1, results: results("last") });
    peer.close();
    await turns();
    expect(heard).toEqual([
      ["settled", 1, "last", 1, 1],
      ["closed", 0, 2],
    ]);
  });

  it("gives all others their answers when a caller's own function throws", async () => {
    const { lane, heard, reply } = setUp();
    const uncaught: unknown[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.once("uncaughtException", (error) => uncaught.push(error));
    onTestFinished(() => {
      for (const listener of listeners) process.on("uncaughtException", listener);
    });
    const mistake = new Error("a mistake of the caller's");
    lane.add(
      call("propose", () => {
        throw mistake;
      }),
    );
    await turns();
    reply(
      { kind: "appended", firstId: 1, count: 1, index: 1, term: 1 },
      { kind: "results", firstId: 1, count: 1, index: 1, term: 1, results: results("a") },
    );
    await turns();
    expect(heard).toEqual([["settled", 1, "a", 1, 1]]);
    expect(uncaught).toEqual([mistake]);
  });
});
