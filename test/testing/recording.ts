import type { RaftRecord } from "../../src/actors/record.ts";
import { RecordedRaft } from "../../src/actors/recorded-raft.ts";
import { MemoryRecord } from "../../src/testing/memory-record.ts";
import type { MakeRaft } from "../raft/harness.ts";
import { Schedule } from "../raft/schedule.ts";

/** Makes peers that are recorded, each life for itself. */
export function recording(): { readonly make: MakeRaft; readonly records: () => RaftRecord[] } {
  const sinks: MemoryRecord[] = [];
  return {
    make: (options, disk, now) => {
      const sink = new MemoryRecord();
      sinks.push(sink);
      const { incarnation } = disk;
      return new RecordedRaft({ ...options, incarnation }, disk.stored(), disk, { now: () => now }, { sink });
    },
    records: () => sinks.map(({ record }) => record),
  };
}

/** Some hundred steps of a schedule of all kinds of faults, the same for the same seed, and the end of all faults. */
export function recordSchedule(size: number, seed: number, steps = 300): RaftRecord[] {
  const { make, records } = recording();
  const schedule = new Schedule(size, make);
  for (let i = 1; i <= steps; i++) schedule.step(Math.imul(seed * 100_003 + i, 0x9e3779b1) >>> 2);
  schedule.settle();
  return records();
}
