import { describe, expect, it } from "vitest";
import type { RaftRecord, RecordedStep } from "../../src/actors/record.ts";
import { replay } from "../../src/testing/replay.ts";
import { ReplayError } from "../../src/testing/replay-error.ts";
import { recordSchedule } from "./recording.ts";

const SEEDS = Array.from({ length: 20 }, (_, at) => at);
const records = recordSchedule(3, 1);

function failureOf(record: RaftRecord): ReplayError {
  try {
    replay(record);
  } catch (error) {
    if (error instanceof ReplayError) return error;
    throw error;
  }
  throw new Error("the record was replayed without a difference");
}

/** A life with a step that fits, and that step changed. */
function planted(fits: (step: RecordedStep) => boolean, change: (step: RecordedStep) => RecordedStep) {
  for (const record of records) {
    const at = record.steps.findIndex(fits);
    const step = record.steps[at];
    if (step !== undefined) return { at, record: { ...record, steps: record.steps.with(at, change(step)) } };
  }
  throw new Error("no life has such a step");
}

describe("A record of a peer's life", () => {
  it.each(SEEDS)("comes out the same when it is replayed, whatever happened in it (schedule %i)", (seed) => {
    for (const record of recordSchedule(3 + (seed % 3), seed)) replay(record);
  });

  it("holds entries that were read from the disk, chunks of snapshots, reads and crashes", () => {
    const all = SEEDS.flatMap((seed) => recordSchedule(3, seed)).flatMap(({ steps }) => steps);
    const count = (fits: (step: RecordedStep) => boolean) => all.filter(fits).length;
    expect(count(({ asked }) => (asked?.read.length ?? 0) > 0)).toBeGreaterThan(20);
    expect(count(({ asked }) => (asked?.chunks.length ?? 0) > 0)).toBeGreaterThan(20);
    expect(count(({ asked }) => (asked?.drawn.length ?? 0) > 0)).toBeGreaterThan(20);
    for (const kind of ["read", "stageChunk", "completeSnapshot", "peerDied", "unreachable", "propose"] as const) {
      expect(count(({ call }) => call.kind === kind)).toBeGreaterThan(5);
    }
  });

  it("can be replayed any number of times", () => {
    for (const record of records) {
      const before = structuredClone(record);
      replay(record);
      replay(record);
      expect(record).toEqual(before);
    }
  });

  it("that says it has sent another term is told apart at that very step", () => {
    const { at, record } = planted(
      ({ call }) => call.kind === "effects" && call.returned?.after[0]?.message.type === "RequestVote",
      (step) => {
        if (step.call.kind !== "effects" || step.call.returned === undefined) return step;
        const [first, ...others] = step.call.returned.after;
        if (first === undefined) return step;
        const message = { ...first.message, term: 99 };
        return {
          ...step,
          call: { ...step.call, returned: { ...step.call.returned, after: [{ ...first, message }, ...others] } },
        };
      },
    );
    const { step, message } = failureOf(record);
    expect(step).toBe(at);
    expect(message).toMatch(
      new RegExp(`^step ${at}, effects: call.returned.after\\[0\\].message.term was 99, and is \\d+$`),
    );
  });

  it("that says it was given another entry is told apart where that entry comes out again", () => {
    const { at, record } = planted(
      ({ call }) => call.kind === "propose" && call.returned !== undefined,
      (step) => {
        if (step.call.kind !== "propose") return step;
        const packed = step.call.packed.slice();
        packed[packed.byteLength - 1] = 255;
        return { ...step, call: { ...step.call, packed } };
      },
    );
    const { step, message } = failureOf(record);
    expect(step).toBe(at);
    expect(message).toContain("call.digests was Uint8Array");
  });

  it("that lacks what was asked for says so", () => {
    const { at, record } = planted(
      ({ asked }) => (asked?.drawn.length ?? 0) > 0,
      ({ call, changed }) => ({ call, ...(changed && { changed }) }),
    );
    const { step, message } = failureOf(record);
    expect(step).toBe(at);
    expect(message).toContain(
      "what it threw was undefined, and is 'Error: it asks for a random number, and did not when it was recorded'",
    );
  });

  it("that lacks a step is told apart", () => {
    const [record] = records;
    const at = record?.steps.findIndex(({ call }) => call.kind === "step") ?? -1;
    if (record === undefined) throw new Error("there is no record");
    expect(failureOf({ ...record, steps: record.steps.toSpliced(at, 1) }).step).toBeGreaterThanOrEqual(at);
  });

  it("that begins with another log is told apart at its start", () => {
    const [record] = records;
    if (record === undefined) throw new Error("there is no record");
    const { start } = record;
    expect(failureOf({ ...record, start: { ...start, state: { ...start.state, lastIndex: 7 } } }).message).toBe(
      "the start: state.lastIndex was 7, and is 1",
    );
    const stored = { ...start.stored, firstIndex: 3 };
    expect(failureOf({ ...record, start: { ...start, stored } }).message).toContain("InvariantError");
  });
});
