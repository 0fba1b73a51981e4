import { DiskImage, EntryRecord } from "../../../../src/testing/simulator/checks/disk-image.ts";
import type { Subject } from "../../../../src/testing/simulator/checks/subject.ts";

/** A process of p1 in term 1, as the checks see it. */
export function life(incarnation: number, more: Partial<Subject["raft"]> = {}): Subject {
  const log = {
    firstIndex: 1,
    lastIndex: 3,
    lastTerm: 1,
    bytes: 0,
    termAt: () => 1,
    read: () => [],
    batchesFrom: () => [],
    isCached: () => true,
  };
  const raft = { role: "follower", currentTerm: 1, votedFor: undefined, leader: "p2", commitIndex: 1 } as const;
  return {
    ...{ id: "p1", incarnation, lastApplied: 1, current: { since: 0 }, now: () => 10 },
    raft: { ...raft, log, snapshot: undefined, ...more },
    image: new DiskImage("p1", new EntryRecord()),
  };
}
