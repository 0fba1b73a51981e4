import { performance } from "node:perf_hooks";
import { beforeAll, describe, expect, it } from "vitest";
import type { Supervisor } from "../../src/actors/supervisor.ts";
import { sleep } from "../soak/load.ts";
import { allFollow, allUp, othersOf, startPatient } from "./fixtures/cluster.ts";

/** No election timer can fire within this time of the last word from a leader. */
const SHORTEST_ELECTION_MS = 2_000;

describe("the news of a crash", () => {
  let supervisor: Supervisor;
  beforeAll(async () => {
    supervisor = await startPatient({ electionMs: [SHORTEST_ELECTION_MS, 3_000] });
    await supervisor.leader();
    await allUp(supervisor);
    return () => supervisor.stop();
  });

  it("has a crashed leader replaced long before any election timer fires", async () => {
    const tookMs: number[] = [];
    // What takes longer proves nothing: the machine may be busy.
    for (let attempt = 0; attempt < 5 && !tookMs.some((ms) => ms < SHORTEST_ELECTION_MS); attempt++) {
      await allUp(supervisor);
      const leader = await supervisor.leader();
      const { term } = await supervisor.propose({ op: "put", key: "k", value: 1 });
      const from = performance.now();
      await leader.crash();
      const next = await supervisor.propose({ op: "put", key: "k", value: 2 });
      tookMs.push(performance.now() - from);
      expect(next.term).toBeGreaterThan(term);
    }
    expect(Math.min(...tookMs)).toBeLessThan(SHORTEST_ELECTION_MS);
  });

  it("does not pass a partition: its followers stand by the dead leader until their timers fire", async () => {
    const leader = await allFollow(supervisor);
    const { term } = await supervisor.propose({ op: "put", key: "k", value: 3 });
    await supervisor.faults.isolate(leader.id);
    const from = performance.now();
    await leader.crash();
    let looks = 0;
    while (performance.now() - from < SHORTEST_ELECTION_MS / 2) {
      await sleep(50);
      for (const follower of othersOf(supervisor, leader)) {
        const status = await follower.status();
        // Of a look that came too late nothing can be said.
        if (performance.now() - from >= SHORTEST_ELECTION_MS * 0.9) continue;
        expect(status).toMatchObject({ role: "follower", currentTerm: term, leader: leader.id });
        looks++;
      }
    }
    expect(looks).toBeGreaterThan(0);
    const next = await supervisor.propose({ op: "put", key: "k", value: 4 }, { timeoutMs: 20_000 });
    expect(next.term).toBeGreaterThan(term);
    expect(performance.now() - from).toBeGreaterThan(SHORTEST_ELECTION_MS * 0.9);
    await supervisor.faults.heal();
  });
});
