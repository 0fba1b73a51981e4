import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** The code of an error of the file system, such as ENOENT. */
export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

/** Writes a file that must not be there yet; on return its content is on disk, its name need not be. */
export function createSynced(file: string, text: string): void {
  const descriptor = openSync(file, "wx");
  try {
    writeFileSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Replaces a file in one step: after a power loss the old content is there or the new, and on return it is the new.
 * For one writer at a time.
 */
export function replaceSynced(file: string, text: string): void {
  const aside = join(dirname(file), `.${basename(file)}.new`);
  // Left by one who died here.
  rmSync(aside, { force: true });
  createSynced(aside, text);
  renameSync(aside, file);
  syncDirectory(dirname(file));
}

/** Makes the names in a directory durable, where the system can. */
function syncDirectory(directory: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(directory, "r");
  } catch (error) {
    // Windows opens no directories, and an ancestor of ours need not be readable.
    if (["EISDIR", "EPERM", "EACCES"].includes(codeOf(error) ?? "")) return;
    throw error;
  }
  try {
    fsyncSync(descriptor);
  } catch (error) {
    if (!["EINVAL", "EPERM"].includes(codeOf(error) ?? "")) throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Makes a directory and those above it that are missing; on return they are on disk, names and all. */
export function makeDirectorySynced(directory: string): void {
  const first = mkdirSync(directory, { recursive: true });
  if (first === undefined) return;
  const last = dirname(first);
  for (let at = directory; at !== last; at = dirname(at)) syncDirectory(at);
  syncDirectory(last);
}

/** Makes all names below a directory durable. Opens no file. */
export function syncNames(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) syncNames(join(directory, entry.name));
  }
  syncDirectory(directory);
}

/**
 * Makes all files below a directory durable. Nothing in this process may have them open: to close a file anywhere
 * gives up the locks that LMDB holds on it.
 */
export async function syncContent(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await syncContent(path);
    else if (entry.isFile()) await syncFile(path);
  }
  syncDirectory(directory);
}

async function syncFile(file: string): Promise<void> {
  const handle = await open(file, "r+");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
