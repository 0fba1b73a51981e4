import { expect, it, onTestFinished, vi } from "vitest";
import { Session } from "../../src/actors/session.ts";
import type { SessionHost } from "../../src/actors/session-options.ts";
import type { CallResult } from "../../src/actors/waiting-call.ts";
import { MAX_RESULTS, readSessionHeader } from "../../src/machine/sessions.ts";
import { RaftError } from "../../src/raft/errors.ts";
import { raftError } from "./fixtures/cluster.ts";

const HOST = {
  maxCommandBytes: 1_000,
  retryMs: 1_000,
  defaultTimeoutMs: 5_000,
  query: () => Promise.reject(new Error("nobody asks")),
};

it("tells the caller of a command that came too early until its deadline that it was not delivered, and not of the gap", async () => {
  const host: SessionHost = {
    ...HOST,
    proposer: {
      overloaded: () => undefined,
      submit(_kind, data, { timeoutMs }): Promise<CallResult> {
        const { session, sequence } = readSessionHeader(data);
        if (session === 0) return Promise.resolve({ index: 7, term: 1, result: 7 });
        // The first is on its way for ever; the second is refused for that when its time is over.
        if (sequence === 1) return new Promise(() => {});
        const gap = new RaftError("ERR_SESSION_GAP", "command 2 of session 7 came after command 0");
        return new Promise((_, reject) => setTimeout(reject, timeoutMs + 5, gap));
      },
    },
  };
  const session = new Session(host, {});
  session.propose("first", { timeoutMs: 60_000 }).catch(() => {});
  const error = await raftError(session.propose("second", { timeoutMs: 30 }));
  expect(error).toMatchObject({ code: "ERR_TIMEOUT", outcome: "not-applied", cause: { code: "ERR_SESSION_GAP" } });
  expect(error.message).toBe("not delivered within 30 ms: command 2 of session 7 came after command 0");
});

it("uses a session that took longer to open than it may be idle, and does not open it again and again", async () => {
  let opened = 0;
  const host: SessionHost = {
    ...HOST,
    proposer: {
      overloaded: () => undefined,
      async submit(_kind, data): Promise<CallResult> {
        const { session, sequence } = readSessionHeader(data);
        if (session !== 0) return { index: 8, term: 1, result: sequence };
        opened++;
        await new Promise((resolve) => setTimeout(resolve, 20));
        return { index: 7, term: 1, result: 7 };
      },
    },
  };
  const session = new Session(host, { expireMs: 10 });
  expect(await session.propose("first")).toMatchObject({ result: 1 });
  expect(opened).toBe(1);
});

it("takes an answer that comes after the command was sent again for any", async () => {
  const sent: number[] = [];
  let answerFirst = (_result: CallResult) => {};
  const host: SessionHost = {
    ...HOST,
    retryMs: 10,
    proposer: {
      overloaded: () => undefined,
      submit(_kind, data, { timeoutMs }): Promise<CallResult> {
        const { session, sequence } = readSessionHeader(data);
        if (session === 0) return Promise.resolve({ index: 7, term: 1, result: 7 });
        sent.push(sequence);
        // The cluster is slow: it is still about the first attempt when the third is made, and never comes to that.
        if (sent.length === 3) answerFirst({ index: 8, term: 1, result: "late" });
        return new Promise((resolve, reject) => {
          if (sent.length === 1) answerFirst = resolve;
          setTimeout(
            reject,
            timeoutMs,
            new RaftError("ERR_UNKNOWN_OUTCOME", "no answer", { outcome: "unknown" }),
          ).unref();
        });
      },
    },
  };
  expect(await new Session(host, {}).propose("first")).toMatchObject({ result: "late" });
  expect(sent).toEqual([1, 1, 1]);
});

it("settles what was under way in a session that has expired, however that ends", async () => {
  const host: SessionHost = {
    ...HOST,
    proposer: {
      overloaded: () => undefined,
      async submit(_kind, data): Promise<CallResult> {
        const { session, sequence } = readSessionHeader(data);
        if (session === 0) return { index: 7, term: 1, result: 7 };
        if (sequence === 1) throw new RaftError("ERR_SESSION_EXPIRED", "session 7 has expired");
        // The answer to the second is lost.
        await new Promise((resolve) => setTimeout(resolve, 5));
        throw new RaftError("ERR_UNKNOWN_OUTCOME", "no answer", { outcome: "unknown" });
      },
    },
  };
  const session = new Session(host, {});
  const errors = await Promise.all([raftError(session.propose("first")), raftError(session.propose("second"))]);
  expect(errors.map(({ code, outcome }) => `${code} ${outcome}`)).toEqual([
    "ERR_SESSION_EXPIRED not-applied",
    "ERR_SESSION_EXPIRED unknown",
  ]);
});

it("takes a new session when it was idle for long by the clock of the log, though a command before was given up", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  let opened = 0;
  const abort = new AbortController();
  const host: SessionHost = {
    ...HOST,
    proposer: {
      overloaded: () => undefined,
      async submit(_kind, data): Promise<CallResult> {
        const { session, sequence } = readSessionHeader(data);
        if (session === 0) return { index: 7, term: 1, result: ++opened };
        if (session === 2) return { index: 8, term: 1, result: sequence };
        abort.abort();
        throw new RaftError("ERR_UNKNOWN_OUTCOME", "no answer", { outcome: "unknown" });
      },
    },
  };
  const session = new Session(host, { expireMs: 60_000 });
  expect(await raftError(session.propose("first", { signal: abort.signal }))).toMatchObject({ outcome: "unknown" });
  // The machine slept, so its other clock has hardly moved.
  vi.setSystemTime(Date.now() + 60_001);
  expect(await session.propose("second")).toMatchObject({ result: 1 });
});

it("counts what waits to be sent again among what may wait", async () => {
  const limit = 10_000;
  const host: SessionHost = {
    ...HOST,
    proposer: {
      overloaded: (bytes) => (bytes > limit ? new RaftError("ERR_OVERLOADED", `${bytes}`) : undefined),
      async submit(_kind, data): Promise<CallResult> {
        if (readSessionHeader(data).session === 0) return { index: 7, term: 1, result: 7 };
        throw new RaftError("ERR_OVERLOADED", "the leader has enough to do");
      },
    },
  };
  const session = new Session(host, {});
  const ends: Promise<RaftError>[] = [];
  for (let turn = 0; turn < 10; turn++) {
    for (let at = 0; at < 5; at++) ends.push(raftError(session.propose("x".repeat(900), { timeoutMs: 200 })));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const causes = (await Promise.all(ends)).map(({ message }) => message);
  expect(causes.filter((message) => Number(message) > limit)).toHaveLength(39);
  // All that waited is settled, and others may wait.
  expect((await raftError(session.propose("x".repeat(900), { timeoutMs: 1 }))).message).not.toMatch(/^\d+$/);
});

it("goes through what is to be sent again once for all that was refused together", async () => {
  let refused = 0;
  const host: SessionHost = {
    ...HOST,
    proposer: {
      overloaded: () => undefined,
      async submit(_kind, data): Promise<CallResult> {
        const { session, sequence } = readSessionHeader(data);
        if (session === 0) return { index: 7, term: 1, result: 7 };
        if (refused++ >= 500) return { index: 8, term: 1, result: sequence };
        throw new RaftError("ERR_NOT_LEADER", "p1 does not lead");
      },
    },
  };
  const turns = vi.spyOn(globalThis, "setImmediate");
  onTestFinished(() => turns.mockRestore());
  const session = new Session(host, {});
  const results = await Promise.all(Array.from({ length: 500 }, () => session.propose("x")));
  expect(results.map(({ result }) => result)).toEqual(results.map((_, at) => at + 1));
  expect(turns.mock.calls.length).toBeLessThan(5);
});

it("sends no more than 8 MiB without an answer, and goes on with each answer", async () => {
  const sent: (() => void)[] = [];
  const host: SessionHost = {
    ...HOST,
    maxCommandBytes: 2 << 20,
    proposer: {
      overloaded: () => undefined,
      async submit(_kind, data): Promise<CallResult> {
        const { session, sequence } = readSessionHeader(data);
        if (session === 0) return { index: 7, term: 1, result: 7 };
        await new Promise<void>((resolve) => sent.push(resolve));
        return { index: 8, term: 1, result: sequence };
      },
    },
  };
  const session = new Session(host, {});
  const calls = Array.from({ length: 12 }, () => session.propose("x".repeat(1 << 20)));
  await vi.waitUntil(() => sent.length > 0);
  expect(sent).toHaveLength(8);
  for (let at = 0; at < 12; at++) {
    await vi.waitUntil(() => sent.length > at);
    sent[at]?.();
  }
  expect((await Promise.all(calls)).map(({ result }) => result)).toEqual(calls.map((_, at) => at + 1));
});

it("gives up very many commands that wait, for their deadlines or for a signal, each without a look at all others", async () => {
  const host: SessionHost = {
    ...HOST,
    // The session is being opened for ever.
    proposer: { overloaded: () => undefined, submit: () => new Promise(() => {}) },
  };
  const session = new Session(host, {});
  const given = new AbortController();
  const codes = new Map<string, number>();
  const count = (error: RaftError) => codes.set(error.code, (codes.get(error.code) ?? 0) + 1);
  const calls = Array.from({ length: 150_000 }, (_, number) =>
    session.propose(number, number % 2 ? { timeoutMs: 500 } : { signal: given.signal }).catch(count),
  );
  // Minutes, if each went through all of them.
  given.abort();
  await Promise.all(calls);
  expect(codes).toEqual(
    new Map([
      ["ERR_ABORTED", 75_000],
      ["ERR_TIMEOUT", 75_000],
    ]),
  );
});

it("sends very many commands in the order of their calls, each once", async () => {
  const sent: number[] = [];
  const host: SessionHost = {
    ...HOST,
    proposer: {
      overloaded: () => undefined,
      async submit(_kind, data): Promise<CallResult> {
        const { session, sequence } = readSessionHeader(data);
        if (session === 0) return { index: 7, term: 1, result: 7 };
        sent.push(sequence);
        return { index: 7 + sequence, term: 1, result: sequence };
      },
    },
  };
  const session = new Session(host, {});
  const results = await Promise.all(
    Array.from({ length: 60_000 }, (_, number) => session.propose<number>(number, { timeoutMs: 60_000 })),
  );
  const inOrder = Array.from({ length: 60_000 }, (_, number) => number + 1);
  expect(results.map(({ result }) => result)).toEqual(inOrder);
  expect(sent).toEqual(inOrder);
});

it("goes on behind as many commands as may be under way that were all given up", async () => {
  let isUp = false;
  const host: SessionHost = {
    ...HOST,
    retryMs: 10,
    proposer: {
      overloaded: () => undefined,
      submit(_kind, data, { timeoutMs }): Promise<CallResult> {
        const { session, sequence } = readSessionHeader(data);
        if (session === 0) return Promise.resolve({ index: 7, term: 1, result: 7 });
        if (isUp) return Promise.resolve({ index: 7 + sequence, term: 1, result: sequence });
        const error = new RaftError("ERR_UNKNOWN_OUTCOME", "no answer", { outcome: "unknown" });
        return new Promise((_, reject) => setTimeout(reject, timeoutMs, error));
      },
    },
  };
  const session = new Session(host, {});
  const outage = Array.from({ length: MAX_RESULTS }, (_, number) =>
    raftError(session.propose(number, { timeoutMs: 50 })),
  );
  const outcomes = new Set((await Promise.all(outage)).map(({ outcome }) => outcome));
  expect([...outcomes]).toEqual(["unknown"]);
  isUp = true;
  const later = session.propose("later", { timeoutMs: 20_000 });
  expect(await later).toMatchObject({ result: MAX_RESULTS + 1 });
});
