import { once } from "node:events";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Board, createBoard, type PeerFields, type PeerState } from "../../src/actors/board.ts";
import { InvariantError } from "../../src/raft/errors.ts";

const PEERS = ["a", "b", "c"];

const FIELDS: PeerFields = {
  role: "leader",
  currentTerm: 4,
  votedFor: "b",
  leader: "b",
  commitIndex: 2 ** 40,
  lastApplied: 11,
  firstIndex: 3,
  lastIndex: 14,
  snapshotIndex: 2,
  logBytes: 12_345,
  incarnation: 6,
};

const peer = fc.constantFrom(...PEERS);
const index = fc.maxSafeNat();
const fields: fc.Arbitrary<PeerFields> = fc.record({
  role: fc.constantFrom("follower", "pre-candidate", "candidate", "leader"),
  currentTerm: index,
  votedFor: fc.option(peer, { nil: undefined }),
  leader: fc.option(peer, { nil: undefined }),
  commitIndex: index,
  lastApplied: index,
  firstIndex: index,
  lastIndex: index,
  snapshotIndex: index,
  logBytes: index,
  incarnation: index,
});

/** Two boards over one buffer, as two threads have them. */
function twoBoards() {
  const buffer = createBoard(PEERS);
  return { buffer, writer: new Board(buffer, PEERS), reader: new Board(buffer, PEERS) };
}

describe("the board", () => {
  test("says of a peer that has never run that it is down and knows nothing", () => {
    expect(twoBoards().reader.status("b")).toEqual({
      id: "b",
      state: "down",
      role: "follower",
      currentTerm: 0,
      votedFor: undefined,
      leader: undefined,
      commitIndex: 0,
      lastApplied: 0,
      firstIndex: 0,
      lastIndex: 0,
      snapshotIndex: 0,
      logBytes: 0,
      incarnation: 0,
    });
  });

  test("shows everyone the last report of each peer", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(peer, fields), { maxLength: 12 }), (reports) => {
        const { writer, reader } = twoBoards();
        const last = new Map<string, PeerFields>();
        for (const id of PEERS) writer.setState(id, "up");
        for (const [id, report] of reports) {
          writer.publish(id, report);
          last.set(id, report);
          for (const [known, expected] of last) {
            expect(reader.status(known)).toEqual({ id: known, state: "up", ...expected });
          }
        }
      }),
    );
  });

  test.each<[PeerState, boolean]>([
    ["up", true],
    ["paused", true],
    ["down", false],
    ["wedged", false],
    ["given-up", false],
  ])("of a peer that is %s it says that it leads: %s", (state, leads) => {
    const { writer, reader } = twoBoards();
    writer.publish("b", FIELDS);
    writer.setState("b", state);
    const shown = leads ? FIELDS : { ...FIELDS, role: "follower", leader: undefined };
    expect(reader.status("b")).toEqual({ id: "b", state, ...shown });
  });

  test("still shows the whole report before when a thread dies in the middle of one", () => {
    const { writer, reader } = twoBoards();
    writer.setState("b", "up");
    const killed = {
      ...FIELDS,
      currentTerm: 99,
      commitIndex: 99,
      get lastIndex(): number {
        throw new Error("killed");
      },
    };
    for (let term = 1; term <= 4; term++) {
      const report = { ...FIELDS, currentTerm: term };
      writer.publish("b", report);
      expect(() => writer.publish("b", killed)).toThrow("killed");
      expect(reader.status("b")).toEqual({ id: "b", state: "up", ...report });
    }
  });

  test("shows what a thread started later says, after one that died in the middle", () => {
    const { buffer, writer, reader } = twoBoards();
    const killed = {
      ...FIELDS,
      get incarnation(): number {
        throw new Error("killed");
      },
    };
    expect(() => writer.publish("b", killed)).toThrow("killed");
    const restarted = new Board(buffer, PEERS);
    restarted.setState("b", "up");
    restarted.publish("b", { ...FIELDS, incarnation: 7 });
    expect(reader.status("b")).toEqual({ id: "b", state: "up", ...FIELDS, incarnation: 7 });
  });

  test("goes on when the count of reports leaves 31 bits", () => {
    const { buffer, writer, reader } = twoBoards();
    writer.setState("a", "up");
    new Int32Array(buffer)[1] = 2 ** 31 - 2;
    for (let term = 1; term <= 5; term++) {
      writer.publish("a", { ...FIELDS, currentTerm: term });
      expect(reader.status("a").currentTerm).toBe(term);
    }
  });

  test("refuses a buffer made for other peers, and names it does not know", () => {
    const { buffer, writer } = twoBoards();
    expect(() => new Board(buffer, ["a"])).toThrow(InvariantError);
    expect(() => writer.status("x")).toThrow('"x"');
    expect(() => writer.publish("a", { ...FIELDS, leader: "x" })).toThrow('"x"');
  });
});

test("a reader never sees parts of two reports, however fast another thread writes them", async () => {
  const { buffer, reader } = twoBoards();
  const REPORTS = 200_000;
  const source = new URL("../../src/actors/board.ts", import.meta.url).href;
  const boot = `
    import { workerData } from "node:worker_threads";
    import { register } from ${JSON.stringify(import.meta.resolve("tsx/esm/api"))};
    register();
    const { Board } = await import(${JSON.stringify(source)});
    const { buffer, peers, reports } = workerData;
    const board = new Board(buffer, peers);
    board.setState("b", "up");
    for (let n = 1; n <= reports; n++) {
      board.publish("b", {
        role: "leader", currentTerm: n, votedFor: "a", leader: "a", commitIndex: n * 2 ** 20, lastApplied: n,
        firstIndex: n, lastIndex: n, snapshotIndex: n, logBytes: n, incarnation: n,
      });
    }`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(boot)}`), {
    workerData: { buffer, peers: PEERS, reports: REPORTS },
  });
  const exited = once(worker, "exit");
  let running = true;
  exited.then(
    () => {
      running = false;
    },
    () => {
      running = false;
    },
  );
  let seen = 0;
  while (running && seen < REPORTS) {
    for (let reading = 0; reading < 1_000; reading++) {
      const { currentTerm, commitIndex, lastApplied, firstIndex, lastIndex, snapshotIndex, logBytes, incarnation } =
        reader.status("b");
      const parts = [commitIndex / 2 ** 20, lastApplied, firstIndex, lastIndex, snapshotIndex, logBytes, incarnation];
      if (parts.some((part) => part !== currentTerm)) expect(parts).toEqual(parts.map(() => currentTerm));
      if (currentTerm < seen) expect(currentTerm).toBeGreaterThanOrEqual(seen);
      seen = currentTerm;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await exited;
  expect(reader.status("b").currentTerm).toBe(REPORTS);
});
