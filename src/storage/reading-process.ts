import { statSync } from "node:fs";
import { setImmediate as pause } from "node:timers/promises";
import { RaftError } from "../raft/errors.ts";
import { noGate } from "./gate.ts";
import { inspectRecords } from "./inspect.ts";
import { dataFile, hasDataFile, prepareFolder } from "./lmdb-file.ts";
import { openForReading } from "./lmdb-reader.ts";
import { openEnvironment } from "./lmdb-records.ts";
import { checkPages } from "./pages.ts";
import type { ReadingNotice, ReadingTask } from "./read-store.ts";
import { isFull } from "./room.ts";
import type { Durability } from "./store.ts";
import { EMPTY_REPORT, type EntryReport, type StoreReport } from "./store-report.ts";

// The process that reads one store, which may end it at any moment: see read-store.ts.

/** How long it works between two looks at whether it is still wanted, in milliseconds. */
const WORK_MS = 50;
const PROGRESS_MS = 250;
/** The part of the work that the pages make, roughly. */
const PAGES_PART = 0.2;
/** How often the pages of a store are read that changes while they are read. */
const ATTEMPTS = 3;

// An interrupt of the terminal goes to this process too; it is the other's to say what follows.
process.on("SIGINT", () => {});
// The other one has died.
process.on("disconnect", () => process.exit());

class Reading {
  readonly #task: ReadingTask;
  report: StoreReport = EMPTY_REPORT;
  #entries: EntryReport[] = [];
  #pausedAt = performance.now();
  #toldAt = performance.now();

  constructor(task: ReadingTask) {
    this.#task = task;
  }

  async run(): Promise<void> {
    const { path, write } = this.#task;
    if (!(await this.#hasFile())) return;
    await this.#pages();
    // Who only looks goes on as far as it gets; a store that is to be used is known to be broken.
    if (this.report.problems.length > 0 && write !== undefined) return;
    await send({ kind: "found", report: this.report });
    await this.#records();
    if (write !== undefined && this.report.problems.length === 0) await this.#write(path, write);
  }

  async #hasFile(): Promise<boolean> {
    const { path, write } = this.#task;
    const isEmpty = hasDataFile(path) && statSync(dataFile(path)).size === 0;
    if (hasDataFile(path) && !isEmpty) {
      if (write !== undefined) prepareFolder(path);
      return true;
    }
    const why = isEmpty ? "the data file is empty" : "there is no data file";
    // A store that is lost is not broken; whoever opens it says so.
    if (write === undefined) this.#problem(why);
    else this.#remark(why);
    return false;
  }

  #remark(remark: string): void {
    this.report = { ...this.report, remarks: [...this.report.remarks, remark] };
  }

  #problem(...problems: readonly string[]): void {
    this.report = { ...this.report, problems: [...this.report.problems, ...problems] };
  }

  async #pages(): Promise<void> {
    const { path, depth, write } = this.#task;
    for (let attempt = 1; ; attempt++) {
      const walk = checkPages(path, depth === "all" ? "all" : "metas");
      let step = walk.next();
      for (; !step.done; step = walk.next()) await this.#breathe(step.value * PAGES_PART);
      const { transaction, problems } = step.value;
      const isStill = write !== undefined || transactionOf(path) === transaction;
      if (isStill || problems.length === 0) return this.#problem(...problems);
      if (attempt < ATTEMPTS) continue;
      this.#remark("its pages were not checked, since it was written to all the time; its records were");
      return;
    }
  }

  async #records(): Promise<void> {
    const { path, depth, entries, write } = this.#task;
    const records = await openForReading(path, write === undefined);
    try {
      const { journalProblem } = records;
      if (journalProblem !== undefined) this.#problem(journalProblem);
      const { problems, remarks } = this.report;
      const onEntry = (entry: EntryReport) => this.#entries.push(entry);
      const walk = inspectRecords(records, { depth, entries, onEntry });
      let step = walk.next();
      for (; !step.done; step = walk.next()) {
        this.report = merged(problems, remarks, step.value.report);
        await this.#breathe(PAGES_PART + (1 - PAGES_PART) * step.value.part);
      }
      this.report = merged(problems, remarks, step.value);
    } finally {
      await records.close();
    }
    await this.#sendEntries();
  }

  /**
   * A real write, of a record that stays as it is: it goes through the list of free pages and all the way to the disk. The
   * journal is left alone: this process may outlive the app for a moment, in which another has the store already.
   */
  async #write(path: string, durability: Durability): Promise<void> {
    const records = await openEnvironment({ path, durability, gate: noGate });
    try {
      const value = records.get("meta", "format");
      // In a store that is that new no page was ever freed.
      if (value !== undefined) records.commit([{ table: "meta", key: "format", value }]);
    } catch (error) {
      if (isCorrupt(error)) throw error;
      // A full disk, most likely. The store is sound, and whoever opens it will see for himself.
      this.#remark(`it could not be written to: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      await records.close().catch(() => {});
    }
  }

  /** Lets news in and out, now and then. */
  async #breathe(part: number): Promise<void> {
    const now = performance.now();
    if (this.#entries.length >= ENTRIES_AT_A_TIME) await this.#sendEntries();
    if (now - this.#toldAt >= PROGRESS_MS) {
      await send({ kind: "progress", part, report: this.report });
      this.#toldAt = now;
    } else if (now - this.#pausedAt < WORK_MS) return;
    await pause();
    this.#pausedAt = performance.now();
  }

  async #sendEntries(): Promise<void> {
    if (this.#entries.length > 0) await send({ kind: "entries", entries: this.#entries });
    this.#entries = [];
  }
}

const ENTRIES_AT_A_TIME = 1_000;

function merged(problems: readonly string[], remarks: readonly string[], report: StoreReport): StoreReport {
  return { ...report, problems: [...problems, ...report.problems], remarks: [...remarks, ...report.remarks] };
}

function transactionOf(path: string): number | undefined {
  const step = checkPages(path, "metas").next();
  return step.done ? step.value.transaction : undefined;
}

function isCorrupt(error: unknown): error is RaftError {
  return error instanceof RaftError && error.code === "ERR_STORAGE_CORRUPT";
}

function send(notice: ReadingNotice): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined) resolve();
    // An error means that nobody listens any more, and that is seen elsewhere.
    else process.send(notice, undefined, {}, () => resolve());
  });
}

const reading = new Reading(JSON.parse(process.argv[2] ?? "") as ReadingTask);
await send({ kind: "begun" });
try {
  await reading.run();
  await send({ kind: "done", report: reading.report });
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  if (isCorrupt(error)) {
    const { report } = reading;
    await send({ kind: "done", report: { ...report, problems: [...report.problems, message] } });
  } else await send({ kind: "failed", message, isFull: isFull(error) });
}
process.exit();
