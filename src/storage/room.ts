import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What a system says when it has no room left: on the disk, or for this user. */
const FULL = new Set<unknown>(["ENOSPC", "EDQUOT"]);

/** Whether `error` is the file system's, and says that there is no room. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && FULL.has(error.code);
}

/**
 * What must be free before a store is opened. A new store takes less, and so do most saves: a peer that was short of
 * room comes back when there is enough to go on for a while.
 */
const ROOM_BYTES = 1 << 20;

/**
 * Finds out whether the disk under the folder `path` has room, by taking some and giving it back: what a system
 * reports as free need not be free for this user.
 * @throws what the file system throws when it has none, or refuses to write at all.
 */
export function claimRoom(path: string): void {
  const probe = join(path, "probe");
  writeWhole(probe, ROOM_BYTES);
  rmSync(probe);
}

/** Writes a file of zeros, or none. */
export function writeWhole(file: string, byteLength: number): void {
  try {
    writeFileSync(file, new Uint8Array(byteLength));
  } catch (error) {
    rmSync(file, { force: true });
    throw error;
  }
}

/** The error of a disk that has no room for another {@link claimRoom}, if it has none. */
export function noRoom(path: string): unknown {
  try {
    claimRoom(path);
    return undefined;
  } catch (error) {
    return isFull(error) ? error : undefined;
  }
}
