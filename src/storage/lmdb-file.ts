import { accessSync, closeSync, constants, existsSync, fsyncSync, mkdirSync, openSync, readSync } from "node:fs";
import { dirname, join } from "node:path";
import { corrupt } from "./codec.ts";
import { claimRoom, writeWhole } from "./room.ts";

/** The file that LMDB keeps in the folder `path`. */
export function dataFile(path: string): string {
  return join(path, "data.mdb");
}

/** The file beside it by which its users, of all processes, know of each other. */
export function lockFile(path: string): string {
  return join(path, "lock.mdb");
}

/** Whether there is something to open. */
export function hasDataFile(path: string): boolean {
  return existsSync(dataFile(path));
}

/**
 * Makes the folder if need be, and sees to it that LMDB will be able to open what is there. When it is not, lmdb can
 * take the whole process down, so nothing that can be known before is left to it.
 * @throws RaftError `ERR_STORAGE_CORRUPT` when there is a file of another kind, or one that was cut off; what the file
 * system throws when it gives no access or has no room.
 */
export function prepareFolder(path: string): void {
  mkdirSync(path, { recursive: true });
  accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  claimRoom(path);
  if (!existsSync(lockFile(path))) writeWhole(lockFile(path), LOCK_BYTES);
  if (!hasDataFile(path)) return;
  const descriptor = openSync(dataFile(path), "r+");
  try {
    checkMetaPages(descriptor, dataFile(path));
  } finally {
    closeSync(descriptor);
  }
}

/** LMDB maps its lock file into memory; a mapped file for which the disk has no room ends the process when it is used. */
const LOCK_BYTES = 16_384;

/** LMDB syncs its file, but not the names that lead to it. */
export function syncFolders(path: string): void {
  syncNames(path);
  syncNames(dirname(path));
}

/** Waits until the names in a folder are on the disk. */
export function syncNames(folder: string): void {
  // Windows keeps names safe by itself and opens no folders.
  if (process.platform !== "win32") sync(folder);
}

/** Waits until all that was written to a file is on the disk. */
export function sync(path: string): void {
  const descriptor = openSync(path, process.platform === "win32" ? "r+" : "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/*
 * An LMDB file begins with two meta pages, in the byte order of the machine. Behind a page's header of 24 bytes stands
 * the magic number, and 24 bytes further the size of a page.
 */
const MAGIC = 0xbeefc0de;
const MAGIC_AT = 24;
const PAGE_SIZE_AT = 48;
const META_BYTES = 160;

function checkMetaPages(descriptor: number, file: string): void {
  const words = new Uint32Array(META_BYTES / 4);
  let length = readSync(descriptor, words, 0, META_BYTES, 0);
  // An empty file is filled by LMDB as a new one is.
  if (length === 0) return;
  for (const meta of [0, 1]) {
    if (meta === 1) length = readSync(descriptor, words, 0, META_BYTES, words[PAGE_SIZE_AT / 4] ?? 0);
    if (length < META_BYTES || words[MAGIC_AT / 4] !== MAGIC) {
      throw corrupt(`${file} is not a database of LMDB, or it was cut off`);
    }
  }
}
