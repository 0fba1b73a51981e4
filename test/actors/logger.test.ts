import { describe, expect, it, vi } from "vitest";
import { type Logger, logEvent } from "../../src/actors/logger.ts";
import type { ClusterEvent } from "../../src/actors/protocol.ts";
import { RaftError } from "../../src/raft/errors.ts";
import { allUp, Recorder, startCluster } from "./fixtures/cluster.ts";

type Line = readonly [level: keyof Logger, message: string, fields: object | undefined];

function recordingLogger(): { readonly logger: Logger; readonly lines: Line[] } {
  const lines: Line[] = [];
  const take = (level: keyof Logger) => (message: string, fields?: object) => {
    lines.push([level, message, fields]);
  };
  return {
    lines,
    logger: { debug: take("debug"), info: take("info"), warn: take("warn"), error: take("error") },
  };
}

const error = new RaftError("ERR_GIVEN_UP", "it died too often");
const EVENTS: readonly (readonly [ClusterEvent, level: keyof Logger, message: string])[] = [
  [{ type: "up", peer: "p1", incarnation: 3 }, "info", "p1 is up, incarnation 3"],
  [{ type: "leader", peer: "p1", term: 4 }, "info", "p1 leads in term 4"],
  [
    { type: "crash", peer: "p1", incarnation: 3, requested: true, error: undefined },
    "info",
    "p1 was crashed, as asked",
  ],
  [{ type: "crash", peer: "p1", incarnation: 3, requested: false, error }, "warn", "p1 died: it died too often"],
  [{ type: "restart", peer: "p1", delayMs: 20 }, "info", "p1 starts again in 20 ms"],
  [{ type: "given-up", peer: "p1", error }, "error", "p1 is given up: ERR_GIVEN_UP: it died too often"],
  [{ type: "wedged", peer: "p1" }, "error", "p1 hangs in native code and cannot be ended"],
  [{ type: "down", peer: "p1" }, "info", "p1 was stopped"],
  [{ type: "paused", peer: "p1" }, "info", "p1 is paused"],
  [{ type: "resumed", peer: "p1" }, "info", "p1 goes on"],
  [
    { type: "snapshot", peer: "p1", index: 9, bytes: 80, installed: false },
    "debug",
    "p1 took a snapshot of entry 9, 80 bytes",
  ],
  [
    { type: "snapshot", peer: "p1", index: 9, bytes: 80, installed: true },
    "debug",
    "p1 installed the leader's snapshot of entry 9, 80 bytes",
  ],
  [{ type: "snapshot-failed", peer: "p1", error }, "warn", "p1 could not take a snapshot: it died too often"],
];

describe("logEvent", () => {
  it.each(EVENTS)("writes %o as one line, with the event as its fields", (event, level, message) => {
    const { logger, lines } = recordingLogger();
    logEvent(logger, event);
    expect(lines).toEqual([[level, message, event]]);
  });

  it("writes nothing of what was applied", () => {
    const { logger, lines } = recordingLogger();
    logEvent(logger, { type: "applied", peer: "p1", incarnation: 1, entries: [] });
    expect(lines).toEqual([]);
  });
});

describe("the option `logger`", () => {
  it("gets a line for what happens in the cluster, from its start on", async () => {
    const { logger, lines } = recordingLogger();
    const supervisor = await startCluster({ logger, electionMs: [1_000, 2_000] });
    await allUp(supervisor);
    const leader = await supervisor.leader();
    const recorder = new Recorder(supervisor);
    await leader.crash();
    await recorder.wait("up", ({ peer }) => peer === leader.id);
    const messages = lines.map(([, message]) => message);
    expect(messages).toContain(`${leader.id} is up, incarnation 1`);
    expect(messages).toContain(`${leader.id} was crashed, as asked`);
    expect(messages).toContain(`${leader.id} is up, incarnation 2`);
    expect(lines.map(([, , fields]) => fields)).toEqual(expect.arrayContaining(recorder.events));
  });

  it("may be console, which nothing is written to without it", async () => {
    const methods = (["debug", "info", "warn", "error"] as const).map((level) => vi.spyOn(console, level));
    for (const method of methods) method.mockImplementation(() => {});
    const silent = await startCluster({ peers: 1 });
    await silent.leader();
    await silent.stop();
    expect(methods.flatMap((method) => method.mock.calls)).toEqual([]);
    const loud = await startCluster({ peers: 1, logger: console });
    await loud.leader();
    await loud.stop();
    expect(console.info).toHaveBeenCalledWith("p1 is up, incarnation 1", expect.objectContaining({ type: "up" }));
    vi.restoreAllMocks();
  });
});
