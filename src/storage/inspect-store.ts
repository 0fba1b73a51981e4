import { accessSync, constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copyFiles } from "./copy-store.ts";
import { hasDataFile, lockFile } from "./lmdb-file.ts";
import { type ReadingOptions, readStore } from "./read-store.ts";
import type { StoreReport } from "./store-report.ts";

/** What is wanted of a store besides the report on it. */
export interface StoreInspection extends Pick<ReadingOptions, "signal" | "onProgress" | "onEntries"> {
  /** Entries of the log to hand to `onEntries`, from the first to the last index. */
  readonly entries?: readonly [from: number, to: number] | undefined;
}

/**
 * Reads all of a store, in a process of its own, and changes nothing that is stored. The store may be in use by others, here
 * or in another process, or be broken: then it is read as far as that goes.
 * @param path the store's folder.
 * @throws RaftError `ERR_STORAGE_FAILED` when its files cannot be read; `ERR_ABORTED` with the signal.
 */
export async function inspectStore(path: string, { entries, ...options }: StoreInspection = {}): Promise<StoreReport> {
  const task = { path, depth: "all", entries } as const;
  if (!hasDataFile(path) || canLock(path)) return readStore(task, options);
  // LMDB would make a lock file, or fail to. Without one nobody has the store open, so a copy will do.
  const copy = await mkdtemp(join(tmpdir(), "flotilla-inspect-"));
  try {
    await copyFiles(path, copy);
    return await readStore({ ...task, path: copy }, options);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** Whether a folder has what a store consists of. */
export function isStore(path: string): boolean {
  return hasDataFile(path);
}

/** Whether the lock file that LMDB needs is there, for this user too. */
function canLock(path: string): boolean {
  try {
    accessSync(lockFile(path), constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
