import { closeSync, existsSync, fdatasyncSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { sync, syncNames } from "./lmdb-file.ts";
import { writeWhole } from "./room.ts";

/** How long a journal is; a store keeps as much in memory. */
export const JOURNAL_BYTES = 1 << 20;

/** The journal of the store in the folder `path`. */
export function journalFile(path: string): string {
  return join(path, "journal");
}

/** All of a journal; undefined when there is none of the right length. */
export function journalBytes(path: string): Uint8Array | undefined {
  const file = journalFile(path);
  if (!isWhole(file)) return undefined;
  const bytes = readFileSync(file);
  return bytes.byteLength === JOURNAL_BYTES ? bytes : undefined;
}

/** A file whose blocks are all there from the beginning, so that a write changes nothing but what is in them. */
export class JournalFile {
  readonly #descriptor: number;

  /**
   * Makes the file if there is none of the right length.
   * @throws what the file system throws; then what was there may be gone.
   */
  constructor(path: string) {
    const file = journalFile(path);
    if (!isWhole(file)) writeWhole(file, JOURNAL_BYTES);
    // Also when it was there: whoever made it may have died before it had done so.
    sync(file);
    syncNames(path);
    this.#descriptor = openSync(file, "r+");
  }

  /** Writes the bytes from `from` to `to` of `journal` in their place. On return they are on the disk. */
  write(journal: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to; ) at += writeSync(this.#descriptor, journal, at, to - at, at);
    fdatasyncSync(this.#descriptor);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

function isWhole(file: string): boolean {
  return existsSync(file) && statSync(file).size === JOURNAL_BYTES;
}
