import { expect, it } from "vitest";
import type { CallResult } from "../../src/actors/proposer.ts";
import { Session, type SessionHost } from "../../src/actors/session.ts";
import { readSessionHeader } from "../../src/machine/sessions.ts";
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
