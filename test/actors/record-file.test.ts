import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { RaftRecord } from "../../src/actors/record.ts";
import { RecordFile, readRecord, recordPath } from "../../src/actors/record-file.ts";
import { RaftError } from "../../src/raft/errors.ts";
import { findDifference } from "../../src/testing/difference.ts";
import { readRecords } from "../../src/testing/read-records.ts";
import { recordSchedule } from "../testing/recording.ts";
import { temporaryFolder } from "./fixtures/cluster.ts";

const records = recordSchedule(3, 1);

function write(folder: string, { start, steps }: RaftRecord, maxBytes?: number): string {
  const { id, incarnation = 0 } = start.options;
  const path = recordPath(folder, id, incarnation);
  const file = new RecordFile(path, maxBytes);
  file.start(start);
  for (const step of steps) file.step(step);
  file.close();
  return path;
}

function largest(): RaftRecord {
  const [record] = records.toSorted((one, other) => other.steps.length - one.steps.length);
  if (record === undefined) throw new Error("there is no record");
  return record;
}

it("A record comes back from its file as it was", () => {
  const folder = join(temporaryFolder(), "made", "when needed");
  for (const record of records) expect(findDifference(record, readRecord(write(folder, record)))).toBeUndefined();
});

it("The records of a folder come in the order of each peer's lives, and other files are left alone", () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "notes.txt"), "mine");
  for (const record of records.toReversed()) write(folder, record);
  const read = readRecords(folder);
  expect(read).toHaveLength(records.length);
  expect(records.length).toBeGreaterThan(3);
  for (const peer of ["a", "b", "c"]) {
    const lives = read.filter(({ start }) => start.options.id === peer).map(({ start }) => start.options.incarnation);
    expect(lives).toEqual(lives.map((_, at) => at + 1));
  }
});

it("What was flushed can be read while the life goes on", () => {
  const { start, steps } = largest();
  const path = join(temporaryFolder(), "a.1.record");
  const file = new RecordFile(path);
  file.start(start);
  steps.slice(0, 10).forEach((step) => void file.step(step));
  expect(readRecord(path)).toBeUndefined();
  file.flush();
  expect(readRecord(path)?.steps).toHaveLength(10);
  file.close();
});

it("A last frame that is not whole is left out, wherever it is torn", () => {
  const record = largest();
  const path = write(temporaryFolder(), record);
  const { size } = statSync(path);
  let steps = record.steps.length;
  for (let torn = size - 1; torn > size - 200; torn--) {
    truncateSync(path, torn);
    const read = readRecord(path);
    expect(read?.steps.length).toBeLessThanOrEqual(steps);
    steps = read?.steps.length ?? 0;
    expect(findDifference(record.steps.slice(0, steps), read?.steps)).toBeUndefined();
  }
  expect(steps).toBeLessThan(record.steps.length);
  truncateSync(path, 2);
  expect(readRecord(path)).toBeUndefined();
});

it("A record that grows too large ends early and says so", () => {
  const record = largest();
  const path = write(temporaryFolder(), record, 4_000);
  const read = readRecord(path);
  expect(statSync(path).size).toBeLessThan(4_100);
  expect(read?.isCut).toBe(true);
  expect(read?.steps.length).toBeGreaterThan(5);
  expect(findDifference(record.steps.slice(0, read?.steps.length), read?.steps)).toBeUndefined();
});

it("No record is written over another", () => {
  const path = write(temporaryFolder(), largest());
  const before = readFileSync(path);
  expect(() => new RecordFile(path)).toThrow(RaftError);
  expect(() => new RecordFile(path)).toThrow(/\.record cannot be written: Error: EEXIST/);
  expect(readFileSync(path)).toEqual(before);
  expect(readdirSync(join(path, ".."))).toHaveLength(1);
});

it.each([
  ["nothing of MessagePack", Buffer.from([3, 0, 0, 0, 0xc1, 0xc1, 0xc1])],
  ["something else", Buffer.from([1, 0, 0, 0, 7])],
])("A file that holds %s is refused", (_name, bytes) => {
  const path = join(temporaryFolder(), "a.1.record");
  writeFileSync(path, bytes);
  expect(() => readRecord(path)).toThrow(/is no record of a peer/);
  expect(() => readRecord(path)).toThrow(RaftError);
});
