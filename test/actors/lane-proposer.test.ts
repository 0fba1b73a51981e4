import { MessageChannel, type MessagePort } from "node:worker_threads";
import { describe, expect, it, onTestFinished } from "vitest";
import { ClientNetwork } from "../../src/actors/client-network.ts";
import { FaultTable } from "../../src/actors/faults.ts";
import { CALL_OVERHEAD_BYTES, Proposer } from "../../src/actors/proposer.ts";
import type { Consistency, LaneReply, LaneRequest } from "../../src/actors/protocol.ts";
import type { CallOptions } from "../../src/actors/waiting-call.ts";
import { encodeResults, pack } from "../../src/machine/codec.ts";
import { wholeOf } from "../../src/raft/entry.ts";
import { RaftError } from "../../src/raft/errors.ts";
import { bufferBytes } from "../machine/fixtures/buffer-bytes.ts";
import { raftError } from "./fixtures/cluster.ts";

/** A peer that a test plays: takes the proposer's requests, and answers as the test says. */
class FakePeer {
  readonly requests: LaneRequest[] = [];
  readonly #port: MessagePort;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on("message", (request: LaneRequest) => this.requests.push(request));
  }

  reply(...replies: LaneReply[]): void {
    this.#port.postMessage(replies);
  }

  leads(term: number, leader: string | undefined): void {
    this.reply({ kind: "leader", term, leader });
  }

  refuses(firstId: number): void {
    const error = { code: "ERR_NOT_LEADER", message: "not I", outcome: "not-applied" } as const;
    this.reply({ kind: "refused", firstId, count: 1, error });
  }

  applies(firstId: number, index: number, result: unknown): void {
    const results = encodeResults([{ result, threw: undefined }]);
    this.reply({ kind: "results", firstId, count: 1, index, term: 1, results });
  }

  answers(id: number, result: unknown): void {
    this.reply({ kind: "answers", firstId: id, index: 0, answers: encodeResults([{ result, threw: undefined }]) });
  }

  dies(): void {
    this.#port.close();
  }
}

function setUp({ maxPendingBytes = 1_000_000 } = {}) {
  const leaders: [string, number][] = [];
  const faults = new FaultTable(["p1", "p2"]);
  const network = new ClientNetwork(faults, () => 0.5);
  const proposer = new Proposer(maxPendingBytes, network, {
    onLeader: (peer, term) => leaders.push([peer, term]),
    onApplied: () => {},
    onTrace: () => {},
  });
  onTestFinished(() => proposer.end(new RaftError("ERR_STOPPED", "the test is over")));
  const start = (id: string) => {
    const { port1, port2 } = new MessageChannel();
    proposer.addLane(id, port1, () => {});
    const peer = new FakePeer(port2);
    onTestFinished(() => peer.dies());
    return peer;
  };
  const submit = (kind: "propose" | Consistency, options: Partial<CallOptions> = {}) =>
    proposer.submit(kind, wholeOf(pack("x")), {
      to: undefined,
      timeoutMs: 60_000,
      signal: undefined,
      onAppended: undefined,
      client: undefined,
      ...options,
    });
  return { proposer, leaders, start, submit, faults };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe("a proposer", () => {
  it("keeps a command until a leader is known, and hands it to that peer alone", async () => {
    const { start, submit } = setUp();
    const [p1, p2] = [start("p1"), start("p2")];
    const call = submit("propose");
    await turns();
    expect([p1.requests, p2.requests]).toEqual([[], []]);
    p1.leads(1, "p2");
    p2.leads(1, "p2");
    await turns();
    expect([p1.requests.length, p2.requests.length]).toEqual([0, 1]);
    p2.applies(1, 7, "done");
    expect(await call).toEqual({ index: 7, term: 1, result: "done" });
  });

  it("hands a command that was refused to the next leader", async () => {
    const { start, submit, leaders } = setUp();
    const [p1, p2] = [start("p1"), start("p2")];
    p1.leads(1, "p1");
    await turns();
    const call = submit("propose");
    await turns();
    p1.leads(2, undefined);
    p1.refuses(1);
    await turns();
    p2.leads(2, "p2");
    await turns();
    p2.applies(1, 3, "ok");
    expect((await call).result).toBe("ok");
    expect(leaders).toEqual([
      ["p1", 1],
      ["p2", 2],
    ]);
  });

  it("does not hand a command on that its peer may have taken: when that dies, the outcome is unknown", async () => {
    const { start, submit } = setUp();
    const [p1, p2] = [start("p1"), start("p2")];
    p1.leads(1, "p1");
    await turns();
    const call = raftError(submit("propose"));
    await turns();
    p1.dies();
    p2.leads(2, "p2");
    expect(await call).toMatchObject({
      code: "ERR_UNKNOWN_OUTCOME",
      outcome: "unknown",
      cause: { code: "ERR_PEER_DOWN" },
    });
    await turns();
    expect(p2.requests).toEqual([]);
  });

  it("asks the next leader when the peer that had a query dies", async () => {
    const { start, submit } = setUp();
    const [p1, p2] = [start("p1"), start("p2")];
    p1.leads(1, "p1");
    await turns();
    const call = submit("linearizable");
    await turns();
    p1.dies();
    p2.leads(2, "p2");
    await turns();
    p2.answers(1, 42);
    expect((await call).result).toBe(42);
  });

  it("takes a query from a peer that does not answer to the next leader, but not a command nor what is for that very peer", async () => {
    const { start, submit } = setUp();
    const [p1, p2] = [start("p1"), start("p2")];
    // p1 follows somebody, and stands still.
    p1.leads(1, "p3");
    await turns();
    const query = submit("linearizable");
    const forP1 = submit("linearizable", { to: "p1" });
    await turns();
    expect(p1.requests).toMatchObject([{ kind: "query", firstId: 1, count: 2 }]);
    expect(p2.requests).toEqual([]);
    p2.leads(2, "p2");
    await turns();
    expect(p2.requests.length).toBe(1);
    p2.answers(1, 42);
    expect((await query).result).toBe(42);
    // Late answers are nobody's, and the room that the query took is given back once.
    p1.answers(1, 41);
    p1.answers(2, 41);
    expect((await forP1).result).toBe(41);
    const command = submit("propose");
    await turns();
    start("p3").leads(3, "p3");
    await turns();
    p2.applies(2, 2, "done");
    expect((await command).result).toBe("done");
  });

  it("gives a query up that three peers have died of", async () => {
    const { start, submit } = setUp();
    const call = raftError(submit("linearizable"));
    for (let term = 1; term <= 3; term++) {
      const peer = start("p1");
      peer.leads(term, "p1");
      await turns();
      expect(peer.requests).toHaveLength(1);
      peer.dies();
      await turns();
    }
    expect(await call).toMatchObject({ code: "ERR_PEER_DOWN" });
    expect((await call).message).toContain("p1");
  });

  it("does not go back to the leader of an earlier term when that of a later one dies", async () => {
    const { start, submit, leaders } = setUp();
    const [p1, p2] = [start("p1"), start("p2")];
    // p1 is paused, say: it has not heard that it was deposed.
    p1.leads(1, "p1");
    p2.leads(2, "p2");
    await turns();
    p2.dies();
    await turns();
    const call = submit("propose");
    await turns();
    expect(p1.requests).toEqual([]);
    const again = start("p2");
    again.leads(3, "p2");
    await turns();
    again.applies(1, 1, "ok");
    await call;
    expect(leaders.at(-1)).toEqual(["p2", 3]);
    expect(leaders.filter(([peer]) => peer === "p1").length).toBeLessThanOrEqual(1);
  });

  it("settles calls when their time is up, each with what is certain by then", async () => {
    const { start, submit } = setUp();
    const unrouted = raftError(submit("propose", { timeoutMs: 5 }));
    expect(await unrouted).toMatchObject({ code: "ERR_NOT_LEADER", outcome: "not-applied" });
    start("p1").leads(1, "p1");
    await turns();
    const command = raftError(submit("propose", { timeoutMs: 20 }));
    const query = raftError(submit("linearizable", { timeoutMs: 20 }));
    expect(await command).toMatchObject({ code: "ERR_UNKNOWN_OUTCOME", cause: { code: "ERR_TIMEOUT" } });
    expect(await query).toMatchObject({ code: "ERR_TIMEOUT", outcome: "not-applied" });
  });

  it("does not call a command not applied whose answer is still on its way when its time is up", async () => {
    const { start, submit, faults } = setUp();
    const p1 = start("p1");
    p1.leads(1, "p1");
    await turns();
    const command = raftError(submit("propose", { client: "far away", timeoutMs: 100 }));
    await turns();
    faults.client("far away", { delayMs: [10_000, 10_000] });
    p1.applies(1, 7, "done");
    expect(await command).toMatchObject({ code: "ERR_UNKNOWN_OUTCOME", outcome: "unknown" });
  });

  it("gives an answer that has come in while the thread was blocked, however late that was", async () => {
    const { start, submit } = setUp();
    const p1 = start("p1");
    p1.leads(1, "p1");
    await turns();
    const call = submit("propose", { timeoutMs: 50 });
    await turns();
    p1.applies(1, 1, "in time");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    expect((await call).result).toBe("in time");
  });

  it("waits as long as it is told, also longer than a timer can", async () => {
    const { start, submit } = setUp();
    const warnings: unknown[] = [];
    const onWarning = (warning: unknown) => warnings.push(warning);
    process.on("warning", onWarning);
    const p1 = start("p1");
    const calls = [
      submit("propose", { timeoutMs: 2 ** 40 }),
      submit("propose", { timeoutMs: Number.POSITIVE_INFINITY }),
    ];
    await turns();
    p1.leads(1, "p1");
    await turns();
    p1.applies(1, 1, "a");
    p1.applies(2, 2, "b");
    expect((await Promise.all(calls)).map(({ result }) => result)).toEqual(["a", "b"]);
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  });

  it.each([Number.NaN, -1, "5" as unknown as number])("rejects a time to wait of %s", async (timeoutMs) => {
    const { submit } = setUp();
    const error = await raftError(submit("propose", { timeoutMs }));
    expect(error).toMatchObject({ code: "ERR_INVALID_OPTION", outcome: "not-applied" });
    expect(error.message).toContain("timeoutMs");
  });

  it("takes no more than may wait, and more again once calls are settled", async () => {
    const bytes = pack("x").byteLength;
    const { start, submit } = setUp({ maxPendingBytes: 2 * bytes + CALL_OVERHEAD_BYTES });
    const p1 = start("p1");
    p1.leads(1, "p1");
    await turns();
    const [first, second] = [submit("propose"), raftError(submit("propose"))];
    const refusal = await raftError(submit("propose"));
    expect(refusal).toMatchObject({ code: "ERR_OVERLOADED", outcome: "not-applied" });
    // To capture a stack takes the time that is lacking.
    expect(refusal.stack).toBe(`RaftError: ${refusal.message}`);
    await turns();
    p1.applies(1, 1, "ok");
    await first;
    const controller = new AbortController();
    const third = raftError(submit("propose", { signal: controller.signal }));
    expect(await raftError(submit("propose"))).toMatchObject({ code: "ERR_OVERLOADED" });
    controller.abort();
    expect(await third).toMatchObject({ code: "ERR_ABORTED", outcome: "not-applied" });
    const fourth = submit("propose");
    await turns();
    p1.applies(3, 3, "ok");
    await fourth;
    p1.dies();
    await second;
  });

  it("bounds the number of calls that wait, too, however small they are", async () => {
    const { proposer, submit } = setUp({ maxPendingBytes: 100 * CALL_OVERHEAD_BYTES });
    const ends = Array.from({ length: 300 }, () => raftError(submit("propose")));
    expect(proposer.waitingBytes).toBeGreaterThan(99 * CALL_OVERHEAD_BYTES);
    proposer.end(new RaftError("ERR_STOPPED", "over"));
    const codes = (await Promise.all(ends)).map(({ code }) => code);
    expect(codes.filter((code) => code === "ERR_STOPPED")).toHaveLength(100);
    expect(codes.filter((code) => code === "ERR_OVERLOADED")).toHaveLength(200);
    expect(proposer.waitingBytes).toBe(0);
  });

  it("lets go of what was given up while nobody led", async () => {
    const { proposer } = setUp({ maxPendingBytes: 2 << 20 });
    const before = bufferBytes();
    for (let at = 0; at < 200; at++) {
      const abort = new AbortController();
      const options = { to: undefined, timeoutMs: Number.POSITIVE_INFINITY, onAppended: undefined, client: undefined };
      const call = raftError(
        proposer.submit("propose", wholeOf(new Uint8Array(1 << 20)), { ...options, signal: abort.signal }),
      );
      abort.abort();
      expect((await call).code).toBe("ERR_ABORTED");
    }
    await turns();
    expect((bufferBytes() - before) / (1 << 20)).toBeLessThan(100);
  });

  it("settles everything when it is ended, and takes nothing from then on", async () => {
    const { proposer, start, submit } = setUp();
    const unrouted = raftError(submit("propose"));
    const leader = raftError(proposer.waitForLeader(undefined));
    proposer.end(new RaftError("ERR_STOPPED", "over"));
    expect(await unrouted).toMatchObject({ code: "ERR_STOPPED", outcome: "not-applied" });
    expect(await leader).toMatchObject({ code: "ERR_STOPPED" });
    expect(await raftError(submit("local"))).toMatchObject({ code: "ERR_STOPPED" });
    start("p1");
  });

  it("counts a query that a peer has not answered with what it takes in its inbox, however short it is", async () => {
    const { proposer, start, submit } = setUp({ maxPendingBytes: 1_000 });
    const p1 = start("p1");
    p1.leads(1, "p1");
    await proposer.waitForLeader(undefined);
    let late = 0;
    while (late < 100) {
      const { code } = await raftError(submit("local", { timeoutMs: 5 }));
      if (code === "ERR_OVERLOADED") break;
      late++;
    }
    expect(late).toBe(4);
  });

  it("hands no more to a peer that has not answered what was given up", async () => {
    const { proposer, start, submit } = setUp({ maxPendingBytes: 5 });
    const p1 = start("p1");
    p1.leads(1, "p1");
    await proposer.waitForLeader(undefined);
    for (let times = 0; times < 2; times++) {
      const call = raftError(submit("propose", { timeoutMs: 20 }));
      expect((await call).code).toBe("ERR_UNKNOWN_OUTCOME");
    }
    expect(await raftError(submit("propose"))).toMatchObject({ code: "ERR_OVERLOADED", outcome: "not-applied" });
    p1.refuses(1);
    await turns();
    const taken = submit("propose");
    await turns();
    p1.applies(3, 7, "done");
    expect((await taken).result).toBe("done");
  });
});
