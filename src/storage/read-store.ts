import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { RaftError } from "../raft/errors.ts";
import type { Durability } from "./store.ts";
import { EMPTY_REPORT, type EntryReport, type ReadingDepth, type StoreReport } from "./store-report.ts";

/** What the process that reads a store is asked. */
export interface ReadingTask {
  /** The store's folder. */
  readonly path: string;
  readonly depth: ReadingDepth;
  /**
   * With it the store is read as one that nobody has open, and if it is sound, a record is written once more, as
   * durably as this. Without it nothing is written.
   */
  readonly write?: Durability | undefined;
  /** Entries of the log that are asked for, from the first to the last index; only with the depth `all`. */
  readonly entries?: readonly [from: number, to: number] | undefined;
}

/** What that process tells. */
export type ReadingNotice =
  /** It is about to touch the store: what happens to it from now on is the store's doing. */
  | { readonly kind: "begun" }
  /** What it has found so far: it goes where it may die. */
  | { readonly kind: "found"; readonly report: StoreReport }
  /** The same, and how far it has come. */
  | { readonly kind: "progress"; readonly part: number; readonly report: StoreReport }
  | { readonly kind: "entries"; readonly entries: readonly EntryReport[] }
  | { readonly kind: "done"; readonly report: StoreReport }
  /** The system does not let it read; this says nothing about what is in the store. */
  | { readonly kind: "failed"; readonly message: string; readonly isFull: boolean };

export interface ReadingOptions {
  /** Ends the process. */
  readonly signal?: AbortSignal | undefined;
  /** Called a few times a second, and with none for what takes less, with the part that is done, 0 to 1. */
  readonly onProgress?: ((part: number) => void) | undefined;
  /** Takes the entries that were asked for, in their order. */
  readonly onEntries?: ((entries: readonly EntryReport[]) => void) | undefined;
}

/** How a process ends that followed a broken page. Other signals are sent by somebody. */
const CRASHES: ReadonlySet<string> = new Set(["SIGBUS", "SIGSEGV", "SIGABRT", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS"]);

/**
 * Reads a store in a process of its own, since a broken page can end the process that follows it. The store may be in
 * use by others if the task asks for no write.
 * @returns what was found; when the process died of it, what it had found by then, and a problem that says so.
 * @throws RaftError `ERR_STORAGE_FAILED` when the store cannot be read for reasons that say nothing about it: the
 * process cannot be started or was killed by somebody, the files cannot be opened; `ERR_STORAGE_FULL` when a write was
 * asked for and there is no room; `ERR_ABORTED` with the signal.
 */
export async function readStore(task: ReadingTask, options: ReadingOptions = {}): Promise<StoreReport> {
  const { signal } = options;
  if (signal?.aborted) throw aborted(task);
  const child = start(task);
  const kill = () => child.kill("SIGKILL");
  signal?.addEventListener("abort", kill, { once: true });
  try {
    return await outcome(child, task, options);
  } finally {
    signal?.removeEventListener("abort", kill);
  }
}

const isSource = import.meta.url.endsWith(".ts");

/** Starts the module beside this one: the `.js` in the built package, the `.ts` under tsx and vitest. */
function start(task: ReadingTask): ChildProcess {
  const module = fileURLToPath(new URL(`./reading-process.${isSource ? "ts" : "js"}`, import.meta.url));
  const isPlain = !isSource || (process.features as { typescript?: string | false }).typescript;
  try {
    return fork(module, [JSON.stringify(task)], {
      // Nothing of what this process was started with: not its loaders, and not its debugger's port.
      execArgv: isPlain ? [] : ["--import", import.meta.resolve("tsx")],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
  } catch (cause) {
    throw failed(task, `the process that reads it cannot be started: ${(cause as Error).message}`, cause);
  }
}

function outcome(child: ChildProcess, task: ReadingTask, options: ReadingOptions): Promise<StoreReport> {
  const { signal, onProgress, onEntries } = options;
  return new Promise((resolve, reject) => {
    let begun = false;
    let report = EMPTY_REPORT;
    let end: (() => void) | undefined;
    let stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-STDERR_LENGTH);
    });
    child.on("message", (notice: ReadingNotice) => {
      switch (notice.kind) {
        case "begun":
          begun = true;
          break;
        case "found":
          report = notice.report;
          break;
        case "progress":
          report = notice.report;
          onProgress?.(notice.part);
          break;
        case "entries":
          onEntries?.(notice.entries);
          break;
        case "done":
          end = () => resolve(notice.report);
          break;
        case "failed":
          end = () => reject(notice.isFull ? full(task, notice.message) : failed(task, notice.message));
          break;
        default:
          notice satisfies never;
      }
    });
    // Comes in place of the end when it could not be started at all.
    child.on("error", (cause) => {
      if (child.pid === undefined)
        reject(failed(task, `the process that reads it cannot be started: ${cause.message}`, cause));
    });
    child.on("close", (code, killedBy) => {
      const how = killedBy ?? `exit code ${code}`;
      if (signal?.aborted) reject(aborted(task));
      else if (end !== undefined) end();
      else if (begun && (killedBy === null || CRASHES.has(killedBy))) {
        const problem = `reading the store killed the process that did it (${how})`;
        resolve({ ...report, problems: [...report.problems, problem] });
      } else reject(failed(task, `the process that reads it was ended (${how}) ${lastLine(stderr)}`));
    });
  });
}

const STDERR_LENGTH = 4_096;

/** Of what Node says of an uncaught error, the line with the message. */
function lastLine(stderr: string): string {
  return /^\w*Error.*$/m.exec(stderr)?.[0] ?? "";
}

function failed({ path }: ReadingTask, why: string, cause?: unknown): RaftError {
  const info = cause === undefined ? {} : { cause };
  return new RaftError("ERR_STORAGE_FAILED", `the store at ${path} cannot be read: ${why}`, info);
}

function full({ path }: ReadingTask, why: string): RaftError {
  return new RaftError("ERR_STORAGE_FULL", `the store at ${path} is not opened while its disk is full: ${why}`);
}

function aborted({ path }: ReadingTask): RaftError {
  return new RaftError("ERR_ABORTED", `the reading of the store at ${path} was ended`);
}
