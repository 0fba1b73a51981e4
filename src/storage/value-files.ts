import { closeSync, fdatasyncSync, openSync, readdirSync, readFileSync, readSync, rmSync, writevSync } from "node:fs";
import { join } from "node:path";
import { invariant } from "../raft/errors.ts";
import { corrupt } from "./codec.ts";
import type { Gate } from "./gate.ts";
import { BLOCK_BYTES, blockBehind } from "./journal-format.ts";
import type { ValueRow } from "./layout.ts";
import { sync, syncNames } from "./lmdb-file.ts";
import type { Place } from "./places.ts";

/** How long a value file gets before the next one is begun; only a record that is longer makes a longer one. */
export const VALUE_FILE_BYTES = 4 << 20;
/**
 * So many are written to before the tables are told what stands in them: that takes a transaction, which waits for the disk
 * twice, but whoever opens the store after a crash reads all of them.
 */
export const ROW_FILES = 16;

const NAME = /^values\.(\d+)$/;
const BLOCK = new Uint8Array(BLOCK_BYTES);

/** The value file of that number in the store's folder `path`. */
export function valueFile(path: string, number: number): string {
  return join(path, `values.${number}`);
}

/** The numbers of the value files in the folder, ascending. */
export function valueFilesIn(path: string): number[] {
  const names = readdirSync(path).map((name) => NAME.exec(name)?.[1]);
  return names
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

/** All of a value file; nothing when it is not there: it is made when it is needed. */
export function valueFileBytes(path: string, number: number): Uint8Array {
  try {
    return readFileSync(valueFile(path, number));
  } catch (error) {
    if (isMissing(error)) return new Uint8Array();
    throw error;
  }
}

/** @throws RaftError `ERR_STORAGE_CORRUPT` when the file is not there or is too short. */
export function readPlace(path: string, { file, at, byteLength }: Place): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  let descriptor: number;
  try {
    descriptor = openSync(valueFile(path, file), "r");
  } catch (error) {
    throw isMissing(error) ? corrupt(`the value file ${valueFile(path, file)} is missing`, error) : error;
  }
  try {
    for (let read = 0; read < byteLength; ) {
      const more = readSync(descriptor, bytes, read, byteLength - read, at + read);
      if (more === 0) throw corrupt(`the value file ${valueFile(path, file)} was cut off`);
      read += more;
    }
    return bytes;
  } finally {
    closeSync(descriptor);
  }
}

/**
 * The files with a store's long values. Some are a row that is written to, one behind the other. A file in which nothing is in
 * use any more is written over from its beginning when it is chosen for the next row.
 */
export class ValueFiles {
  readonly #path: string;
  readonly #gate: Gate;
  readonly #existing: Set<number>;
  /** What is left of the row; the first is written to. */
  #row: readonly number[] = [];
  /** Where the next record goes in that. */
  #at = 0;
  #descriptor: number | undefined;

  constructor(path: string, gate: Gate) {
    this.#path = path;
    this.#gate = gate;
    this.#existing = new Set(gate.run(() => valueFilesIn(path)));
  }

  /**
   * Chooses the row that is written to from the next commit to the tables on, which has to name it. A file that is not full
   * remains the first.
   * @param used those in which something is in use by what that commit writes.
   * @param isRead whether somebody may still read what was in use before.
   */
  choose(used: ReadonlySet<number>, isRead: () => boolean): ValueRow {
    const current = this.#row.slice(0, 1);
    const free = isRead() ? [] : this.#unused(used, current);
    const files = [...current, ...free].slice(0, ROW_FILES);
    const highest = Math.max(0, ...this.#existing, ...current);
    for (let number = highest + 1; files.length < ROW_FILES; number++) files.push(number);
    this.#row = files;
    return { files, at: this.#at };
  }

  /**
   * After that commit: of the files that are neither in use nor in the row, some are removed.
   * @param most by default one. A log grows until it is compacted, and needs the files again that this gives back: what has its
   * blocks already is written twice as fast.
   */
  removeUnused(used: ReadonlySet<number>, isRead: () => boolean, most = 1): void {
    const unused = this.#unused(used, this.#row).slice(0, most);
    if (unused.length > 0 && !isRead()) this.#remove(unused);
  }

  #unused(used: ReadonlySet<number>, row: readonly number[]): number[] {
    return [...this.#existing].filter((number) => !used.has(number) && !row.includes(number));
  }

  /**
   * Goes on to where there is room for so many bytes.
   * @param isRead as above: who began to read before the last commit to the tables may need what is to be written over.
   * @returns false when there is none, and another row is to be chosen.
   */
  findRoom(byteLength: number, isRead: () => boolean): boolean {
    if (this.#at > 0 && this.#at + byteLength > VALUE_FILE_BYTES) {
      this.close();
      this.#row = this.#row.slice(1);
      this.#at = 0;
    }
    const [file] = this.#row;
    if (file !== undefined && this.#at === 0 && this.#existing.has(file) && isRead()) this.#row = [];
    return this.#row.length > 0;
  }

  /**
   * Writes a record and its long values where there is room for them. On return they are on the disk.
   * @returns where the record begins.
   */
  write(parts: readonly Uint8Array[]): { readonly file: number; readonly at: number } {
    const at = this.#at;
    const [file] = this.#row;
    invariant(file !== undefined, () => "no value file was chosen");
    const byteLength = parts.reduce((sum, part) => sum + part.byteLength, 0);
    const end = blockBehind(at + byteLength);
    // No later record shares a block with this one.
    const padding = BLOCK.subarray(0, end - at - byteLength);
    this.#gate.run(() => {
      this.#descriptor ??= this.#open(file);
      writeAll(this.#descriptor, [...parts, padding], at);
      fdatasyncSync(this.#descriptor);
    });
    this.#at = end;
    return { file, at };
  }

  /** Waits until all that stands in the file of that number, if there is one, is on the disk. */
  sync(number: number): void {
    if (this.#existing.has(number)) this.#gate.run(() => sync(valueFile(this.#path, number)));
  }

  /** @throws RaftError `ERR_STORAGE_CORRUPT` when it is not there. */
  read(place: Place): Uint8Array {
    return this.#gate.run(() => readPlace(this.#path, place));
  }

  /** Removes all files; in none is anything in use. @param isRead as above. */
  clear(isRead: () => boolean): void {
    if (this.#existing.size > 0 && !isRead()) this.#remove([...this.#existing]);
  }

  close(): void {
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    if (descriptor !== undefined) this.#gate.run(() => closeSync(descriptor));
  }

  #remove(numbers: readonly number[]): void {
    for (const number of numbers) {
      this.#gate.run(() => rmSync(valueFile(this.#path, number), { force: true }));
      this.#existing.delete(number);
    }
  }

  #open(number: number): number {
    const file = valueFile(this.#path, number);
    try {
      return openSync(file, "r+");
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    const descriptor = openSync(file, "w+");
    this.#existing.add(number);
    syncNames(this.#path);
    return descriptor;
  }
}

function writeAll(descriptor: number, parts: readonly Uint8Array[], position: number): void {
  let left = parts.filter((part) => part.byteLength > 0);
  for (let at = position; left.length > 0; ) {
    let written = writevSync(descriptor, left, at);
    at += written;
    left = left.flatMap((part) => {
      const done = Math.min(written, part.byteLength);
      written -= done;
      return done === part.byteLength ? [] : [part.subarray(done)];
    });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
