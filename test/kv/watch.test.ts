import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import type { QueryOptions } from "../../src/actors/peer-handle.ts";
import type { Session } from "../../src/actors/session.ts";
import { type KvWatchOptions, watchChanges } from "../../src/kv/watch.ts";
import type { KeyValueChanges } from "../../src/machine/change-history.ts";
import { RaftError, type RaftErrorCode } from "../../src/raft/errors.ts";
import { raftError } from "../actors/fixtures/cluster.ts";

const VIA = ["p1", "p2", "p3"];

type Reply = { readonly answer: unknown; readonly index: number } | RaftErrorCode;

/** A session whose questions are answered by `reply`; one that gets no reply waits for its signal. */
function sessionOf(reply: (peer: string | undefined, after: number) => Reply | undefined): Pick<Session, "read"> {
  return {
    async read<Answer>(query: unknown, { via, signal }: QueryOptions = {}) {
      const found = reply(via?.[0], (query as { after?: number }).after ?? -1);
      if (typeof found === "string") throw new RaftError(found, "not now");
      if (found !== undefined) return found as { answer: Answer; index: number };
      return new Promise<never>((_, reject) => {
        const onAbort = () => reject(new RaftError("ERR_ABORTED", "the call was aborted"));
        if (signal?.aborted) onAbort();
        signal?.addEventListener("abort", onAbort, { once: true });
      });
    },
  };
}

function changesFrom(firstIndex: number, changes: KeyValueChanges["changes"] = []): Reply {
  return { answer: { changes, firstIndex, upTo: undefined } satisfies KeyValueChanges, index: 100 };
}

const change = (index: number) => ({ index, key: "k", value: index, version: 1 });

describe("a watch", () => {
  it("begins at the present as soon as somebody says what that is", async () => {
    let asked = 0;
    const session = sessionOf((peer, after) => {
      if (peer !== undefined) return changesFrom(1, [change(after + 1)]);
      return ++asked < 3 ? "ERR_NOT_LEADER" : { answer: 0, index: 41 };
    });
    expect((await watchChanges(session, VIA, {}).next()).value).toEqual(change(42));
  });

  it("ends without an error when its signal has come before, or comes while it waits for a leader", async () => {
    const session = sessionOf(() => undefined);
    const ended = { done: true, value: undefined };
    expect(await watchChanges(session, VIA, { signal: AbortSignal.abort() }).next()).toEqual(ended);
    const abort = new AbortController();
    const next = watchChanges(session, VIA, { signal: abort.signal }).next();
    abort.abort();
    expect(await next).toEqual(ended);
  });

  it("that waits for a change is over when it is left, and leaves nothing at its signal", async () => {
    const { signal } = new AbortController();
    const watch = watchChanges(
      sessionOf(() => undefined),
      VIA,
      { after: 5, signal },
    );
    const next = watch.next();
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    expect(await watch.return()).toEqual({ done: true, value: undefined });
    expect(await next).toEqual({ done: true, value: undefined });
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  it("says that changes are gone when those that can be asked do not have them, though another cannot be asked", async () => {
    const asked: string[] = [];
    const session = sessionOf((peer) => {
      asked.push(peer ?? "");
      return peer === "p3" ? "ERR_NOT_LEADER" : changesFrom(peer === "p1" ? 30 : 20);
    });
    const error = await raftError(watchChanges(session, VIA, { after: 5 }).next());
    expect(error).toMatchObject({ code: "ERR_COMPACTED", firstIndex: 20 });
    // It may only have been restarting.
    expect(asked.filter((peer) => peer === "p3")).toHaveLength(5);
  });

  it("finds the changes at the only peer that has them, though that could not be asked at first", async () => {
    let asked = 0;
    const session = sessionOf((peer, after) => {
      if (peer !== "p3") return after < 10 ? changesFrom(11) : undefined;
      return ++asked < 3 ? "ERR_TIMEOUT" : changesFrom(1, [change(6)]);
    });
    const watch = watchChanges(session, VIA, { after: 5 });
    expect((await watch.next()).value).toEqual(change(6));
    await watch.return();
  });

  it("does not take a peer for out of reach that has waited for a change in vain", async () => {
    let asked = 0;
    const session = sessionOf((peer) => {
      asked++;
      if (asked <= 30) return "ERR_TIMEOUT";
      return peer === "p3" ? changesFrom(1, [change(6)]) : changesFrom(11);
    });
    expect((await watchChanges(session, VIA, { after: 5 }).next()).value).toEqual(change(6));
  });

  it.each<[RaftErrorCode]>([["ERR_STOPPED"], ["ERR_MACHINE_THREW"], ["ERR_INVALID_COMMAND"]])(
    "ends with %s",
    async (code) => {
      const next = watchChanges(
        sessionOf(() => code),
        VIA,
        { after: 5 },
      ).next();
      expect(await raftError(next)).toMatchObject({ code });
    },
  );

  it.each([
    [{ after: Number.NaN }, "after: expected an index, 0 or more, got NaN"],
    [{ after: -1 }, "after: expected an index, 0 or more, got -1"],
    [{ after: "1" }, "after: expected an index, 0 or more, got '1'"],
    [{ prefix: /k/ }, "prefix: expected a string, got /k/"],
  ])("is refused %o", (options, message) => {
    const session = sessionOf(() => undefined);
    expect(() => watchChanges(session, VIA, options as KvWatchOptions)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_OPTION", message }),
    );
  });
});
