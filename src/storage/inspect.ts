import { type Batch, batchPosition, forEachEntry } from "../raft/entry.ts";
import { RaftError } from "../raft/errors.ts";
import { decodeRecord, unsealBatch, unsealChunk, unsealMachineRecord } from "./codec.ts";
import { type LogPointer, type MachinePointer, type Meta, readMeta, type SnapshotPointer } from "./layout.ts";
import type { RecordReader } from "./lmdb-reader.ts";
import { termAt } from "./log-records.ts";
import { allOf, SIDES } from "./machine-records.ts";
import { FORMAT, openLog } from "./opening.ts";
import type { KeyedRecord, NumberedTable } from "./records.ts";
import { chunkAt } from "./snapshot-records.ts";
import { EMPTY_REPORT, type EntryReport, type ReadingDepth, type StoreReport } from "./store-report.ts";

/** How many keys are asked for at a time. */
const KEYS_AT_A_TIME = 1_000;
/** How many records are read between two pauses. */
const PAUSE_EVERY = 256;
const MAX_PROBLEMS = 20;

export interface InspectOptions {
  readonly depth: ReadingDepth;
  /** Entries of the log to hand out, from the first to the last index; only with the depth `all`. */
  readonly entries?: readonly [from: number, to: number] | undefined;
  /** Takes those entries. */
  readonly onEntry?: (entry: EntryReport) => void;
}

/**
 * Reads a store and tells what is in it: all records by their keys, as a peer would, their checksums, and whether they
 * fit each other.
 * @yields the report so far and the part of the work that is done, before the rest is read; there may be a pause.
 */
export function* inspectRecords(
  records: RecordReader,
  options: InspectOptions,
): Generator<{ readonly report: StoreReport; readonly part: number }, StoreReport> {
  const inspection = new Inspection(records, options);
  // What is in the journal was not counted before.
  for (const part of inspection.run()) yield { report: inspection.report, part: Math.min(1, part) };
  return inspection.report;
}

class Inspection {
  readonly #records: RecordReader;
  readonly #options: InspectOptions;
  #report = EMPTY_REPORT;
  readonly #counts = { good: 0, bad: 0, unused: 0 };
  #total = 1;
  #read = 0;

  constructor(records: RecordReader, options: InspectOptions) {
    this.#records = records;
    this.#options = options;
  }

  get report(): StoreReport {
    return { ...this.#report, records: { ...this.#counts } };
  }

  *run(): Generator<number, void> {
    const format = this.#meta("format");
    this.#set({ format });
    if (format !== undefined && format > FORMAT) {
      const remark = `written by a newer version, in format ${format}, of which nothing is known here`;
      this.#set({ remarks: [...this.#report.remarks, remark] });
      return;
    }
    const first = this.#meta("configuration");
    this.#set({
      identity: this.#meta("identity"),
      incarnation: this.#meta("incarnation"),
      hardState: this.#meta("hardState"),
      configuration: first,
    });
    const snapshot = this.#meta("snapshot");
    if (snapshot) this.#set({ snapshot: snapshot.info, configuration: snapshot.info.configuration });
    const machine = this.#meta("machine");
    if (machine) this.#set({ applied: machine.applied });
    yield 0;
    const pointer = this.#meta("log");
    this.#log(snapshot);
    const { log, applied } = this.#report;
    if (log !== undefined && applied !== undefined && applied.index > log.lastIndex) {
      this.#problem(`the machine's state is that of entry ${applied.index}, and the log ends with ${log.lastIndex}`);
    }
    yield 0;
    if (this.#options.depth === "ends") return;
    for (const table of ["log", "terms", "snapshot", "machine"] as const) this.#total += this.#records.count(table);
    if (pointer !== undefined) {
      yield* this.#walkLog(pointer);
      yield* this.#walkTerms(pointer);
    }
    if (snapshot !== undefined) yield* this.#walkSnapshot(snapshot);
    if (machine !== undefined) yield* this.#walkMachine(machine);
  }

  #set(change: Partial<StoreReport>): void {
    this.#report = { ...this.#report, ...change };
  }

  #problem(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    const { problems } = this.#report;
    if (problems.length < MAX_PROBLEMS && !problems.includes(text)) this.#set({ problems: [...problems, text] });
  }

  #count(kind: "good" | "bad", isUsed = true): void {
    this.#counts[kind]++;
    if (!isUsed) this.#counts.unused++;
  }

  #meta<Key extends keyof Meta>(key: Key): Meta[Key] | undefined {
    return this.#check(() => readMeta(this.#records, key));
  }

  /** Counts a record as good or bad. */
  #check<T>(read: () => T, isUsed = true): T | undefined {
    try {
      const value = read();
      this.#count("good", isUsed);
      return value;
    } catch (error) {
      this.#count("bad", isUsed);
      this.#problem(error);
      return undefined;
    }
  }

  /** The ends of the log, and whether it meets the snapshot: what a peer looks at when it starts. */
  #log(snapshot: SnapshotPointer | null | undefined): void {
    try {
      const { firstIndex, lastIndex, terms } = openLog(this.#records, snapshot?.info).log;
      this.#set({ log: { firstIndex, lastIndex, terms, batches: undefined, bytes: undefined } });
    } catch (error) {
      this.#problem(error);
    }
  }

  *#walkLog(pointer: LogPointer): Generator<number, void> {
    const { firstIndex, shift, position, time } = pointer;
    const { log } = this.#report;
    const bounds = log === undefined ? undefined : { ...log, firstPosition: 0, endPosition: 0, shift };
    let next = { index: firstIndex, position, term: 0, time };
    let isFirst = true;
    let [batches, bytes] = [0, 0];
    for (const key of this.#keys("log")) {
      const isUsed = key >= firstIndex + shift;
      const batch = this.#check(() => this.#batch(key, isUsed ? key - shift : undefined), isUsed);
      if (isUsed && batch !== undefined) {
        // Of a log that begins with its first entry nobody says where it begins.
        if (isFirst && firstIndex === 1) next = { ...next, position: batchPosition(batch) };
        this.#fits(batch, next);
        if (bounds !== undefined && termAt(bounds, batch.firstIndex) !== batch.term) {
          this.#problem(`the entries ${batch.firstIndex}..${batch.lastIndex} are of another term than the store says`);
        }
        next = {
          index: batch.lastIndex + 1,
          position: batchPosition(batch) + batch.bytes.byteLength,
          term: batch.term,
          time: batch.time,
        };
        isFirst = false;
        batches++;
        bytes += batch.bytes.byteLength;
        this.#handOut(batch);
      }
      if (++this.#read % PAUSE_EVERY === 0) yield this.#read / this.#total;
    }
    if (log === undefined) {
      // Its ends do not fit each other; this is as far as it could be read.
      this.#set({ log: { firstIndex, lastIndex: next.index - 1, terms: [], batches, bytes } });
      return;
    }
    if (next.index !== log.lastIndex + 1) this.#problem(`the log ends with entry ${next.index - 1}`);
    this.#set({ log: { ...log, batches, bytes } });
  }

  /** @param index undefined for a record that is not in use, whose index may have been shifted otherwise. */
  #batch(key: number, index: number | undefined): Batch {
    const record = this.#records.get("log", key);
    if (record === undefined) throw unreadable("log", key);
    if (index !== undefined) return unsealBatch(index, record);
    const header = new DataView(record.buffer, record.byteOffset, record.byteLength);
    return unsealBatch(record.byteLength >= 24 ? header.getFloat64(16, true) : key, record);
  }

  #fits(batch: Batch, next: { index: number; position: number; term: number; time: number }): void {
    const { firstIndex, lastIndex, term, time } = batch;
    if (firstIndex !== next.index) this.#problem(`the entries ${next.index}..${firstIndex - 1} of the log are missing`);
    else if (batchPosition(batch) !== next.position || term < next.term || time < next.time) {
      this.#problem(`the entries ${firstIndex}..${lastIndex} of the log do not fit those before them`);
    }
  }

  #handOut(batch: Batch): void {
    const { entries, onEntry } = this.#options;
    if (entries === undefined || onEntry === undefined) return;
    const [from, to] = entries;
    if (batch.lastIndex < from || batch.firstIndex > to) return;
    const { term, time } = batch;
    forEachEntry(batch, from, (index, kind, data) => {
      if (index <= to) onEntry({ index, term, time, kind, data: data.slice() });
    });
  }

  *#walkTerms({ firstIndex, shift }: LogPointer): Generator<number, void> {
    const inUse = (this.#report.log?.terms[0]?.firstIndex ?? firstIndex) + shift;
    for (const key of this.#keys("terms")) {
      this.#check(() => {
        const record = this.#records.get("terms", key);
        if (record === undefined) throw unreadable("terms", key);
        decodeRecord("terms", key, record);
      }, key >= inUse);
      if (++this.#read % PAUSE_EVERY === 0) yield this.#read / this.#total;
    }
  }

  *#walkSnapshot(pointer: SnapshotPointer | null): Generator<number, void> {
    const [from, to] = pointer === null ? [0, 0] : [pointer.firstKey, pointer.firstKey + pointer.info.chunks];
    let bytes = 0;
    let chunks = 0;
    for (const key of this.#keys("snapshot")) {
      const isUsed = key >= from && key < to;
      const chunk = this.#check(() => {
        if (pointer !== null && isUsed) return chunkAt(this.#records, pointer, key - from);
        const record = this.#records.get("snapshot", key);
        const data = record === undefined ? undefined : unsealChunk(key, record);
        if (data === undefined) throw unreadable("snapshot", key);
        return data;
      }, isUsed);
      if (isUsed) {
        chunks++;
        bytes += chunk?.byteLength ?? 0;
      }
      if (++this.#read % (PAUSE_EVERY / 16) === 0) yield this.#read / this.#total;
    }
    if (pointer === null) return;
    const { info } = pointer;
    if (chunks === info.chunks && bytes === info.bytes) return;
    this.#problem(
      `the snapshot of ${info.index} has ${chunks} chunks with ${bytes} sound bytes, of ${info.chunks} and ${info.bytes}`,
    );
  }

  *#walkMachine(pointer: MachinePointer | null): Generator<number, void> {
    for (const side of SIDES) {
      let range = allOf(side, KEYS_AT_A_TIME);
      for (;;) {
        let records: readonly KeyedRecord[];
        try {
          records = this.#records.page(range);
        } catch (error) {
          this.#problem(error);
          return;
        }
        for (const { key, value } of records) {
          this.#check(
            () => unsealMachineRecord(key, value) ?? fail(unreadable("machine", key)),
            side === pointer?.side,
          );
          this.#read++;
        }
        const last = records.at(-1);
        if (last === undefined) break;
        // The key that comes next in any order of strings.
        range = { ...range, from: `${last.key}\0` };
        yield this.#read / this.#total;
      }
    }
  }

  /** All keys of a table; fewer, and a problem, when they cannot be read or are out of order. */
  *#keys(table: NumberedTable): Generator<number> {
    let from = Number.MIN_SAFE_INTEGER;
    for (;;) {
      let keys: number[];
      try {
        keys = this.#records.keysFrom(table, from, KEYS_AT_A_TIME);
      } catch (error) {
        this.#problem(error);
        return;
      }
      for (const key of keys) {
        if (!(Number.isSafeInteger(key) && key >= from)) {
          this.#problem(`the keys of "${table}" are not in order at ${key}`);
          return;
        }
        yield key;
        from = key + 1;
      }
      if (keys.length < KEYS_AT_A_TIME) return;
    }
  }
}

function fail(error: Error): never {
  throw error;
}

function unreadable(table: NumberedTable | "machine", key: number | string): RaftError {
  return new RaftError("ERR_STORAGE_CORRUPT", `the record ${key} of "${table}" fails its checksum, or is not found`);
}
