import { describe, expect, test } from "vitest";
import { FaultTable, type LinkRule } from "../../src/actors/faults.ts";
import { RaftError, type RaftErrorCode } from "../../src/raft/errors.ts";

const PEERS = ["a", "b", "c", "d", "e"];

/** The links that are not blocked, one direction a word. */
function open(faults: FaultTable): string[] {
  const links = PEERS.flatMap((from) => PEERS.filter((to) => to !== from).map((to) => [from, to] as const));
  return links.filter(([from, to]) => !faults.rule(from, to)?.blocked).map((link) => link.join(""));
}

function within(...groups: string[]): string[] {
  const links = groups.flatMap((group) => [...group].flatMap((from) => [...group].map((to) => from + to)));
  return links.filter(([from, to]) => from !== to).sort();
}

function codeOf(act: () => void): [RaftErrorCode, string] {
  try {
    act();
  } catch (error) {
    if (error instanceof RaftError) return [error.code, error.message];
    throw error;
  }
  throw new Error("nothing was thrown");
}

test("without faults no link has a rule", () => {
  const faults = new FaultTable(PEERS);
  expect(open(faults)).toEqual(within("abcde"));
  expect(faults.rule("a", "b")).toBeUndefined();
  expect(faults.clientRule("app", "a")).toBeUndefined();
});

describe("a partition", () => {
  test("blocks both directions between its groups", () => {
    const faults = new FaultTable(PEERS);
    faults.partition(["a", "b"], ["c", "d", "e"]);
    expect(open(faults)).toEqual(within("ab", "cde"));
  });

  test("leaves the peers it does not name together", () => {
    const faults = new FaultTable(PEERS);
    faults.partition(["a", "b"]);
    expect(open(faults)).toEqual(within("ab", "cde"));
  });

  test("takes the place of the one before", () => {
    const faults = new FaultTable(PEERS);
    faults.partition(["a", "b"], ["c", "d", "e"]);
    faults.partition(["a"], ["e"]);
    expect(open(faults)).toEqual(within("bcd"));
    faults.partition();
    expect(open(faults)).toEqual(within("abcde"));
  });

  test("has a bridge where a peer stands in two groups", () => {
    const faults = new FaultTable(PEERS);
    faults.partition(["a", "b", "c"], ["c", "d", "e"]);
    expect(open(faults).sort()).toEqual(within("abc", "cde"));
  });

  test("is left as it was when a name is wrong", () => {
    const faults = new FaultTable(PEERS);
    faults.partition(["a"]);
    expect(() => faults.partition(["a", "b"], ["x"])).toThrow(RaftError);
    expect(open(faults)).toEqual(within("bcde"));
  });
});

describe("an isolated peer", () => {
  test("reaches nobody and is reached by nobody", () => {
    const faults = new FaultTable(PEERS);
    faults.isolate("c");
    expect(open(faults)).toEqual(within("abde"));
  });

  test("is connected again only to those that are not isolated themselves", () => {
    const faults = new FaultTable(PEERS);
    for (const peer of ["a", "b", "c"]) faults.isolate(peer);
    faults.connect("a");
    expect(open(faults)).toEqual(within("ade"));
    faults.connect("b");
    expect(open(faults)).toEqual(within("abde"));
  });

  test("is not connected across a partition", () => {
    const faults = new FaultTable(PEERS);
    faults.partition(["a", "b"]);
    faults.isolate("a");
    faults.connect("a");
    expect(open(faults)).toEqual(within("ab", "cde"));
  });
});

describe("the rule of a link", () => {
  test("holds in one direction only", () => {
    const faults = new FaultTable(PEERS);
    faults.link("a", "b", { drop: 0.5 });
    expect(faults.rule("a", "b")).toEqual({ drop: 0.5 });
    expect(faults.rule("b", "a")).toBeUndefined();
  });

  test("comes before the rule for all links, field by field", () => {
    const faults = new FaultTable(PEERS);
    faults.all({ drop: 0.5, delayMs: [1, 2], duplicate: 0.1 });
    faults.link("a", "b", { drop: 0, reorder: 1 });
    expect(faults.rule("a", "b")).toEqual({ drop: 0, delayMs: [1, 2], duplicate: 0.1, reorder: 1 });
    expect(faults.rule("b", "a")).toEqual({ drop: 0.5, delayMs: [1, 2], duplicate: 0.1 });
  });

  test("cannot open what another layer blocks", () => {
    const faults = new FaultTable(PEERS);
    faults.link("a", "b", { blocked: false });
    faults.all({ blocked: true });
    expect(open(faults)).toEqual([]);
    faults.all({});
    faults.isolate("b");
    expect(faults.rule("a", "b")).toEqual({ blocked: true });
  });

  test("blocks one direction although the rule for all does not", () => {
    const faults = new FaultTable(PEERS);
    faults.all({ drop: 0.1, blocked: false });
    faults.link("a", "b", { blocked: true });
    expect(open(faults)).toEqual(within("abcde").filter((link) => link !== "ab"));
  });

  test("ends with an empty rule, and fields that are undefined are as if left out", () => {
    const faults = new FaultTable(PEERS);
    faults.link("a", "b", { drop: 0.5 });
    faults.link("a", "b", {});
    expect(faults.rule("a", "b")).toBeUndefined();
    faults.all({ drop: 0.5 });
    faults.link("a", "b", { drop: undefined } as unknown as LinkRule);
    expect(faults.rule("a", "b")).toEqual({ drop: 0.5 });
  });

  test("is a copy of what was handed in", () => {
    const faults = new FaultTable(PEERS);
    const rule = { delayMs: [1, 2] as [number, number] };
    faults.all(rule);
    rule.delayMs[0] = 9;
    expect(faults.rule("a", "b")).toEqual({ delayMs: [1, 2] });
  });
});

describe("heal", () => {
  test("ends every partition, isolation and rule", () => {
    const faults = new FaultTable(PEERS);
    faults.partition(["a"]);
    faults.isolate("b");
    faults.link("c", "d", { blocked: true });
    faults.all({ drop: 1 });
    faults.client("app", []);
    faults.heal();
    for (const from of PEERS) for (const to of PEERS) expect(faults.rule(from, to)).toBeUndefined();
    expect(faults.clientRule("app", "a")).toBeUndefined();
  });

  test("leaves the network of the lab as it is", () => {
    const faults = new FaultTable(PEERS);
    faults.labrpc({ unreliable: true });
    faults.heal();
    expect(faults.profile).toEqual({ unreliable: true });
    faults.labrpc(undefined);
    expect(faults.profile).toBeUndefined();
  });
});

describe("a client", () => {
  test("reaches the peers it was given and no others", () => {
    const faults = new FaultTable(PEERS);
    faults.client("app", ["a", "b"]);
    expect(PEERS.filter((peer) => !faults.clientRule("app", peer)?.blocked)).toEqual(["a", "b"]);
    expect(faults.clientRule("other", "c")).toBeUndefined();
  });

  test("is under a rule to all peers, or free again", () => {
    const faults = new FaultTable(PEERS);
    faults.client("app", { drop: 0.5 });
    expect(faults.clientRule("app", "e")).toEqual({ drop: 0.5 });
    faults.client("app", {});
    expect(faults.clientRule("app", "e")).toBeUndefined();
  });

  test("does not care about faults between peers", () => {
    const faults = new FaultTable(PEERS);
    faults.all({ blocked: true });
    faults.isolate("a");
    expect(faults.clientRule("app", "a")).toBeUndefined();
  });
});

describe("an error", () => {
  test.each<[string, unknown, string]>([
    ["drop", { drop: 1.5 }, "got 1.5"],
    ["drop", { drop: Number.NaN }, "got NaN"],
    ["drop", { drop: "0.5" }, "got '0.5'"],
    ["duplicate", { duplicate: -0.1 }, "got -0.1"],
    ["reorder", { reorder: true }, "got true"],
    ["delayMs", { delayMs: 5 }, "got 5"],
    ["delayMs", { delayMs: [5] }, "got [ 5 ]"],
    ["delayMs", { delayMs: [9, 3] }, "got [ 9, 3 ]"],
    ["delayMs", { delayMs: [-1, 3] }, "got [ -1, 3 ]"],
    ["delayMs", { delayMs: [0, Number.POSITIVE_INFINITY] }, "got [ 0, Infinity ]"],
    ["blocked", { blocked: 1 }, "got 1"],
    ["dorp", { dorp: 0.5 }, 'No rule is named "dorp"'],
    ["rule", null, "got null"],
    ["rule", 0.5, "got 0.5"],
  ])("quotes a wrong %s: %o", (name, rule, quoted) => {
    const faults = new FaultTable(PEERS);
    const wrong = rule as LinkRule;
    const setters = [() => faults.all(wrong), () => faults.link("a", "b", wrong), () => faults.client("app", wrong)];
    for (const set of setters) {
      const [code, message] = codeOf(set);
      expect(code).toBe("ERR_INVALID_OPTION");
      expect(message).toContain(quoted);
      expect(message).toContain(name);
    }
    expect(faults.rule("a", "b")).toBeUndefined();
  });

  test("says which peer is unknown", () => {
    const faults = new FaultTable(PEERS);
    const acts = [
      () => faults.partition(["a"], ["x"]),
      () => faults.isolate("x"),
      () => faults.connect("x"),
      () => faults.link("x", "a", {}),
      () => faults.link("a", "x", {}),
      () => faults.client("app", ["a", "x"]),
    ];
    for (const act of acts) {
      expect(codeOf(act)).toEqual(["ERR_UNKNOWN_PEER", `No peer is named 'x'; there are "a", "b", "c", "d", "e".`]);
    }
  });

  test("comes of a link from a peer to itself, of a group that is no list and of a client without a name", () => {
    const faults = new FaultTable(PEERS);
    expect(codeOf(() => faults.link("a", "a", { drop: 1 }))[0]).toBe("ERR_INVALID_OPTION");
    expect(codeOf(() => faults.partition("abc" as unknown as string[]))[0]).toBe("ERR_INVALID_OPTION");
    expect(codeOf(() => faults.client("", []))[0]).toBe("ERR_INVALID_OPTION");
  });
});
