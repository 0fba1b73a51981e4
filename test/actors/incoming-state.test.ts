import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { pack } from "../../src/machine/codec.ts";
import { Sessions } from "../../src/machine/sessions.ts";
import { joinContent } from "../../src/machine/snapshot-content.ts";
import type { Restoration, StateMachine } from "../../src/machine/state-machine.ts";
import { EntryKind, packEntries, stampBatch } from "../../src/raft/entry.ts";
import type { InstallSnapshot } from "../../src/raft/message.ts";
import { CLIENT, onePeer, propose } from "./fixtures/one-peer.ts";

/** Its state is a text, and it tells how it came by it. */
class Text implements StateMachine<string, void, unknown, string> {
  readonly steps: string[] = [];
  state = "old";
  /** Chunks with this in them cannot be taken in by themselves. */
  indigestible = "!";
  begun: WeakRef<Restoration> | undefined;

  apply(command: string): void {
    this.state += command;
  }

  query(): string {
    return this.state;
  }

  snapshot(): Uint8Array {
    return Buffer.from(this.state);
  }

  restore(chunks: Iterable<Uint8Array>): void {
    this.steps.push("restore");
    this.state = Buffer.concat([...chunks]).toString();
  }

  beginRestore(): Restoration {
    this.steps.push("begin");
    const chunks: Uint8Array[] = [];
    const restoration = {
      add: (chunk: Uint8Array) => {
        if (Buffer.from(chunk).includes(this.indigestible)) throw new Error("indigestible");
        this.steps.push(`add ${Buffer.from(chunk)}`);
        chunks.push(chunk);
      },
      finish: () => {
        this.steps.push("finish");
        this.state = Buffer.concat(chunks).toString();
      },
    };
    this.begun = new WeakRef(restoration);
    return restoration;
  }
}

/** What a leader sends of a snapshot of entry 9 whose machine has these parts, each in a chunk, with all else in the first. */
function snapshotOf(parts: readonly string[], { term = 5, version = 0 } = {}): InstallSnapshot[] {
  const whole = Buffer.concat([...joinContent(new Sessions().freeze(), parts.map(Buffer.from))]);
  const ends = parts.map((_, at) => whole.length - parts.slice(at + 1).join("").length);
  const info = {
    ...{ index: 9, term: 4, time: 1, version, chunks: parts.length, bytes: whole.length },
    configuration: { voters: ["a", "b", "c"] },
  };
  return ends.map((end, chunk) => ({
    type: "InstallSnapshot",
    ...{ term, round: 1, lastIncludedIndex: 9, lastIncludedTerm: 4, chunk },
    info: chunk === 0 ? info : undefined,
    data: whole.subarray(ends[chunk - 1] ?? 0, end),
  }));
}

function setUp(machine = new Text()) {
  const peer = onePeer(machine, ["a", "b", "c"]);
  const hear = (from: string, chunk: InstallSnapshot | undefined) => {
    if (chunk === undefined) throw new Error("no such chunk");
    peer.deliver(from, chunk);
    peer.shell.turn();
    // What is given back is used for something else.
    for (const buffer of peer.released.splice(0)) Buffer.from(buffer).fill("?");
  };
  return { peer, machine, hear };
}

describe("a snapshot that is coming in", () => {
  it("is taken in chunk by chunk, while the state stays as it was until the last one is there", () => {
    const { machine, hear } = setUp();
    const chunks = snapshotOf(["one ", "two ", "three"]);
    hear("b", chunks[0]);
    hear("b", chunks[1]);
    expect(machine.steps).toEqual(["begin", "add one ", "add two "]);
    expect(machine.state).toBe("old");
    hear("b", chunks[2]);
    expect(machine.steps.slice(3)).toEqual(["add three", "finish"]);
    expect(machine.state).toBe("one two three");
  });

  it("is begun anew with another leader's, whose chunks do not go with the first one's", () => {
    const { machine, hear } = setUp();
    const [first, second] = snapshotOf(["one ", "two ", "three"]);
    hear("b", first);
    hear("b", second);
    for (const chunk of snapshotOf(["uno", " due ", "tre"], { term: 6 })) hear("c", chunk);
    expect(machine.steps.slice(3)).toEqual(["begin", "add uno", "add  due ", "add tre", "finish"]);
    expect(machine.state).toBe("uno due tre");
  });

  it("is restored from the store when the machine could not take one of its chunks in", () => {
    const { machine, hear } = setUp();
    machine.indigestible = "two";
    for (const chunk of snapshotOf(["one ", "two ", "three"])) hear("b", chunk);
    expect(machine.steps).toEqual(["begin", "add one ", "restore"]);
    expect(machine.state).toBe("one two three");
  });

  it("is restored from the store by a subclass that knows no other way", () => {
    class Loud extends Text {
      override restore(chunks: Iterable<Uint8Array>): void {
        super.restore(chunks);
        this.state = this.state.toUpperCase();
      }
    }
    const { machine, hear } = setUp(new Loud());
    for (const chunk of snapshotOf(["one ", "two"])) hear("b", chunk);
    expect(machine.steps).toEqual(["restore"]);
    expect(machine.state).toBe("ONE TWO");
  });

  it("is not begun when a newer version of the machine wrote it", () => {
    const { machine, hear } = setUp();
    const [first, last] = snapshotOf(["one ", "two"], { version: 1 });
    hear("b", first);
    expect(() => hear("b", last)).toThrow(expect.objectContaining({ code: "ERR_MACHINE_MODULE" }));
    expect(machine.steps).toEqual([]);
  });

  it("is let go of when entries were quicker", async () => {
    const { peer, machine, hear } = setUp();
    const [first] = snapshotOf(["one ", "two"]);
    hear("b", first);
    const batches = [stampBatch(entries(8), { firstIndex: 2, term: 5, time: 1 })];
    const leading = { term: 5, prevLogIndex: 1, prevLogTerm: 0, leaderCommit: 9, round: 1, isQuiet: false };
    expect(machine.begun?.deref()).toBeDefined();
    peer.deliver("b", { type: "AppendEntries", ...leading, batches });
    while (peer.shell.lastApplied < 9) peer.shell.turn();
    setFlagsFromString("--expose-gc");
    // What a WeakRef gave out lives until the turn of the event loop is over.
    await sleep(0);
    runInNewContext("gc")();
    expect(machine.begun?.deref()).toBeUndefined();
    expect(machine.state).toBe("oldxxxxxxxx");
  });
});

it("a peer's own snapshot is nothing that its machine is given to take in", () => {
  const machine = new Text();
  const { shell } = onePeer(machine, ["a"]);
  shell.turn();
  shell.request(CLIENT, propose(1, "x"));
  shell.turn();
  shell.wantSnapshot();
  while (shell.isBusy || shell.raft.snapshot === undefined) shell.turn();
  expect(machine.steps).toEqual([]);
});

/** So many commands. */
function entries(count: number) {
  return packEntries(
    EntryKind.command,
    Array.from({ length: count }, () => pack("x")),
  );
}
