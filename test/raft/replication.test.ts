import { describe, expect, it } from "vitest";
import type { Outgoing } from "../../src/raft/effects.ts";
import { type AppendEntries, type AppendEntriesReply, type Message, NO_ROUND } from "../../src/raft/message.ts";
import type { RaftOptions } from "../../src/raft/options.ts";
import { Disk } from "./disk.ts";
import { batch, pack, texts } from "./entries.ts";
import { appendEntries, appends, ELECTION_MS, elect, HEARTBEAT_MS, Peer, rejection, success } from "./harness.ts";

const THREE = ["a", "b", "c"];

const replyOf = (sent: readonly Outgoing[]): AppendEntriesReply => {
  const message: Message | undefined = sent[0]?.message;
  if (sent.length !== 1 || message?.type !== "AppendEntriesReply") throw new Error(JSON.stringify(sent));
  return message;
};
const only = (sent: readonly Outgoing[], to: string): AppendEntries => {
  const [message, ...rest] = appends(sent, to);
  if (message === undefined || rest.length > 0) throw new Error(`expected one message, got ${rest.length + 1}`);
  return message;
};
const range = ({ prevLogIndex, batches }: AppendEntries) => [prevLogIndex + 1, batches.at(-1)?.lastIndex];

/** "a", a follower with entries of these terms from index 2 on. */
const follower = (terms: readonly number[], currentTerm = terms.at(-1) ?? 0, cacheBytes = 1 << 20) =>
  new Peer("a", Disk.holding(THREE, terms, currentTerm), { cacheBytes });

/** "a", just elected over a log of these terms; its no-op is the last entry, and `sent` carries it. */
function leader(terms: readonly number[] = [], options: Partial<RaftOptions> = {}, voters = THREE) {
  const peer = new Peer("a", Disk.holding(voters, terms), options);
  const sent = elect(peer, ...voters.slice(1, 1 + voters.length / 2));
  expect(peer.raft.role).toBe("leader");
  return { peer, sent };
}

/** A leader whose follower "b" has matched all, so that it replicates to it. */
function replicating(options: Partial<RaftOptions> = {}, voters = THREE) {
  const { peer, sent } = leader([], options, voters);
  peer.receive("b", success(only(sent, "b")));
  return peer;
}

describe("§5.3 a follower's consistency check", () => {
  const terms = [1, 1, 2, 2];
  it.each([
    { prev: [1, 0], ok: true },
    { prev: [0, 0], ok: true },
    { prev: [5, 2], ok: true },
    { prev: [3, 1], ok: true },
    { prev: [3, 2], ok: false },
    { prev: [5, 1], ok: false },
    { prev: [6, 2], ok: false },
  ] as const)("an entry at $prev.0 of term $prev.1 matches: $ok; for heartbeats too", ({ prev, ok }) => {
    const [prevLogIndex, prevLogTerm] = prev;
    for (const batches of [[], [batch(prevLogIndex + 1, prevLogIndex === 0 ? 0 : 3, "x")]]) {
      const peer = follower(terms);
      const message = appendEntries({ term: 3, prevLogIndex, prevLogTerm, batches, round: 7 });
      expect(replyOf(peer.receive("b", message))).toMatchObject({ success: ok, round: 7, prevLogIndex, term: 3 });
    }
  });

  it("a success says what the request has shown to match, not how long the log is", () => {
    const peer = follower([1, 1, 1, 1]);
    expect(replyOf(peer.receive("b", appendEntries({ prevLogIndex: 3, prevLogTerm: 1 }))).matchIndex).toBe(3);
    const one = appendEntries({ prevLogIndex: 2, prevLogTerm: 1, batches: [batch(3, 1, "1.3")] });
    expect(replyOf(peer.receive("b", one)).matchIndex).toBe(3);
  });

  it("a refusal leaves the log and the commit index alone", () => {
    const peer = follower([1, 1, 1]);
    const batches = [batch(4, 2, "x")];
    peer.receive("b", appendEntries({ term: 2, prevLogIndex: 3, prevLogTerm: 2, leaderCommit: 4, batches }));
    expect(peer.log).toEqual(["1:1.2", "1:1.3", "1:1.4"]);
    expect(peer.raft.commitIndex).toBe(1);
  });

  it("a refusal says where the log ends, or where the term that differs begins", () => {
    const peer = follower([1, 1, 2, 2]);
    const short = appendEntries({ term: 3, prevLogIndex: 9, prevLogTerm: 3 });
    expect(replyOf(peer.receive("b", short))).toMatchObject({ conflictIndex: 6, conflictTerm: -1 });
    const other = appendEntries({ term: 3, prevLogIndex: 5, prevLogTerm: 3 });
    expect(replyOf(peer.receive("b", other))).toMatchObject({ conflictIndex: 4, conflictTerm: 2 });
  });
});

describe("§5.3 what a follower takes in", () => {
  it("new entries go behind the log, and the reply waits until they are durable", () => {
    const { raft } = follower([1]);
    raft.step("b", 1, appendEntries({ prevLogIndex: 2, prevLogTerm: 1, batches: [batch(3, 1, "x", "y")] }), 0);
    const effects = raft.effects();
    expect(effects?.before).toEqual([]);
    expect(texts(effects?.save?.batches ?? [])).toEqual(["1:x", "1:y"]);
    expect(effects?.after).toMatchObject([{ to: "b", message: { success: true, matchIndex: 4 } }]);
  });

  it("a late message with fewer entries than are there cuts nothing", () => {
    const peer = follower([1, 1, 1, 1, 1]);
    const late = appendEntries({ prevLogIndex: 1, batches: [batch(2, 1, "1.2"), batch(3, 1, "1.3")] });
    expect(replyOf(peer.receive("b", late))).toMatchObject({ success: true, matchIndex: 3 });
    peer.receive("b", appendEntries({ prevLogIndex: 2, prevLogTerm: 1 }));
    expect(peer.disk.saves.filter((save) => save.truncateFrom !== undefined || save.batches.length > 0)).toEqual([]);
    expect(peer.raft.log.lastIndex).toBe(6);
  });

  it("entries that are partly there are taken from where the log ends", () => {
    const peer = follower([1, 1]);
    peer.receive("b", appendEntries({ batches: [batch(2, 1, "1.2", "1.3", "new", "newer")] }));
    expect(peer.log).toEqual(["1:1.2", "1:1.3", "1:new", "1:newer"]);
    expect(peer.disk.saves.at(-1)).toMatchObject({ truncateFrom: undefined, batches: [{ firstIndex: 4 }] });
  });

  it("a conflict cuts the log there, and everything behind it, in the same write as what replaces it", () => {
    const peer = follower([1, 1, 2, 2, 2]);
    const message = appendEntries({ term: 3, batches: [batch(2, 1, "1.2", "1.3"), batch(4, 3, "new")] });
    expect(replyOf(peer.receive("b", message)).matchIndex).toBe(4);
    expect(peer.log).toEqual(["1:1.2", "1:1.3", "3:new"]);
    expect(peer.disk.saves.at(-1)).toMatchObject({ truncateFrom: 4, batches: [{ firstIndex: 4, lastIndex: 4 }] });
    expect(texts(peer.disk.batches).slice(1)).toEqual(peer.log);
  });

  it("a conflict in the middle of a batch leaves its front", () => {
    const peer = follower([]);
    peer.receive("b", appendEntries({ batches: [batch(2, 1, "p", "q", "r", "s")] }));
    peer.receive("c", appendEntries({ term: 2, prevLogIndex: 3, prevLogTerm: 1, batches: [batch(4, 2, "new")] }));
    expect(peer.log).toEqual(["1:p", "1:q", "2:new"]);
    expect(texts(peer.disk.batches).slice(1)).toEqual(peer.log);
  });

  it("a cut of what was evicted from memory is the same", () => {
    const peer = follower([1, 1, 1, 2, 2, 2], 2, 0);
    const batches = [batch(4, 3, "new")];
    peer.receive("c", appendEntries({ term: 3, prevLogIndex: 3, prevLogTerm: 1, batches }));
    peer.restart();
    expect(peer.log).toEqual(["1:1.2", "1:1.3", "3:new"]);
    expect(peer.raft.log.bytes).toBe(peer.disk.endPosition);
  });

  it("two conflicting leaders within one drain leave what the second one says", () => {
    const { raft, disk } = follower([1, 1, 1]);
    raft.step("b", 1, appendEntries({ term: 2, prevLogIndex: 3, prevLogTerm: 1, batches: [batch(4, 2, "b")] }), 0);
    raft.step("c", 1, appendEntries({ term: 3, prevLogIndex: 2, prevLogTerm: 1, batches: [batch(3, 3, "c")] }), 0);
    const effects = raft.effects();
    expect(effects?.save).toMatchObject({ truncateFrom: 3, hardState: { currentTerm: 3 } });
    if (effects?.save !== undefined) disk.save(effects.save);
    expect(texts(disk.batches).slice(1)).toEqual(["1:1.2", "3:c"]);
  });

  it("a committed entry is never cut: the peer stops instead", () => {
    const peer = follower([1, 1]);
    peer.receive("b", appendEntries({ term: 1, prevLogIndex: 3, prevLogTerm: 1, leaderCommit: 3 }));
    const wrong = appendEntries({ term: 2, prevLogIndex: 2, prevLogTerm: 1, batches: [batch(3, 2, "other")] });
    expect(() => peer.receive("c", wrong)).toThrow(/entry 3 is committed/);
  });
});

describe("§5.3 a follower's commit index", () => {
  it("goes no further than the entries that the message has shown to match", () => {
    const peer = follower([1, 1, 1]);
    peer.receive("b", appendEntries({ term: 2, prevLogIndex: 2, prevLogTerm: 1, leaderCommit: 9 }));
    expect(peer.raft.commitIndex).toBe(2);
    const batches = [batch(3, 2, "x")];
    peer.receive("b", appendEntries({ term: 2, prevLogIndex: 2, prevLogTerm: 1, leaderCommit: 9, batches }));
    expect(peer.raft.commitIndex).toBe(3);
  });

  it("never goes back", () => {
    const peer = follower([1, 1, 1]);
    peer.receive("b", appendEntries({ prevLogIndex: 4, prevLogTerm: 1, leaderCommit: 4 }));
    peer.receive("b", appendEntries({ prevLogIndex: 4, prevLogTerm: 1, leaderCommit: 2 }));
    peer.receive("b", appendEntries({ prevLogIndex: 2, prevLogTerm: 1, leaderCommit: 4 }));
    expect(peer.raft.commitIndex).toBe(4);
  });
});

describe("§5.3 what a leader sends", () => {
  it("entries leave before they are on its own disk (dissertation 10.2.1), once for all of a step", () => {
    const peer = replicating();
    peer.raft.propose(pack(["x"]), 0);
    peer.raft.propose(pack(["y", "z"]), 0);
    const effects = peer.raft.effects();
    expect(appends(effects?.before ?? [], "b").map(range)).toEqual([[3, 5]]);
    expect(effects?.save).toMatchObject({ hardState: undefined, batches: [{ firstIndex: 3 }, { firstIndex: 4 }] });
    expect(effects?.after).toEqual([]);
  });

  it("entries are stamped with its term and with a time that never goes back", () => {
    const peer = replicating();
    peer.raft.propose(pack(["x"]), 5_000);
    peer.settle();
    peer.raft.propose(pack(["y"]), 4_000);
    peer.settle();
    expect(peer.raft.log.read(3, 4)).toMatchObject([
      { term: 1, time: 5_000 },
      { term: 1, time: 5_000 },
    ]);
  });

  it("who does not lead appends nothing", () => {
    const peer = follower([1]);
    expect(peer.raft.propose(pack(["x"]), 0)).toBeUndefined();
    expect(peer.raft.log.lastIndex).toBe(2);
    expect(peer.settle()).toEqual([]);
  });

  it("while it replicates it does not wait for replies", () => {
    const peer = replicating();
    expect(appends(peer.propose("x"), "b").map(range)).toEqual([[3, 3]]);
    expect(appends(peer.propose("y"), "b").map(range)).toEqual([[4, 4]]);
    expect(appends(peer.propose("z"), "b").map(range)).toEqual([[5, 5]]);
  });

  it("while it probes there is one message under way", () => {
    const { peer } = leader();
    expect(appends(peer.propose("x"), "b")).toEqual([]);
    expect(appends(peer.propose("y"), "b")).toEqual([]);
  });

  it("a new leader first asks about the end of its log", () => {
    const { sent } = leader([1, 1, 2]);
    expect(only(sent, "b")).toMatchObject({ prevLogIndex: 4, prevLogTerm: 2, term: 3, leaderCommit: 1 });
    expect(texts(only(sent, "b").batches)).toEqual(["3:"]);
  });

  it("the window is bounded in messages, and acknowledgements move it on", () => {
    const peer = replicating({ maxInflightMessages: 2 });
    const sent = ["v", "w", "x", "y", "z"].flatMap((text) => appends(peer.propose(text), "b"));
    expect(sent.map(range)).toEqual([
      [3, 3],
      [4, 4],
    ]);
    expect(appends(peer.receive("b", success(sent[0] ?? appendEntries())), "b").map(range)).toEqual([[5, 7]]);
    expect(appends(peer.receive("b", success(sent[0] ?? appendEntries())), "b")).toEqual([]);
    expect(appends(peer.propose("!"), "b")).toEqual([]);
    expect(appends(peer.receive("b", success(sent[1] ?? appendEntries())), "b").map(range)).toEqual([[8, 8]]);
  });

  it("the window is bounded in bytes", () => {
    const peer = replicating({ maxInflightBytes: 1000 });
    const big = "x".repeat(600);
    const sent = ["1", "2", "3"].flatMap((text) => appends(peer.propose(big + text), "b"));
    expect(sent.map(range)).toEqual([
      [3, 3],
      [4, 4],
    ]);
    expect(appends(peer.receive("b", success(sent[1] ?? appendEntries())), "b").map(range)).toEqual([[5, 5]]);
  });

  it("the bytes of a window that was given up do not count against the next one", () => {
    const peer = replicating({ maxInflightBytes: 1000 });
    const big = "x".repeat(600);
    for (let i = 0; i < 10; i++) {
      const [first] = appends(peer.propose(big, big), "b");
      peer.raft.unreachable("b");
      const [again] = appends(peer.settle(), "b");
      expect([first, again].map((each) => each && range(each))).toEqual([
        [3 + 2 * i, 4 + 2 * i],
        [3 + 2 * i, 4 + 2 * i],
      ]);
      peer.receive("b", success(again ?? appendEntries()));
    }
  });

  it("a full window is emptied by the reply to a heartbeat, when the replies to its messages were lost", () => {
    const peer = replicating({ maxInflightMessages: 2 });
    for (const text of ["x", "y", "z"]) peer.propose(text);
    const heartbeat = only(peer.wake(), "b");
    expect(range(heartbeat)).toEqual([5, undefined]);
    expect(appends(peer.receive("b", success(heartbeat)), "b").map(range)).toEqual([[5, 5]]);
  });

  it("messages hold no more bytes than they may, except for one entry that is larger", () => {
    const { peer, sent } = leader([], { maxMessageBytes: 300 });
    peer.propose(...Array.from({ length: 20 }, (_, i) => `${i}`.repeat(10)), "x".repeat(1000), "end");
    const rest = appends(peer.receive("b", success(only(sent, "b"))), "b");
    expect(rest.flatMap((message) => texts(message.batches))).toEqual(peer.log.slice(1));
    for (const { batches, prevLogIndex } of rest) {
      const bytes = batches.reduce((sum, each) => sum + each.bytes.byteLength, 0);
      const entries = (batches.at(-1)?.lastIndex ?? 0) - prevLogIndex;
      expect(bytes <= 300 || entries === 1).toBe(true);
    }
    expect(rest.length).toBeGreaterThan(3);
  });

  it("entries that memory no longer holds are read from the store", () => {
    const { peer, sent } = leader([1, 1, 1, 1, 1, 1], { cacheBytes: 0 });
    const probe = only(sent, "b");
    const again = appends(peer.receive("b", rejection(probe, 2)), "b");
    expect(again.map((message) => message.prevLogIndex)).toEqual([1]);
    let messages = again;
    const got: string[] = [];
    while (messages.length > 0) {
      got.push(...messages.flatMap((message) => texts(message.batches)));
      messages = messages.flatMap((message) => appends(peer.receive("b", success(message)), "b"));
    }
    expect(got).toEqual(peer.log);
    expect(peer.disk.reads).toBeGreaterThan(0);
  });

  it("of what memory no longer holds a quarter goes out at once", () => {
    const sentAtOnce = (cacheBytes: number) => {
      const peer = replicating({ maxMessageBytes: 800, maxInflightBytes: 1600, cacheBytes });
      const sent = Array.from({ length: 60 }, (_, at) => appends(peer.propose(`${at}`), "b")).flat();
      const more = appends(peer.receive("b", success(sent.at(-1) ?? appendEntries())), "b");
      return more.map(({ batches }) => batches.reduce((sum, { bytes }) => sum + bytes.byteLength, 0));
    };
    const fromMemory = sentAtOnce(1e6);
    const fromStore = sentAtOnce(0);
    expect(Math.max(...fromMemory)).toBeGreaterThan(600);
    expect(Math.max(...fromStore)).toBeLessThanOrEqual(200);
    const sum = (bytes: number[]) => bytes.reduce((total, each) => total + each, 0);
    expect(sum(fromMemory)).toBeGreaterThan(1200);
    expect(sum(fromStore)).toBeLessThanOrEqual(600);
  });

  it("a dead follower never holds up the others", () => {
    const peer = replicating({ maxInflightMessages: 4 });
    for (let i = 0; i < 100; i++) {
      const sent = appends(peer.propose(`${i}`), "b");
      expect(sent.map((message) => texts(message.batches))).toEqual([[`1:${i}`]]);
      for (const message of sent) peer.receive("b", success(message));
      expect(peer.raft.commitIndex).toBe(3 + i);
    }
  });

  it("one who has been silent for long gets heartbeats without entries, and all it lacks once it answers", () => {
    const peer = replicating();
    const big = "x".repeat(10_000);
    peer.propose(big);
    const electedAt = peer.now;
    let entries = 0;
    let last = appendEntries();
    for (let ms = 0; ms < 10 * ELECTION_MS[1]; ms += HEARTBEAT_MS) {
      const sent = peer.wake();
      last = appends(sent, "c").at(-1) ?? last;
      if (peer.now > electedAt + ELECTION_MS[1] + HEARTBEAT_MS) entries += last.batches.length;
      for (const message of appends(sent, "b")) peer.receive("b", success(message));
    }
    expect(entries).toBe(0);
    const missing = appends(peer.receive("c", success(last)), "c");
    const got = missing.flatMap((message) => texts(message.batches));
    expect(got.at(-1)).toBe(`1:${big}`);
  });

  it("reads do not repeat the entries of a probe that waits for its reply", () => {
    const { peer } = leader([], {}, THREE);
    let entries = 0;
    for (let id = 0; id < 50; id++) {
      peer.raft.read(id);
      entries += appends(peer.settle(), "c").reduce((sum, message) => sum + message.batches.length, 0);
    }
    expect(entries).toBe(0);
  });
});

describe("§5.3 what a leader learns of its followers", () => {
  it("backtracking takes one round for each term in which the logs differ, not for each entry", () => {
    // 50 entries of terms 2 to 4 against 50 of terms 5 to 7, behind ten that agree.
    const run = (term: number, length: number) => Array.from({ length }, () => term);
    const common = run(1, 10);
    const { peer, sent } = leader([...common, ...run(5, 20), ...run(6, 20), ...run(7, 10)]);
    const other = new Peer("b", Disk.holding(THREE, [...common, ...run(2, 20), ...run(3, 20), ...run(4, 10)]));
    let messages = appends(sent, "b");
    let rounds = 0;
    while (messages.length > 0 && rounds < 100) {
      rounds++;
      const replies = messages.map((message) => replyOf(other.receive("a", message)));
      messages = replies.flatMap((reply) => appends(peer.receive("b", reply), "b"));
    }
    expect(other.log).toEqual(peer.log);
    expect(rounds).toBeLessThanOrEqual(5);
  });

  it.each([
    { logs: "a follower whose log is shorter", ours: [1, 1, 1, 1, 1, 1], theirs: [1], refusals: 1 },
    { logs: "a follower with a tail of an older term", ours: [1, 3, 3, 3], theirs: [1, 2, 2, 2, 2, 2], refusals: 1 },
    { logs: "one that stopped early in a term both have", ours: [1, 2, 2, 2, 4], theirs: [1, 2, 3, 3, 3], refusals: 1 },
    { logs: "one that went on in a term both have", ours: [1, 2, 4, 4, 4], theirs: [1, 2, 2, 2, 2], refusals: 1 },
    { logs: "a follower with nothing in common", ours: [4, 4, 4], theirs: [1, 2, 3, 3], refusals: 3 },
  ])("$logs refuses $refusals times before it is brought in line", ({ ours, theirs, refusals }) => {
    const { peer, sent } = leader(ours);
    const other = new Peer("b", Disk.holding(THREE, theirs));
    let messages = appends(sent, "b");
    let refused = 0;
    while (messages.length > 0 && refused < 50) {
      const replies = messages.map((message) => replyOf(other.receive("a", message)));
      refused += replies.filter((reply) => !reply.success).length;
      messages = replies.flatMap((reply) => appends(peer.receive("b", reply), "b"));
    }
    expect(other.log).toEqual(peer.log);
    expect(refused).toBe(refusals);
  });

  it("a probe that was lost is repeated with the next heartbeat", () => {
    const { peer, sent } = leader();
    expect(range(only(sent, "b"))).toEqual([2, 2]);
    expect(range(only(peer.wake(), "b"))).toEqual([2, 2]);
    const [again] = appends(peer.wake(), "b");
    peer.receive("b", success(again ?? appendEntries()));
    expect(appends(peer.propose("x"), "b").map(range)).toEqual([[3, 3]]);
  });

  it("entries that were lost while replicating are found missing by the next heartbeat, and sent again", () => {
    const peer = replicating();
    peer.propose("lost");
    const heartbeat = only(peer.wake(), "b");
    expect(heartbeat).toMatchObject({ prevLogIndex: 3, batches: [] });
    const again = only(peer.receive("b", rejection(heartbeat, 3)), "b");
    expect(range(again)).toEqual([3, 3]);
    expect(appends(peer.propose("waits"), "b")).toEqual([]);
    expect(appends(peer.receive("b", success(again)), "b").map(range)).toEqual([[4, 4]]);
  });

  it("a heartbeat's success says no more than that its own prevLogIndex matches", () => {
    const { peer } = leader([1, 1]);
    // An empty request about entry 2; the leader's log has gone on since.
    peer.receive("b", success(appendEntries({ term: 2, prevLogIndex: 2, prevLogTerm: 1 })));
    expect(peer.raft.commitIndex).toBe(1);
  });

  it("a success counts for what its request carried, however long the log is by now", () => {
    const peer = replicating();
    const [first] = appends(peer.propose("x"), "b");
    peer.propose("y");
    peer.receive("b", success(first ?? appendEntries()));
    expect(peer.raft.commitIndex).toBe(3);
  });

  it("late and repeated successes take nothing back", () => {
    const peer = replicating({ maxInflightMessages: 2 });
    const [x] = appends(peer.propose("x"), "b");
    const [y] = appends(peer.propose("y"), "b");
    peer.receive("b", success(y ?? appendEntries()));
    expect(peer.raft.commitIndex).toBe(4);
    expect(peer.receive("b", success(x ?? appendEntries()))).toEqual([]);
    // What is known to match decides where it starts again.
    peer.raft.unreachable("b");
    expect(appends(peer.propose("z"), "b").map(range)).toEqual([[5, 5]]);
  });

  it("late and repeated rejections do not move it back below what is known to match", () => {
    const { peer, sent } = leader([1, 1, 1]);
    const probe = only(sent, "b");
    const refusal = rejection(probe, 2);
    const second = only(peer.receive("b", refusal), "b");
    expect(second.prevLogIndex).toBe(1);
    const rest = only(peer.receive("b", success(second)), "b");
    peer.receive("b", success(rest));
    for (let i = 0; i < 3; i++) expect(peer.receive("b", refusal)).toEqual([]);
    expect(appends(peer.propose("x"), "b").map(range)).toEqual([[6, 6]]);
    expect(peer.raft.commitIndex).toBe(5);
  });

  it("a rejection from before the follower caught up leads back no further than to what matches since", () => {
    const { peer, sent } = leader([1, 1, 1]);
    const refusal = rejection(only(sent, "b"), 2);
    const second = only(peer.receive("b", refusal), "b");
    const part = { ...second, batches: second.batches.slice(0, 1) };
    expect(appends(peer.receive("b", success(part)), "b").map(range)).toEqual([
      [3, 4],
      [5, 5],
    ]);
    expect(appends(peer.receive("b", refusal), "b").map(range)).toEqual([[3, 4]]);
  });

  it("one that went on in a term both have is sent nothing of that term again", () => {
    const run = (term: number, length: number) => Array.from({ length }, () => term);
    const { peer, sent } = leader([...run(1, 20), ...run(3, 20)]);
    const other = new Peer("b", Disk.holding(THREE, run(1, 50)));
    const [next] = appends(peer.receive("b", replyOf(other.receive("a", only(sent, "b")))), "b");
    expect(next?.prevLogIndex).toBe(21);
  });

  it("while probing, a rejection of an older probe is not news", () => {
    const { peer, sent } = leader([1, 2, 3, 4]);
    const probe = only(sent, "b");
    const second = only(peer.receive("b", rejection(probe, 5, 9)), "b");
    expect(second.prevLogIndex).toBe(4);
    expect(peer.receive("b", rejection(probe, 2, 9))).toEqual([]);
    expect(only(peer.receive("b", rejection(second, 3, 9)), "b").prevLogIndex).toBe(2);
  });

  it("a rejection at the very beginning leads to the first entry, never below", () => {
    const { peer, sent } = leader([1]);
    const second = only(peer.receive("b", rejection(only(sent, "b"), 0)), "b");
    expect(second).toMatchObject({ prevLogIndex: 0, prevLogTerm: 0, batches: [{ firstIndex: 1 }, { firstIndex: 2 }] });
    const other = new Peer("b", new Disk(THREE));
    expect(replyOf(other.receive("a", second))).toMatchObject({ success: true, matchIndex: 2 });
  });

  it("replies to an earlier term's requests are dropped", () => {
    const peer = follower([1, 1]);
    peer.raft.advance(peer.raft.wakeAt);
    elect(peer, "b");
    peer.now += ELECTION_MS[1];
    peer.receive("c", { ...appendEntries({ term: 3 }) });
    elect(peer, "b");
    expect(peer.raft.currentTerm).toBe(4);
    peer.receive("b", success(appendEntries({ term: 2, prevLogIndex: 5, prevLogTerm: 4 })));
    expect(peer.raft.commitIndex).toBe(1);
  });

  it("an earlier term's requests are refused, and the refusal names no round: it proves nothing to a leader of now", () => {
    const peer = new Peer("b", Disk.holding(THREE, [1]));
    peer.receive("a", appendEntries({ term: 5 }));
    const request = appendEntries({ term: 4, prevLogIndex: 2, prevLogTerm: 1, round: 900 });
    const replies = peer.receive("c", request).map(({ message }) => message);
    expect(replies).toMatchObject([{ type: "AppendEntriesReply", term: 5, success: false, round: NO_ROUND }]);
  });

  it("a refusal for a stale term makes it step down and leaves the rest alone", () => {
    const peer = replicating();
    const [x] = appends(peer.propose("x"), "b");
    expect(peer.receive("b", rejection(x ?? appendEntries(), 1, -1, { term: 9 }))).toEqual([]);
    expect(peer.facts).toMatchObject({ role: "follower", currentTerm: 9 });
  });

  it("a new process of a follower is sent anew what was under way to the old one", () => {
    const peer = replicating();
    peer.propose("x");
    const preVoteReply: Message = { type: "PreVoteReply", term: 1, proposedTerm: 9, voteGranted: false };
    expect(appends(peer.receive("b", preVoteReply, 2), "b").map(range)).toEqual([[3, 3]]);
    expect(appends(peer.receive("b", preVoteReply, 2), "b")).toEqual([]);
  });

  it("a follower that was down when the leader was elected is sent what it lacks, not the whole log", () => {
    const terms = Array.from({ length: 100 }, () => 1);
    const comesBack = (how: (peer: Peer) => Outgoing[]) => {
      const { peer } = leader(terms);
      const other = new Peer("c", Disk.holding(THREE, terms));
      let messages = appends(how(peer), "c");
      const got: string[] = [];
      for (let i = 0; i < 10 && messages.length > 0; i++) {
        got.push(...messages.flatMap((message) => texts(message.batches)));
        messages = messages.flatMap((message) =>
          appends(peer.receive("c", replyOf(other.receive("a", message)), 2), "c"),
        );
      }
      expect(other.log).toEqual(peer.log);
      return got;
    };
    const silentForLong = (peer: Peer) => {
      let sent: Outgoing[] = [];
      for (let ms = 0; ms < 2 * ELECTION_MS[1]; ms += HEARTBEAT_MS) {
        sent = peer.wake();
        for (const message of appends(sent, "b")) peer.receive("b", success(message));
      }
      return sent;
    };
    const restarted = (peer: Peer) => {
      peer.receive("c", { type: "PreVoteReply", term: 1, proposedTerm: 9, voteGranted: false }, 1);
      return peer.receive("c", { type: "PreVoteReply", term: 1, proposedTerm: 9, voteGranted: false }, 2);
    };
    expect(comesBack(silentForLong)).toEqual(["2:"]);
    expect(comesBack(restarted)).toEqual(["2:"]);
  });

  it("news of lost messages leads to one repetition, not to a storm", () => {
    const peer = replicating();
    for (const text of ["x", "y", "z"]) peer.propose(text);
    peer.raft.unreachable("b");
    expect(appends(peer.settle(), "b").map(range)).toEqual([[3, 5]]);
    for (let i = 0; i < 10; i++) peer.raft.unreachable("b");
    expect(peer.settle()).toEqual([]);
  });
});

describe("§5.2 heartbeats that nobody has to wake for", () => {
  /** A leader whose followers hold all and know all of it, and have just answered. */
  function settled() {
    const { peer, sent } = leader();
    for (const id of ["b", "c"]) peer.receive(id, success(only(sent, id)));
    const news = peer.wake();
    for (const id of ["b", "c"]) peer.receive(id, success(only(news, id)));
    return peer;
  }

  it("a heartbeat to one who has just confirmed all that it says is quiet", () => {
    const peer = settled();
    const sent = peer.tick(HEARTBEAT_MS);
    expect([only(sent, "b").isQuiet, only(sent, "c").isQuiet]).toEqual([true, true]);
  });

  it("one to a follower that was not heard for half the longest election timeout asks for an answer", () => {
    const peer = settled();
    const asked: boolean[] = [];
    for (let age = HEARTBEAT_MS; age < ELECTION_MS[1]; age += HEARTBEAT_MS) {
      const sent = peer.tick(HEARTBEAT_MS);
      const [toB, toC] = [only(sent, "b"), only(sent, "c")];
      expect(toC.isQuiet).toBe(age < ELECTION_MS[1] / 2);
      if (!toB.isQuiet) peer.receive("b", success(toB));
      asked.push(!toB.isQuiet);
    }
    expect(asked).toContain(true);
    expect(asked).toContain(false);
  });

  it("one to a follower whose copy is not confirmed, or that was not told of a commit, is not", () => {
    const peer = settled();
    const sent = peer.propose("x");
    peer.receive("b", success(only(sent, "b")));
    const beat = peer.tick(HEARTBEAT_MS);
    expect(only(beat, "b").isQuiet).toBe(false);
    expect(only(beat, "c").isQuiet).toBe(false);
  });

  it("a round that a read waits for is not", () => {
    const peer = settled();
    const { raft } = peer;
    raft.read(1);
    const sent = peer.settle();
    expect([only(sent, "b").isQuiet, only(sent, "c").isQuiet]).toEqual([false, false]);
    expect(only(peer.tick(HEARTBEAT_MS), "b").isQuiet).toBe(false);
  });

  it("a follower does not answer one, but takes from it the leader, the time, and what is committed", () => {
    const peer = follower([1, 1]);
    peer.now += 10;
    const beat = appendEntries({ prevLogIndex: 3, prevLogTerm: 1, leaderCommit: 3, isQuiet: true });
    expect(peer.receive("b", beat)).toEqual([]);
    expect(peer.facts).toMatchObject({ role: "follower", leader: "b" });
    expect(peer.raft.commitIndex).toBe(3);
    expect(peer.raft.wakeAt).toBeGreaterThanOrEqual(peer.now + ELECTION_MS[0]);
  });

  it("a follower whose log does not match one says so", () => {
    const peer = follower([1]);
    const beat = appendEntries({ prevLogIndex: 3, prevLogTerm: 1, isQuiet: true });
    expect(replyOf(peer.receive("b", beat))).toMatchObject({ success: false, conflictIndex: 3 });
  });
});

describe("§5.3 the leader's commit index", () => {
  it("its own copy counts only when it is durable", () => {
    const peer = replicating();
    peer.raft.propose(pack(["x"]), 0);
    // The follower is quicker than the leader's own disk would be: its reply is there when the save is done.
    const effects = peer.raft.effects();
    if (effects?.save === undefined) throw new Error("nothing to save");
    expect(peer.raft.commitIndex).toBe(2);
    peer.disk.save(effects.save);
    peer.raft.saved(peer.now);
    expect(peer.raft.commitIndex).toBe(2);
    peer.receive("b", success(only(effects.before, "b")));
    expect(peer.raft.commitIndex).toBe(3);
  });

  it("an entry of a single voter is committed when it is durable, and not before", () => {
    const peer = new Peer("a", new Disk(["a"]));
    peer.tick(0);
    peer.raft.propose(pack(["x"]), 0);
    peer.raft.effects();
    expect(peer.raft.commitIndex).toBe(2);
    peer.raft.saved(0);
    expect(peer.raft.commitIndex).toBe(3);
  });

  it("nothing can be handed in while a save is under way", () => {
    const { raft, now } = replicating();
    raft.propose(pack(["x"]), 0);
    raft.effects();
    for (const call of [
      () => raft.step("b", 1, appendEntries(), now),
      () => raft.propose(pack(["y"]), 0),
      () => raft.read(1),
      () => raft.advance(now),
      () => raft.effects(),
      () => raft.unreachable("b"),
      () => raft.peerDied("b", 1, now),
    ]) {
      expect(call).toThrow(/last save was not reported/);
    }
    raft.saved(now);
    expect(() => raft.saved(now)).toThrow(/no save is under way/);
  });

  it("news of a commit rides on the next entries", () => {
    const peer = replicating();
    const [x] = appends(peer.propose("x"), "b");
    expect(peer.receive("b", success(x ?? appendEntries()))).toEqual([]);
    expect(peer.raft.commitIndex).toBe(3);
    const next = only(peer.propose("y"), "b");
    expect(next.leaderCommit).toBe(3);
    expect(peer.raft.wakeAt).toBeGreaterThan(peer.now + 2);
  });

  it("news of several commits that nothing carries goes out by itself, once", () => {
    const peer = replicating({}, ["a", "b"]);
    peer.tick(2);
    const [x] = appends(peer.propose("x"), "b");
    const [y] = appends(peer.propose("y"), "b");
    peer.receive("b", success(x ?? appendEntries()));
    expect(peer.raft.wakeAt).toBe(peer.now + 2);
    peer.tick(1);
    peer.receive("b", success(y ?? appendEntries()));
    expect(peer.raft.wakeAt).toBe(peer.now + 1);
    expect(peer.tick(1)).toMatchObject([{ to: "b", message: { batches: [], leaderCommit: 4, prevLogIndex: 4 } }]);
    expect(peer.raft.wakeAt).toBeGreaterThan(peer.now + 2);
  });

  it("a heartbeat tells of the commit to one whose news was lost", () => {
    const peer = replicating();
    const [x] = appends(peer.propose("x"), "b");
    peer.receive("b", success(x ?? appendEntries()));
    peer.tick(2);
    expect(only(peer.wake(), "b").leaderCommit).toBe(3);
  });
});
