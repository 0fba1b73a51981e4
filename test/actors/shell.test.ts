import { describe, expect, it } from "vitest";
import { decodeResults, pack } from "../../src/machine/codec.ts";
import { Sessions } from "../../src/machine/sessions.ts";
import { joinContent } from "../../src/machine/snapshot-content.ts";
import type { StateMachine } from "../../src/machine/state-machine.ts";
import { EntryKind, packEntries, stampBatch } from "../../src/raft/entry.ts";
import { MemoryDisk } from "../../src/storage/memory.ts";
import { CLIENT, onePeer, propose, query } from "./fixtures/one-peer.ts";

/** Remembers what it was told; throws at the command "refuse". */
class Recorder implements StateMachine<string, number, unknown, readonly string[]> {
  readonly commands: string[] = [];
  apply(command: string): number {
    if (command === "refuse") throw new Error("refused");
    return this.commands.push(command);
  }
  query(query: unknown): readonly string[] {
    if (query === "nonsense") throw new Error("nonsense");
    return [...this.commands];
  }
  snapshot(): Uint8Array {
    if (this.commands.includes("no snapshots")) throw new Error("not now");
    return new TextEncoder().encode(JSON.stringify(this.commands));
  }
  restore(chunks: Iterable<Uint8Array>): void {
    const text = [...chunks].map((chunk) => new TextDecoder().decode(chunk)).join("");
    this.commands.splice(0, this.commands.length, ...(JSON.parse(text) as string[]));
  }
}

function setUp(peers: readonly string[], disk?: MemoryDisk, snapshotEvery?: number, maxPendingBytes?: number) {
  return onePeer(new Recorder(), peers, disk, snapshotEvery, maxPendingBytes);
}

describe("a turn of the shell", () => {
  it("makes one write and one message to each neighbour of all that waited", () => {
    const peer = setUp(["a", "b", "c"]);
    peer.elect();
    peer.acknowledge("c");
    peer.shell.turn();
    peer.journal.length = 0;
    for (let id = 1; id <= 100; id++) peer.shell.request(CLIENT, propose(id, `command ${id}`));
    peer.shell.turn();
    expect(peer.journal).toEqual(["AppendEntries to b", "AppendEntries to c", "save"]);
    expect(peer.saves[0]?.batches).toHaveLength(100);
  });

  it("answers other peers only after the write", () => {
    const peer = setUp(["a", "b", "c"]);
    peer.deliver("b", { type: "RequestVote", term: 3, lastLogIndex: 9, lastLogTerm: 2 });
    peer.shell.turn();
    expect(peer.journal.filter((step) => step !== "reply")).toEqual(["save", "RequestVoteReply to b"]);
  });

  it("answers a batch of commands with one message once a majority holds it", () => {
    const peer = setUp(["a", "b", "c"]);
    peer.elect();
    peer.shell.request(CLIENT, propose(1, "x", "refuse", "y"));
    peer.shell.turn();
    expect(peer.replies).toEqual([]);
    peer.acknowledge("b");
    peer.shell.turn();
    expect(peer.replies).toHaveLength(1);
    const reply = peer.replies[0];
    if (reply?.kind !== "results") throw new Error("expected results");
    expect(decodeResults(reply.results)).toMatchObject([
      { result: 1 },
      { threw: { name: "Error", message: "refused" } },
      { result: 2 },
    ]);
    expect(peer.machine.commands).toEqual(["x", "y"]);
  });

  it("applies and answers as a leader what is committed before it writes what came after", () => {
    const peer = setUp(["a", "b", "c"]);
    peer.elect();
    peer.acknowledge("c");
    peer.shell.request(CLIENT, propose(1, "x"));
    peer.shell.turn();
    peer.acknowledge("b");
    peer.shell.request(CLIENT, propose(2, "y"));
    peer.journal.length = 0;
    peer.shell.turn();
    expect(peer.journal).toEqual(["AppendEntries to b", "AppendEntries to c", "reply", "save"]);
    expect(peer.machine.commands).toEqual(["x"]);
  });

  it("answers the first of very many commands while it applies the others", () => {
    const peer = setUp(["a", "b", "c"]);
    peer.elect();
    peer.shell.request(CLIENT, propose(1, ...Array.from({ length: 600 }, (_, at) => `command ${at}`)));
    peer.shell.turn();
    peer.acknowledge("b");
    peer.shell.turn();
    const told = peer.replies.map((reply) =>
      reply.kind === "results" ? [reply.firstId, reply.count, reply.index] : [],
    );
    expect(told).toEqual([
      [1, 256, 3],
      [257, 256, 259],
      [513, 88, 515],
    ]);
  });

  it("counts its election timeout from when a quiet heartbeat came in, not from when it wakes and finds it", () => {
    const peer = setUp(["a", "b", "c"]);
    peer.shell.turn();
    const heartbeat = { term: 5, prevLogIndex: 1, prevLogTerm: 0, leaderCommit: 1, round: 1, batches: [] };
    peer.deliver("c", { type: "AppendEntries", ...heartbeat, isQuiet: false });
    peer.shell.turn();
    expect(peer.shell.raft.wakeAt).toBe(150);
    peer.time.now = 150;
    peer.deliverQuiet("c", { type: "AppendEntries", ...heartbeat, isQuiet: true }, 100);
    peer.shell.turn();
    expect(peer.shell.raft).toMatchObject({ role: "follower", leader: "c", wakeAt: 250 });
  });

  it("tells a client whom it follows before it refuses a command", () => {
    const peer = setUp(["a", "b", "c"]);
    peer.shell.turn();
    peer.replies.length = 0;
    const leading = {
      term: 5,
      prevLogIndex: 1,
      prevLogTerm: 0,
      leaderCommit: 1,
      round: 1,
      isQuiet: false,
      batches: [],
    };
    peer.deliver("c", { type: "AppendEntries", ...leading });
    peer.shell.request(CLIENT, propose(1, "x"));
    peer.shell.turn();
    expect(peer.replies).toMatchObject([
      { kind: "leader", term: 5, leader: "c" },
      { kind: "refused", firstId: 1, count: 1, error: { code: "ERR_NOT_LEADER", leader: "c" } },
    ]);
  });

  it("refuses commands and queries for which there is no room, and appends none of them", () => {
    const peer = setUp(["a", "b", "c"], undefined, 0, 10);
    peer.elect();
    peer.shell.request(CLIENT, propose(1, "12345678"));
    peer.shell.request(CLIENT, propose(2, "12345678"));
    peer.shell.request(CLIENT, query(3, ["12345678"]));
    peer.shell.request(CLIENT, query(4, ["12345678"]));
    peer.shell.turn();
    const error = expect.objectContaining({ code: "ERR_OVERLOADED", outcome: "not-applied" });
    expect(peer.replies).toEqual([
      { kind: "refused", firstId: 2, count: 1, error },
      { kind: "refused", firstId: 4, count: 1, error },
    ]);
    peer.acknowledge("b");
    peer.shell.turn();
    peer.replies.length = 0;
    peer.shell.request(CLIENT, propose(5, "12345678"));
    peer.shell.turn();
    expect(peer.replies).toEqual([]);
    expect(peer.shell.raft.log.lastIndex).toBe(4);
  });

  it("lets go of a query that nobody waits for any more", () => {
    const peer = setUp(["a", "b", "c"], undefined, 0, 10);
    for (let id = 1; id <= 3; id++) {
      peer.shell.request(CLIENT, query(id, ["12345678"], { consistency: "local", minIndex: 99 }));
      peer.shell.request(CLIENT, { kind: "cancel", ids: [id] });
    }
    peer.shell.turn();
    const refused = peer.replies.filter(({ kind }) => kind === "refused");
    expect(refused).toMatchObject([1, 2, 3].map((firstId) => ({ firstId, error: { code: "ERR_ABORTED" } })));
  });

  it("serves a linearizable query after a round of its own, and a local one at once", () => {
    const peer = setUp(["a", "b", "c"]);
    peer.elect();
    peer.take();
    peer.shell.request(CLIENT, query(1, ["all"]));
    peer.shell.request(CLIENT, query(2, ["all"], { consistency: "local" }));
    peer.shell.turn();
    expect(peer.replies).toMatchObject([{ kind: "answers", firstId: 2 }]);
    peer.acknowledge("b");
    peer.shell.turn();
    expect(peer.replies).toMatchObject([
      { kind: "answers", firstId: 2 },
      { kind: "answers", firstId: 1 },
    ]);
  });

  it("answers queries that came together in their order, also when some are not waited for any more", () => {
    const peer = setUp(["a", "b", "c"]);
    peer.elect();
    peer.take();
    peer.shell.request(CLIENT, query(1, ["all", "nonsense", "all"]));
    peer.shell.request(CLIENT, { kind: "cancel", ids: [3] });
    peer.shell.turn();
    expect(peer.replies).toMatchObject([{ kind: "refused", firstId: 3, count: 1, error: { code: "ERR_ABORTED" } }]);
    peer.replies.length = 0;
    peer.acknowledge("b");
    peer.shell.turn();
    const [reply] = peer.replies;
    if (reply?.kind !== "answers") throw new Error("no answers");
    expect(reply.firstId).toBe(1);
    expect(decodeResults(reply.answers)).toMatchObject([
      { result: [] },
      { threw: { message: "nonsense" } },
      { result: undefined },
    ]);
  });

  it("answers queries for a few milliseconds a turn, and is busy until all have their answers", () => {
    const asked: unknown[] = [];
    const slow = Object.assign(new Recorder(), {
      query(query: unknown): readonly string[] {
        peer.time.now += 2;
        asked.push(query);
        return [];
      },
    });
    const peer = onePeer(slow, ["a", "b", "c"]);
    peer.shell.request(CLIENT, query(1, ["1", "2", "3", "4"], { consistency: "local" }));
    peer.shell.request(CLIENT, query(5, ["5", "6", "7"], { consistency: "local" }));
    peer.shell.turn();
    expect(asked).toEqual(["1", "2", "3"]);
    expect(peer.shell.isBusy).toBe(true);
    // What is new comes last, what nobody waits for is not asked.
    peer.shell.request(CLIENT, query(8, ["8"], { consistency: "local" }));
    peer.shell.request(CLIENT, { kind: "cancel", ids: [1, 4, 5, 6] });
    for (let turn = 0; turn < 3; turn++) peer.shell.turn();
    expect(asked).toEqual(["1", "2", "3", "7", "8"]);
    expect(peer.shell.isBusy).toBe(false);
    const answered = peer.replies.flatMap((reply) =>
      reply.kind === "answers" ? decodeResults(reply.answers).map((_, at) => reply.firstId + at) : [],
    );
    const refused = peer.replies.flatMap((reply) => (reply.kind === "refused" ? [reply.firstId] : []));
    expect([answered, refused]).toEqual([
      [1, 2, 3, 5, 6, 7, 8],
      [4, 5, 6],
    ]);
  });

  it("does what is to be done before a query step by step, and answers others meanwhile", () => {
    const done: string[] = [];
    const preparing = Object.assign(new Recorder(), {
      *prepare(name: string) {
        for (let step = 1; step <= 4; step++) {
          if (name === "bad" && step === 2) throw new Error("cannot be prepared");
          peer.time.now += 1;
          done.push(`${name} ${step}`);
          yield;
        }
      },
      prepareQuery(query: string): Iterator<void> | undefined {
        if (query === "nonsense") throw new Error("not even a query");
        return query.startsWith("plain") ? undefined : this.prepare(query);
      },
      query(query: string): readonly string[] {
        done.push(query);
        return [];
      },
    });
    const peer = onePeer(preparing as Recorder, ["a", "b", "c"]);
    peer.shell.request(CLIENT, query(1, ["plain 1", "slow", "plain 2", "bad", "nonsense"], { consistency: "local" }));
    peer.shell.turn();
    expect(done).toEqual(["plain 1", "plain 2", "nonsense"]);
    expect(peer.shell.isBusy).toBe(true);
    done.length = 0;
    peer.shell.request(CLIENT, query(6, ["plain 3", "gone"], { consistency: "local" }));
    peer.shell.turn();
    expect(done).toEqual(["slow 1", "slow 2", "slow 3", "plain 3"]);
    done.length = 0;
    peer.shell.request(CLIENT, { kind: "cancel", ids: [7] });
    while (peer.shell.isBusy) peer.shell.turn();
    expect(done).toEqual(["slow 4", "bad 1", "gone 1", "slow", "bad", "gone 2", "gone 3", "gone 4"]);
    const ids = peer.replies.flatMap((reply) =>
      reply.kind === "answers" ? decodeResults(reply.answers).map((_, at) => reply.firstId + at) : [],
    );
    expect(ids).toEqual([1, 3, 5, 6, 2, 4, 7]);
  });

  it("lets go of queries that came together when nobody waits for any of them", () => {
    const peer = setUp(["a", "b", "c"], undefined, 0, 10);
    peer.shell.request(CLIENT, query(1, ["all", "all"], { consistency: "local", minIndex: 99 }));
    peer.shell.request(CLIENT, query(3, ["all"], { consistency: "local", minIndex: 99 }));
    for (const ids of [[2], [1]]) peer.shell.request(CLIENT, { kind: "cancel", ids });
    peer.shell.request(CLIENT, query(4, ["all"], { consistency: "local", minIndex: 99 }));
    peer.shell.turn();
    expect(peer.replies.filter(({ kind }) => kind === "refused")).toMatchObject([
      { kind: "refused", firstId: 3, error: { code: "ERR_OVERLOADED" } },
      { kind: "refused", firstId: 2, error: { code: "ERR_ABORTED" } },
      { kind: "refused", firstId: 1, error: { code: "ERR_ABORTED" } },
    ]);
  });

  it("addresses a restarted peer by its new incarnation, and nobody in particular once it is known to be dead", () => {
    const peer = setUp(["a", "b", "c"]);
    peer.elect();
    peer.shell.deliver({ kind: "down", peer: "b", incarnation: 1 });
    peer.packets.length = 0;
    peer.time.now += 50;
    peer.shell.turn();
    expect(peer.packets.map(({ to, toIncarnation }) => [to, toIncarnation])).toEqual([
      ["b", 0],
      ["c", 0],
    ]);
  });

  it("stops for good when the disk refuses a write: nothing is sent that stands on it", () => {
    const disk = new MemoryDisk();
    const peer = setUp(["a", "b", "c"], disk);
    disk.failNext(new Error("no space"));
    peer.deliver("b", { type: "RequestVote", term: 3, lastLogIndex: 9, lastLogTerm: 2 });
    expect(() => peer.shell.turn()).toThrow(expect.objectContaining({ code: "ERR_STORAGE_FAILED" }));
    expect(peer.journal).not.toContain("RequestVoteReply to b");
  });
});

describe("snapshots", () => {
  /** A cluster of one that has applied these, one turn each. */
  function applying(commands: readonly string[], snapshotEvery: number, disk = new MemoryDisk()) {
    const peer = setUp(["a"], disk, snapshotEvery);
    peer.shell.turn();
    commands.forEach((command, at) => {
      peer.shell.request(CLIENT, propose(at + 1, command));
      peer.shell.turn();
    });
    while (peer.shell.isBusy) peer.shell.turn();
    return peer;
  }

  it("are taken every so many entries, and compact the log", () => {
    const peer = applying(["a", "b", "c", "d"], 3);
    // Entry 1 is the configuration and entry 2 the no-op.
    expect(peer.journal.filter((step) => step.includes("snapshot"))).toEqual([
      "took a snapshot of 3",
      "took a snapshot of 6",
    ]);
    expect(peer.shell.raft.log.firstIndex).toBe(7);
  });

  it.each([
    { peers: ["a", "b"], at: 6 },
    { peers: ["b", "a"], at: 3 },
  ])("are taken in turns: of $peers, a takes its first of entry $at", ({ peers, at }) => {
    const peer = setUp(peers, new MemoryDisk(), 6);
    peer.elect();
    for (let command = 1; command <= 6; command++) {
      peer.shell.request(CLIENT, propose(command, "x"));
      peer.shell.turn();
      peer.acknowledge("b");
      peer.shell.turn();
      peer.shell.turn();
    }
    expect(peer.journal.find((step) => step.startsWith("took"))).toBe(`took a snapshot of ${at}`);
  });

  it("bring the state machine back after a restart, and the log what came after", () => {
    const disk = new MemoryDisk();
    applying(["a", "b", "c", "d", "e"], 3, disk);
    const after = setUp(["a"], disk, 3);
    expect(after.machine.commands).toEqual(["a", "b", "c", "d"]);
    after.shell.turn();
    expect(after.machine.commands).toEqual(["a", "b", "c", "d", "e"]);
  });

  it("are taken when asked for, unless nothing was applied since the last one", () => {
    const peer = applying(["a"], 0);
    expect(peer.shell.wantSnapshot()).toBe(true);
    while (peer.shell.isBusy || peer.shell.raft.snapshot === undefined) peer.shell.turn();
    expect(peer.shell.raft.snapshot).toMatchObject({ index: 3, chunks: 1 });
    expect(peer.shell.wantSnapshot()).toBe(false);
  });

  it("are not taken twice of the same entry, when one is asked for while it is being taken", () => {
    const peer = applying(["a", "b"], 0);
    peer.shell.wantSnapshot();
    peer.shell.turn();
    expect(peer.shell.raft.snapshot).toBeUndefined();
    expect(peer.shell.wantSnapshot()).toBe(true);
    for (let turn = 0; turn < 5; turn++) peer.shell.turn();
    expect(peer.journal.filter((step) => step.includes("snapshot"))).toEqual(["took a snapshot of 4"]);
  });

  it("are taken after all when the leader's, which took the place of one that was asked for, is never complete", () => {
    const peer = setUp(["a", "b", "c"]);
    peer.elect();
    peer.shell.request(CLIENT, propose(1, "x".repeat(300_000)));
    peer.shell.turn();
    peer.acknowledge("b");
    peer.shell.turn();
    const { lastApplied, raft } = peer.shell;
    const { currentTerm: term, log } = raft;
    expect(peer.shell.wantSnapshot()).toBe(true);
    // It begins, and sets the first of three chunks aside.
    for (let turn = 0; turn < 2; turn++) peer.shell.turn();
    expect(peer.saves.at(-1)?.chunks).toHaveLength(1);
    const info = {
      ...{ index: 9, term, time: 1, version: 0, chunks: 3, bytes: 300 },
      configuration: { voters: ["a", "b", "c"] },
    };
    const chunk = { lastIncludedIndex: 9, lastIncludedTerm: term, chunk: 0, info, data: new Uint8Array(100) };
    peer.deliver("b", { type: "InstallSnapshot", term: term + 1, round: 1, ...chunk });
    for (let turn = 0; turn < 9; turn++) peer.shell.turn();
    expect(peer.shell.raft.snapshot).toBeUndefined();
    const heartbeat = { leaderCommit: lastApplied, round: 1, isQuiet: false, batches: [] };
    const before = { prevLogIndex: log.lastIndex, prevLogTerm: term };
    peer.deliver("c", { type: "AppendEntries", term: term + 2, ...before, ...heartbeat });
    for (let turn = 0; turn < 9; turn++) peer.shell.turn();
    expect(peer.shell.raft.snapshot?.index).toBe(lastApplied);
  });

  it("that the machine refuses are reported, and the log stays", () => {
    const peer = applying(["no snapshots", "b", "c", "d"], 3);
    expect(peer.journal).toContain("the state after entry 3 cannot be taken as a snapshot: not now");
    expect(peer.shell.raft.snapshot).toBeUndefined();
    expect(peer.shell.raft.log.firstIndex).toBe(1);
  });

  it("from the leader replace the state, and what was asked of this peer before has an unknown outcome", () => {
    const peer = setUp(["a", "b", "c"]);
    peer.elect();
    peer.shell.request(CLIENT, propose(1, "lost"));
    peer.shell.turn();
    peer.replies.length = 0;
    const data = Buffer.concat([...joinContent(new Sessions().freeze(), [new TextEncoder().encode('["x","y"]')])]);
    const info = {
      ...{ index: 9, term: 4, time: 1, version: 0, chunks: 1, bytes: data.byteLength },
      configuration: { voters: ["a", "b", "c"] },
    };
    const last = { lastIncludedIndex: 9, lastIncludedTerm: 4 };
    peer.deliver("b", { type: "InstallSnapshot", term: 5, round: 1, ...last, chunk: 0, info, data });
    peer.shell.turn();
    expect(peer.machine.commands).toEqual(["x", "y"]);
    expect(peer.journal).toContain("installed a snapshot of 9");
    expect(peer.replies).toContainEqual(
      expect.objectContaining({ kind: "refused", error: expect.objectContaining({ code: "ERR_UNKNOWN_OUTCOME" }) }),
    );
  });

  it("leave the packets in which they came to be freed, but for those in which entries came too", () => {
    const peer = setUp(["a", "b", "c"]);
    // It applies the first entry of all logs, and frees what that came in a turn later.
    for (let turn = 0; turn < 2; turn++) peer.shell.turn();
    peer.released.length = 0;
    const data = new Uint8Array(100);
    const info = {
      ...{ index: 9, term: 4, time: 1, version: 0, chunks: 3, bytes: 300 },
      configuration: { voters: ["a", "b", "c"] },
    };
    const chunk = { type: "InstallSnapshot", term: 5, round: 1, lastIncludedIndex: 9, lastIncludedTerm: 4 } as const;
    peer.deliver("b", { ...chunk, chunk: 0, info, data });
    expect(peer.released).toEqual([]);
    peer.shell.turn();
    expect(peer.released).toHaveLength(1);
    const entry = stampBatch(packEntries(EntryKind.command, [pack("x")]), { firstIndex: 2, term: 5, time: 1 });
    const leading = { term: 5, prevLogIndex: 1, prevLogTerm: 0, leaderCommit: 1, round: 1, isQuiet: false };
    peer.deliver(
      "b",
      { type: "AppendEntries", ...leading, batches: [entry] },
      { ...chunk, chunk: 1, info: undefined, data },
    );
    peer.shell.turn();
    expect(peer.saves.at(-1)).toMatchObject({ batches: [{ firstIndex: 2 }], chunks: [{ number: 1 }] });
    expect(peer.released).toHaveLength(1);
  });

  it("of a newer version of the state machine are refused", () => {
    const disk = new MemoryDisk();
    const peer = setUp(["a"], disk, 0);
    Object.assign(peer.machine, { version: 2 });
    peer.shell.turn();
    peer.shell.request(CLIENT, propose(1, "x"));
    peer.shell.turn();
    peer.shell.wantSnapshot();
    while (peer.shell.isBusy || peer.shell.raft.snapshot === undefined) peer.shell.turn();
    expect(() => setUp(["a"], disk)).toThrow(expect.objectContaining({ code: "ERR_MACHINE_MODULE" }));
  });
});

describe("a cluster of one", () => {
  it("elects itself at once and applies what it has written", () => {
    const peer = setUp(["a"]);
    peer.shell.turn();
    expect(peer.shell.raft.role).toBe("leader");
    peer.shell.request(CLIENT, propose(1, "x"));
    peer.shell.turn();
    expect(peer.machine.commands).toEqual(["x"]);
  });

  it("applies its log again after a restart", () => {
    const disk = new MemoryDisk();
    const before = setUp(["a"], disk);
    before.shell.turn();
    before.shell.request(CLIENT, propose(1, "x", "y"));
    before.shell.turn();
    const after = setUp(["a"], disk);
    after.shell.turn();
    expect(after.machine.commands).toEqual(["x", "y"]);
  });

  it("reads a long log once, in parts, however little a turn has time to apply", () => {
    const disk = new MemoryDisk();
    const before = setUp(["a"], disk);
    for (let id = 1; id <= 2_000; id++) {
      before.shell.request(CLIENT, propose(id, "x"));
      before.shell.turn();
    }
    const { shell, machine, reads, time } = setUp(["a"], disk);
    takesLong(machine, time);
    for (let turns = 1; turns <= 10; turns++) shell.turn();
    // Twice: of what the first reading brought, one entry alone was committed before this peer led.
    expect(reads.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(140_000);
    expect(machine.commands.length).toBeGreaterThan(5);
  });

  it("does not read a batch again for each of the turns that it takes", () => {
    const disk = new MemoryDisk();
    const before = setUp(["a"], disk);
    before.shell.turn();
    const commands = Array.from({ length: 2_000 }, (_, index) => `command ${index} ${".".repeat(100)}`);
    before.shell.request(CLIENT, propose(1, ...commands));
    before.shell.turn();
    const { shell, machine, reads, time } = setUp(["a"], disk);
    takesLong(machine, time);
    for (let turns = 0; turns < 100; turns++) shell.turn();
    expect(machine.commands).toEqual(commands);
    expect(reads.length).toBeLessThan(3);
  });
});

/** To apply a command takes longer than a turn is to last. */
function takesLong(machine: Recorder, time: { now: number }): void {
  const apply = machine.apply.bind(machine);
  machine.apply = (command) => {
    time.now += 25;
    return apply(command);
  };
}
