import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Applied } from "../../src/machine/apply.ts";
import { decodeWithin, pack } from "../../src/machine/codec.ts";
import {
  MAX_RESULTS,
  MAX_SESSIONS,
  packOpenSession,
  packSessionCommand,
  Sessions,
} from "../../src/machine/sessions.ts";
import { joinContent, splitContent } from "../../src/machine/snapshot-content.ts";
import { wholeOf } from "../../src/raft/entry.ts";

const OWNER = 7;

/** A table of sessions above a machine that notes what it was given. */
class Table {
  sessions = new Sessions();
  index = 0;
  carriedOut: unknown[] = [];

  apply(data: Uint8Array, time = 0): Applied {
    this.index++;
    return this.sessions.apply(wholeOf(data), { index: this.index, time }, (bytes, start, end) => {
      const value = decodeWithin(bytes, start, end);
      this.carriedOut.push(value);
      return value === "refuse"
        ? { result: undefined, threw: { name: "Error", message: "refused" } }
        : { result: `did ${String(value)}`, threw: undefined };
    });
  }

  open(time = 0, expireMs = 1_000): number {
    return Number(this.apply(packOpenSession(OWNER, expireMs), time).result);
  }

  command(session: number, sequence: number, value: unknown, { acknowledged = 1, owner = OWNER, time = 0 } = {}) {
    return this.apply(packSessionCommand({ session, sequence, acknowledged, owner }, pack(value)), time);
  }

  /** Goes on with what a snapshot holds. */
  reborn(chunkBytes = 1_000): void {
    const content = Buffer.concat([...joinContent(this.sessions.freeze(), [])]);
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < content.length; at += chunkBytes) chunks.push(content.subarray(at, at + chunkBytes));
    this.sessions = Sessions.restore(splitContent(chunks).sessions);
  }
}

function code(applied: Applied): unknown {
  return applied.threw?.refusal?.code ?? applied.result;
}

describe("a table of sessions", () => {
  test("names a session by the entry that opened it", () => {
    const table = new Table();
    expect([table.open(), table.open()]).toEqual([1, 2]);
  });

  test("gives no id a second time, though the session has expired and the table was restored since", () => {
    const table = new Table();
    const first = table.open(0, 10);
    table.command(first, 1, "a");
    table.reborn();
    const second = table.open(1_000, 10);
    expect(second).toBeGreaterThan(first);
    table.reborn();
    // What a process that is dead by now had sent, and a log has kept for so long.
    expect(code(table.command(first, 2, "late", { time: 1_000 }))).toBe("ERR_SESSION_EXPIRED");
    expect(code(table.command(second, 1, "b", { owner: OWNER + 1, time: 1_000 }))).toBe("ERR_SESSION_CONFLICT");
    expect(table.carriedOut).toEqual(["a"]);
  });

  test("carries a command out once, and gives its result again to whoever sends it again", () => {
    const table = new Table();
    const id = table.open();
    expect(table.command(id, 1, "a")).toEqual(table.command(id, 1, "a"));
    expect(table.carriedOut).toEqual(["a"]);
  });

  test("gives what the machine threw again, too", () => {
    const table = new Table();
    const id = table.open();
    expect(table.command(id, 1, "refuse").threw?.message).toBe("refused");
    expect(table.command(id, 1, "refuse").threw?.message).toBe("refused");
    expect(table.carriedOut).toEqual(["refuse"]);
  });

  test("refuses a gap, and takes the command when the gap is filled", () => {
    const table = new Table();
    const id = table.open();
    expect(code(table.command(id, 2, "b"))).toBe("ERR_SESSION_GAP");
    table.command(id, 1, "a");
    table.command(id, 2, "b");
    expect(table.carriedOut).toEqual(["a", "b"]);
  });

  test("drops the results that were acknowledged, and executes nothing for who asks for them all the same", () => {
    const table = new Table();
    const id = table.open();
    table.command(id, 1, "a");
    table.command(id, 2, "b", { acknowledged: 2 });
    const late = table.command(id, 1, "a");
    expect(late.threw?.refusal).toEqual({ code: "ERR_SESSION_CONFLICT", outcome: "applied" });
    expect(code(table.command(id, 2, "b"))).toBe("did b");
    expect(table.carriedOut).toEqual(["a", "b"]);
  });

  test("keeps no more results than it may, whatever its client acknowledges", () => {
    const table = new Table();
    const id = table.open();
    for (let sequence = 1; sequence <= MAX_RESULTS; sequence++) table.command(id, sequence, sequence);
    expect(code(table.command(id, MAX_RESULTS + 1, "more"))).toBe("ERR_OVERLOADED");
    expect(code(table.command(id, MAX_RESULTS + 1, "more", { acknowledged: 2 }))).toBe("did more");
  });

  test("refuses a second client in a session, and changes nothing", () => {
    const table = new Table();
    const id = table.open();
    table.command(id, 1, "mine");
    const theirs = table.command(id, 2, "theirs", { owner: 8 });
    expect(theirs.threw?.refusal).toEqual({ code: "ERR_SESSION_CONFLICT", outcome: "not-applied" });
    expect(code(table.command(id, 1, "theirs", { owner: 8 }))).toBe("ERR_SESSION_CONFLICT");
    expect(table.carriedOut).toEqual(["mine"]);
  });

  test("forgets a session that was idle for too long by the time stamps of the log, and never executes again", () => {
    const table = new Table();
    const id = table.open(0, 1_000);
    expect(code(table.command(id, 1, "a", { time: 1_000 }))).toBe("did a");
    expect(code(table.command(id, 1, "a", { time: 2_001 }))).toBe("ERR_SESSION_EXPIRED");
    expect(code(table.command(id, 1, "a", { time: 2_001 }))).toBe("ERR_SESSION_EXPIRED");
    expect(table.carriedOut).toEqual(["a"]);
  });

  test("makes room for a new session by that which was used least recently", () => {
    const table = new Table();
    const [first, second] = [table.open(), table.open()];
    for (let count = 2; count < MAX_SESSIONS; count++) table.open();
    table.command(first, 1, "a");
    table.open();
    expect(table.sessions.size).toBe(MAX_SESSIONS);
    expect(code(table.command(second, 1, "b"))).toBe("ERR_SESSION_EXPIRED");
    expect(code(table.command(first, 2, "c"))).toBe("did c");
  });

  test("uses up a number for a command that was given up, and gives the machine nothing", () => {
    const table = new Table();
    const id = table.open();
    const skip = packSessionCommand({ session: id, sequence: 1, acknowledged: 1, owner: OWNER }, new Uint8Array());
    expect(table.apply(skip)).toEqual({ result: undefined, threw: undefined });
    expect(code(table.command(id, 2, "b"))).toBe("did b");
    expect(table.carriedOut).toEqual(["b"]);
  });

  test("refuses a snapshot of another format", () => {
    expect(() => splitContent([new Uint8Array(12)])).toThrow("a snapshot of format unknown, expected 1");
    expect(() => splitContent([new Uint8Array(3)])).toThrow("ends 9 bytes too early");
  });
});

/** What a client and the network do to each other, and a snapshot between. */
type Step =
  | { readonly kind: "send"; readonly client: number }
  | { readonly kind: "again"; readonly client: number; readonly back: number }
  | { readonly kind: "ahead"; readonly client: number }
  | { readonly kind: "snapshot"; readonly chunkBytes: number };

const client = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("send" as const), client }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("again" as const), client, back: fc.nat(5) }) },
  fc.record({ kind: fc.constant("ahead" as const), client }),
  fc.record({ kind: fc.constant("snapshot" as const), chunkBytes: fc.integer({ min: 1, max: 50 }) }),
);

test("whatever is sent again, in whatever order, around snapshots, each command is carried out once and in order", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = new Table();
      const clients = [0, 1, 2].map((name) => ({ name, id: table.open(), sent: 0, results: [] as Applied[] }));
      for (const one of steps) {
        if (one.kind === "snapshot") {
          table.reborn(one.chunkBytes);
          continue;
        }
        const { name, id, sent, results } = clients[one.client] ?? { name: 0, id: 0, sent: 0, results: [] };
        const count = table.carriedOut.length;
        if (one.kind === "ahead") {
          expect(code(table.command(id, sent + 2, "ahead"))).toBe("ERR_SESSION_GAP");
          expect(table.carriedOut).toHaveLength(count);
        } else if (one.kind === "again") {
          const sequence = sent - one.back;
          if (sequence < 1) continue;
          expect(table.command(id, sequence, `${name}.${sequence}`)).toEqual(results[sequence - 1]);
          expect(table.carriedOut).toHaveLength(count);
        } else {
          const state = clients[one.client];
          if (state === undefined) continue;
          state.sent++;
          state.results.push(table.command(id, state.sent, `${name}.${state.sent}`));
          expect(table.carriedOut.slice(count)).toEqual([`${name}.${state.sent}`]);
        }
      }
      // The dumb twin: the commands of each client are those it sent, in their order.
      for (const { name, sent } of clients) {
        const mine = table.carriedOut.filter((value) => String(value).startsWith(`${name}.`));
        expect(mine).toEqual(Array.from({ length: sent }, (_, at) => `${name}.${at + 1}`));
      }
    }),
  );
});
