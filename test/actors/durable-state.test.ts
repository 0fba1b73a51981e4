import { describe, expect, it } from "vitest";
import { DurableState } from "../../src/actors/durable-state.ts";
import { decodeResults } from "../../src/machine/codec.ts";
import type { ApplyContext, DurableStateMachine, StateReader, StateWriter } from "../../src/machine/state-machine.ts";
import type { SnapshotInfo } from "../../src/raft/effects.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory.ts";
import { CLIENT, onePeer, propose, query } from "./fixtures/one-peer.ts";

/** Counts each word that it is told, and remembers which it was asked to apply since it was made. */
class WordCount implements DurableStateMachine<string, number, string, unknown> {
  readonly durable = true;
  readonly version: number = 0;
  readonly applied: string[] = [];
  readonly openedAt: number[] = [];

  apply(word: string, _context: ApplyContext, state: StateWriter): number {
    this.applied.push(word);
    const count = ((state.get(word) as number | undefined) ?? 0) + 1;
    state.put(word, count);
    if (word === "refuse") throw new Error("refused");
    if (word === "promise") return Promise.resolve(1) as unknown as number;
    return count;
  }

  query(word: string, state: StateReader): unknown {
    return word === "*" ? Object.fromEntries(state.entries()) : state.get(word);
  }

  opened(_state: StateReader, index: number): void {
    this.openedAt.push(index);
  }
}

/** The only peer of its cluster: what is proposed is committed when it is saved. */
function setUp(disk = new MemoryDisk(), machine: WordCount = new WordCount(), snapshotEvery = 0) {
  const peer = onePeer(machine, ["a"], disk, snapshotEvery);
  let id = 0;
  /** As many turns as it takes until nothing is left to be done at this moment. */
  const settle = () => {
    do peer.shell.turn();
    while (peer.shell.isBusy);
  };
  settle();
  return {
    ...peer,
    settle,
    tell(...words: string[]): void {
      peer.shell.request(CLIENT, propose(++id, ...words));
      settle();
    },
    saved: () => savedOn(disk),
  };
}

/** What has reached the disk. */
function savedOn(disk: MemoryDisk, voters = ["a"]): unknown {
  const identity = { cluster: "c", peer: "a", store: "s" };
  const store = MemoryStore.open({ disk, identity, configuration: { voters }, born: true });
  return new DurableState(new WordCount(), store.machine).query("*");
}

describe("the state of a durable machine", () => {
  it("goes to the disk with the next save, and costs none of its own while there are others", () => {
    const peer = setUp();
    peer.tell("a");
    peer.saves.length = 0;
    for (const word of ["b", "a", "c"]) peer.tell(word);
    expect(peer.saves).toHaveLength(3);
    expect(peer.saved()).toEqual({ a: 2, b: 1 });
  });

  it("is saved by itself when no other save comes for a while", () => {
    const peer = setUp();
    peer.tell("a", "b", "a");
    expect(peer.saved()).toEqual({});
    expect(peer.shell.wakeAt).toBeLessThanOrEqual(peer.time.now + 100);
    peer.saves.length = 0;
    peer.time.now += 100;
    peer.settle();
    expect(peer.saves).toHaveLength(1);
    expect(peer.saved()).toEqual({ a: 2, b: 1 });
    peer.time.now += 1_000;
    peer.settle();
    expect(peer.saves).toHaveLength(1);
  });

  it("is not held back when it is large", () => {
    const peer = setUp();
    peer.tell(...Array.from({ length: 5 }, (_, at) => String(at).repeat(1_100)));
    expect(peer.saved()).toEqual({});
    peer.tell(...Array.from({ length: 4_000 }, (_, at) => String(at).padEnd(1_100)));
    expect(Object.keys(peer.saved() as object)).toHaveLength(4_005);
  });

  it("is there after a crash, and only what was not saved is applied again", () => {
    const disk = new MemoryDisk();
    const peer = setUp(disk);
    peer.tell("a", "b");
    peer.tell("a");
    const machine = new WordCount();
    const next = setUp(disk, machine);
    expect(machine.openedAt).toEqual([peer.shell.lastApplied - 1]);
    expect(machine.applied).toEqual(["a"]);
    next.tell("b");
    next.time.now += 1_000;
    next.settle();
    expect(next.saved()).toEqual({ a: 2, b: 2 });
  });

  it("keeps nothing of a command that throws or returns a promise, whose result is that", () => {
    const peer = setUp();
    peer.tell("a", "refuse", "promise", "a");
    peer.time.now += 1_000;
    peer.settle();
    expect(peer.saved()).toEqual({ a: 2 });
    const reply = peer.replies.findLast((one) => one.kind === "results");
    if (reply?.kind !== "results") throw new Error("expected results");
    expect(decodeResults(reply.results)).toMatchObject([
      { result: 1 },
      { threw: { message: "refused" } },
      { threw: { message: "apply of the state machine returned a promise: it must be synchronous" } },
      { result: 2 },
    ]);
  });

  it("that cannot be read ends the peer, and is no result of a command or a query", () => {
    const disk = new MemoryDisk();
    const peer = setUp(disk);
    peer.tell("a", "b");
    peer.time.now += 1_000;
    peer.settle();
    disk.flipBit("machine", "aka", 32);
    const corrupt = 'the record "ka" of the state fails its checksum';
    const next = setUp(disk);
    next.replies.length = 0;
    next.shell.request(CLIENT, query(1, ["a"], { consistency: "local" }));
    expect(() => next.shell.turn()).toThrow(corrupt);
    const last = setUp(disk);
    last.replies.length = 0;
    expect(() => last.tell("a")).toThrow(corrupt);
    expect([...next.replies, ...last.replies]).toEqual([]);
  });

  it("is taken as a snapshot while it goes on changing, and a peer that gets it begins there", () => {
    const disk = new MemoryDisk();
    const peer = setUp(disk, new WordCount(), 10);
    peer.tell(...Array.from({ length: 30 }, (_, at) => `word ${at % 7}`));
    while (peer.shell.raft.snapshot === undefined) {
      peer.time.now += 50;
      peer.tell("later");
    }
    const { snapshot } = peer.shell.raft;
    const fresh = new MemoryDisk();
    const machine = new WordCount();
    const follower = onePeer(machine, ["a", "b"], fresh);
    const chunks = [...peer.store.readSnapshot()];
    for (const [chunk, data] of chunks.entries()) {
      follower.deliver("b", {
        type: "InstallSnapshot",
        term: 9,
        round: 1,
        lastIncludedIndex: snapshot.index,
        lastIncludedTerm: snapshot.term,
        chunk,
        info: chunk === 0 ? snapshot : undefined,
        data,
      });
      follower.shell.turn();
    }
    expect(follower.shell.lastApplied).toBe(snapshot.index);
    expect(machine.openedAt).toEqual([0, snapshot.index]);
    const words = Object.fromEntries(Array.from({ length: 7 }, (_, at) => [`word ${at}`, at < 2 ? 5 : 4]));
    expect(savedOn(fresh, ["a", "b"])).toMatchObject(words);
    expect(machine.applied).toEqual([]);
  });

  it("is not touched by a snapshot of a machine in memory, which is refused", () => {
    const disk = new MemoryDisk();
    const machine = new WordCount();
    const follower = onePeer(machine, ["a", "b"], disk);
    const data = new Uint8Array([0x53, 0x66, 0x6c, 0x74, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x2a]);
    const info = infoOf(40, data);
    follower.deliver("b", installation(info, data));
    expect(() => follower.shell.turn()).toThrow("it is not that of a durable state machine");
    expect(() => onePeer(new WordCount(), ["a", "b"], disk)).toThrow("cannot be restored from the snapshot of 40");
  });

  it("of a newer version is refused, and of an older one is migrated, once", () => {
    class Newer extends WordCount {
      override readonly version = 3;
      migrations: number[] = [];
      migrate(from: number, state: StateWriter): void {
        this.migrations.push(from);
        for (const [word, count] of state.entries()) state.put(word.toUpperCase(), count);
        for (const [word] of state.entries({ from: "a" })) state.delete(word);
      }
    }
    class Stubborn extends WordCount {
      override readonly version = 3;
    }
    const disk = new MemoryDisk();
    const peer = setUp(disk);
    peer.tell("a", "b");
    peer.time.now += 1_000;
    peer.settle();
    expect(() => setUp(disk, new Stubborn())).toThrow(
      "the state is of version 0 of the state machine, this is 3 and has no migrate",
    );
    const machine = new Newer();
    const migrated = setUp(disk, machine);
    migrated.time.now += 1_000;
    migrated.settle();
    expect(machine.migrations).toEqual([0]);
    const again = new Newer();
    const next = setUp(disk, again);
    next.tell("C");
    next.time.now += 1_000;
    next.settle();
    expect(again.migrations).toEqual([]);
    expect(() => setUp(disk)).toThrow("the state of a was written by version 3 of the state machine, this is 0");
  });
});

function infoOf(index: number, data: Uint8Array): SnapshotInfo {
  const configuration = { voters: ["a", "b"] };
  return { index, term: 2, time: 5, configuration, version: 0, chunks: 1, bytes: data.byteLength };
}

function installation(info: SnapshotInfo, data: Uint8Array) {
  const { index: lastIncludedIndex, term: lastIncludedTerm } = info;
  return {
    type: "InstallSnapshot" as const,
    term: 9,
    round: 1,
    lastIncludedIndex,
    lastIncludedTerm,
    chunk: 0,
    info,
    data,
  };
}
