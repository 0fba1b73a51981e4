import { describe, expect, test } from "vitest";
import { AsyncQueue } from "../../src/actors/async-queue.ts";
import type { ClusterEvent } from "../../src/actors/protocol.ts";
import { RaftError } from "../../src/raft/errors.ts";
import { ClusterWatch } from "../../src/testing/watch.ts";

/** A watch over events that the test makes up. */
function watchOver(...events: readonly ClusterEvent[]) {
  return watchOverCluster(false, ...events);
}

async function watchOverCluster(mayCrash: boolean, ...events: readonly ClusterEvent[]) {
  const queue = new AsyncQueue<ClusterEvent>(() => {});
  for (const event of events) queue.push(event);
  queue.end();
  const watch = new ClusterWatch(mayCrash);
  await watch.follow(queue);
  return watch;
}

const crash = (requested: boolean): ClusterEvent => ({
  type: "crash",
  peer: "a",
  incarnation: 1,
  requested,
  error: new RaftError("ERR_STOPPED", "something broke"),
});

const applied = (peer: string, ...indices: readonly number[]): ClusterEvent => ({
  type: "applied",
  peer,
  incarnation: 1,
  entries: indices.map((index) => ({ index, term: 1, kind: "noop" })),
});

const snapshot = (peer: string, index: number, installed: boolean): ClusterEvent => ({
  type: "snapshot",
  peer,
  index,
  bytes: 100,
  installed,
});

describe("A cluster that is watched", () => {
  test("has not failed when a peer goes on behind a snapshot that it installed, whichever it says first", async () => {
    const all = applied("a", 1, 2, 3, 4);
    for (const news of [
      [snapshot("b", 3, true), applied("b", 4)],
      [applied("b", 4), snapshot("b", 3, true)],
    ]) {
      const watch = await watchOver(all, applied("b", 1), ...news);
      await watch.settle();
      expect(() => watch.check()).not.toThrow();
    }
  });

  test("has failed in the end when a peer leaves out what no installed snapshot stands for", async () => {
    const watch = await watchOver(applied("a", 1, 2, 3, 4), applied("b", 1), applied("b", 4), snapshot("b", 3, false));
    expect(() => watch.check()).not.toThrow();
    await watch.settle();
    expect(() => watch.check()).toThrow("b, incarnation 1, applied the entry at index 4 out of order; 2 was next.");
  });

  test("has failed when peers apply different commands at one index", async () => {
    const applied = (peer: string, command: string): ClusterEvent => ({
      type: "applied",
      peer,
      incarnation: 1,
      entries: [{ index: 2, term: 1, kind: "command", command }],
    });
    const watch = await watchOver(applied("a", "x"), applied("b", "y"));
    expect(() => watch.check()).toThrow(/State Machine Safety is broken at index 2/);
  });

  test("has failed when two peers lead in one term", async () => {
    const watch = await watchOver(
      { type: "leader", peer: "a", term: 3 },
      { type: "leader", peer: "b", term: 4 },
      { type: "leader", peer: "c", term: 3 },
    );
    expect(() => watch.check()).toThrow("Both a and c were elected in term 3.");
  });

  test("has not failed when a leader is announced again", async () => {
    const watch = await watchOver({ type: "leader", peer: "a", term: 3 }, { type: "leader", peer: "a", term: 3 });
    expect(() => watch.check()).not.toThrow();
  });

  test("has failed when a thread dies by itself", async () => {
    const watch = await watchOver(crash(false));
    expect(() => watch.check()).toThrow("a died by itself: something broke");
  });

  test("has not failed when a thread was to be killed", async () => {
    const watch = await watchOver(crash(true));
    expect(() => watch.check()).not.toThrow();
  });

  test("has not failed when threads may die", async () => {
    const watch = await watchOverCluster(true, crash(false));
    expect(() => watch.check()).not.toThrow();
  });

  test("keeps the failure that came first", async () => {
    const watch = await watchOver(crash(false), { type: "wedged", peer: "b" });
    expect(() => watch.check()).toThrow(/a died/);
  });

  test("gives its failure to who waits already", async () => {
    const queue = new AsyncQueue<ClusterEvent>(() => {});
    const watch = new ClusterWatch(false);
    const following = watch.follow(queue);
    const waiting = watch.until(60_000, () => undefined);
    queue.push({ type: "wedged", peer: "b" });
    await expect(waiting).rejects.toThrow("b hangs in native code.");
    queue.end();
    await following;
  });

  test("wakes who waits for what an event brings", async () => {
    const queue = new AsyncQueue<ClusterEvent>(() => {});
    const watch = new ClusterWatch(false);
    const following = watch.follow(queue);
    const waiting = watch.until(60_000, () => watch.log.at(1)?.kind);
    queue.push({
      type: "applied",
      peer: "a",
      incarnation: 1,
      entries: [{ index: 1, term: 0, kind: "configuration" }],
    });
    expect(await waiting).toBe("configuration");
    queue.end();
    await following;
  });

  test("lets who waits go when the time is over", async () => {
    const watch = await watchOver();
    expect(await watch.until(1, () => undefined)).toBeUndefined();
  });
});
