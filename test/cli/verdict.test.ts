import { describe, expect, test } from "vitest";
import { type Attempt, commandOf, type History } from "../../src/cli/demo/history.ts";
import { type Evidence, judge, type LogEntry, type PeerLog } from "../../src/cli/demo/verdict.ts";

const CLIENT = "run-1";
const TERM = 3;
/** Index 1 holds the configuration, index 2 a no-op. */
const FIRST = 3;

type Outcome = Attempt["outcome"];

/** A run of one client whose commands had these outcomes, and of which these numbers were applied, in this order. */
function evidence(outcomes: readonly Outcome[], applied: readonly number[]): Evidence {
  const attempts = outcomes.map((outcome, number): Attempt => {
    return outcome === "acked" ? { outcome, index: FIRST + applied.indexOf(number), term: TERM } : { outcome };
  });
  const histories: History[] = [{ client: CLIENT, attempts }];
  const values = new Map<string, string>();
  for (const number of applied) {
    const { key, value } = commandOf(CLIENT, number);
    values.set(key, (values.get(key) ?? "") + value);
  }
  const log: LogEntry[] = [
    { index: 1, term: 0, kind: 2, command: undefined },
    { index: 2, term: TERM, kind: 0, command: undefined },
    ...applied.map((number, at) => ({ index: FIRST + at, term: TERM, kind: 1, command: commandOf(CLIENT, number) })),
  ];
  const ids = ["p1", "p2", "p3"];
  return {
    histories,
    values,
    peers: ids.map((id) => ({ id, lastApplied: log.length, digest: "d1" })),
    logs: ids.map((id) => peerLog(id, log)),
  };
}

function peerLog(id: string, entries: readonly LogEntry[]): PeerLog {
  return { id, firstIndex: entries[0]?.index ?? 1, lastIndex: entries.at(-1)?.index ?? 0, entries };
}

/** The log without what comes before `index`, as after a snapshot. */
function compacted(given: Evidence, id: string, index: number): Evidence {
  const shortened = (log: PeerLog): PeerLog => {
    return { ...log, firstIndex: index, entries: [...log.entries].filter((entry) => entry.index >= index) };
  };
  return { ...given, logs: given.logs.map((log) => (log.id === id ? shortened(log) : log)) };
}

function withLog(given: Evidence, id: string, change: (log: LogEntry[]) => LogEntry[]): Evidence {
  return {
    ...given,
    logs: given.logs.map((log) => (log.id === id ? peerLog(id, change([...log.entries])) : log)),
  };
}

describe("the verdict", () => {
  test("finds nothing wrong with a run that kept all promises", () => {
    expect(judge(evidence(["acked", "acked", "unknown", "refused", "acked"], [0, 1, 2, 4]))).toEqual([]);
  });

  test("lets a command of unknown outcome be applied or not, and late", () => {
    expect(judge(evidence(["acked", "unknown", "acked"], [0, 2]))).toEqual([]);
    expect(judge(evidence(["acked", "unknown", "acked"], [0, 2, 1]))).toEqual([]);
  });

  test("finds nothing wrong with what other clients left in the log and the state", () => {
    const given = evidence(["acked"], [0]);
    const [first] = given.logs;
    const left = { index: FIRST + 1, term: TERM, kind: 1, command: commandOf("earlier-1", 7) };
    const logs = given.logs.map(({ id }) =>
      peerLog(id, [...(first?.entries ?? []), left, { ...left, index: FIRST + 2 }]),
    );
    expect(judge({ ...given, logs, values: new Map(given.values).set("earlier-1/0", "7 7 ") })).toEqual([]);
  });

  test("finds an acknowledged command that was lost", () => {
    const problems = judge(evidence(["acked", "acked", "acked"], [0, 2]));
    expect(problems).toEqual([
      "command 1 of run-1 was acknowledged, and is not in the state",
      expect.stringContaining("command 1 of run-1 was acknowledged at index 2 in term 3, and something else"),
    ]);
  });

  test("finds a command that was applied twice, whatever its outcome", () => {
    for (const outcome of ["acked", "unknown"] as const) {
      expect(judge(evidence(["acked", outcome], [0, 1, 1]))).toEqual([
        "command 1 of run-1 is in the state twice",
        "the command that adds 1 to run-1/0 is in the log twice",
      ]);
    }
  });

  test("finds acknowledged commands that changed places", () => {
    expect(judge(evidence(["acked", "acked", "acked"], [0, 2, 1]))).toEqual([
      "command 1 of run-1 is in the state behind command 2, which was begun after it was acknowledged",
    ]);
  });

  test("finds a command of unknown outcome in front of one that was acknowledged before it began", () => {
    expect(judge(evidence(["acked", "unknown"], [1, 0]))).toEqual([
      "command 0 of run-1 is in the state behind command 1, which was begun after it was acknowledged",
    ]);
  });

  test("finds a command that was refused and applied", () => {
    expect(judge(evidence(["acked", "refused"], [0, 1]))).toEqual([
      "command 1 of run-1 was refused, and is in the state",
    ]);
  });

  test("finds what nobody wrote", () => {
    const given = evidence(["acked"], [0]);
    for (const text of ["0 9 ", "0 x ", "0"]) {
      const values = new Map([["run-1/0", text]]);
      expect(judge({ ...given, values })).toContain("run-1/0 holds something that nobody wrote there");
    }
  });

  test("finds an acknowledged command that stands elsewhere in the log, or in another term", () => {
    const given = evidence(["acked"], [0]);
    for (const wrong of [
      { outcome: "acked", index: 2, term: TERM },
      { outcome: "acked", index: FIRST, term: 9 },
    ] as const) {
      const problems = judge({ ...given, histories: [{ client: CLIENT, attempts: [wrong] }] });
      expect(problems).toEqual([expect.stringContaining("and something else is in the log there")]);
    }
  });

  test("finds peers with different states, and peers that have not applied as much", () => {
    const given = evidence(["acked"], [0]);
    for (const change of [{ digest: "d2" }, { lastApplied: 2 }]) {
      const peers = given.peers.map((peer) => (peer.id === "p2" ? { ...peer, ...change } : peer));
      expect(judge({ ...given, peers })).toEqual([expect.stringMatching(/^p1 has applied 3 entries .*, p2 /)]);
    }
  });

  test("finds logs that differ in a command, a term, a kind or their length", () => {
    const given = evidence(["acked", "acked"], [0, 1]);
    const changes: Partial<LogEntry>[] = [{ command: commandOf(CLIENT, 0) }, { term: 2 }, { kind: 0 }];
    for (const change of changes) {
      const changed = withLog(given, "p3", (log) =>
        log.map((entry) => (entry.index === 4 ? { ...entry, ...change } : entry)),
      );
      expect(judge(changed)).toEqual(["the logs of p1 and p3 differ at index 4"]);
    }
    const shorter = withLog(given, "p3", (log) => log.slice(0, -1));
    expect(judge(shorter)).toEqual(["the log of p1 ends at index 4, that of p3 at 3"]);
    const longer = withLog(given, "p3", (log) => [...log, { index: 5, term: TERM, kind: 0, command: undefined }]);
    expect(judge(longer)).toEqual(["the log of p1 ends at index 4, that of p3 at 5"]);
  });

  test("finds nothing wrong with logs that were compacted at different places", () => {
    const given = evidence(["acked", "acked", "acked", "acked"], [0, 1, 2, 3]);
    const someLeft = compacted(compacted(compacted(given, "p1", 5), "p2", 4), "p3", 6);
    expect(judge(someLeft)).toEqual([]);
    expect(judge(compacted(compacted(compacted(given, "p1", 7), "p2", 7), "p3", 7))).toEqual([]);
  });

  test("finds a difference in what two compacted logs still have in common", () => {
    const given = evidence(["acked", "acked", "acked"], [0, 1, 2]);
    const changed = withLog(given, "p1", (log) =>
      log.map((entry) => (entry.index === 5 ? { ...entry, term: 2 } : entry)),
    );
    expect(judge(compacted(compacted(changed, "p1", 5), "p3", 4))).toEqual(["the logs of p2 and p1 differ at index 5"]);
  });

  test("judges commands that every peer has compacted away by the state", () => {
    const lost = evidence(["acked", "acked", "acked"], [1, 2]);
    const attempts: Attempt[] = [{ outcome: "acked", index: FIRST, term: TERM }];
    attempts.push({ outcome: "acked", index: 3, term: TERM }, { outcome: "acked", index: 4, term: TERM });
    const given = { ...lost, histories: [{ client: CLIENT, attempts }] };
    const tail = compacted(compacted(compacted(given, "p1", 4), "p2", 4), "p3", 4);
    expect(judge(tail)).toEqual(["command 0 of run-1 was acknowledged, and is not in the state"]);
  });
});
