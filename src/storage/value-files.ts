import { closeSync, fdatasyncSync, openSync, readdirSync, readFileSync, readSync, rmSync, writevSync } from "node:fs";
import { join } from "node:path";
import { corrupt } from "./codec.ts";
import type { Gate } from "./gate.ts";
import { BLOCK_BYTES, blockBehind } from "./journal-format.ts";
import type { ValuePosition } from "./layout.ts";
import { sync, syncNames } from "./lmdb-file.ts";
import type { Place } from "./places.ts";

/** How long a value file gets before the next one is begun; only a record that is longer makes a longer one. */
export const VALUE_FILE_BYTES = 4 << 20;
/** How many files that are not in use are kept, to be written over. What has its blocks already is written twice as fast. */
const MOST_FREE = 4;

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
 * The files with a store's long values, of which one is written to. A file in which nothing is in use any more is written
 * over from its beginning.
 */
export class ValueFiles {
  readonly #path: string;
  readonly #gate: Gate;
  /** Those in which nothing is in use, by the tables as they are on the disk. */
  #free: number[] = [];
  readonly #existing: Set<number>;
  #next: number;
  #position: ValuePosition;
  #descriptor: number | undefined;

  /** Begins with a new file. */
  constructor(path: string, gate: Gate) {
    this.#path = path;
    this.#gate = gate;
    this.#existing = new Set(gate.run(() => valueFilesIn(path)));
    this.#next = 1 + Math.max(0, ...this.#existing);
    this.#position = { file: this.#next++, at: 0 };
  }

  /** Where the next record goes. */
  get position(): ValuePosition {
    return this.#position;
  }

  /** Whether there is room in the file that is written to. */
  hasRoom(byteLength: number): boolean {
    const { at } = this.#position;
    return at === 0 || at + byteLength <= VALUE_FILE_BYTES;
  }

  /** Writes a record and its long values at the position. On return they are on the disk. */
  write(parts: readonly Uint8Array[]): void {
    const { file, at } = this.#position;
    const byteLength = parts.reduce((sum, part) => sum + part.byteLength, 0);
    const end = blockBehind(at + byteLength);
    // No later record shares a block with this one.
    const padding = BLOCK.subarray(0, end - at - byteLength);
    this.#gate.run(() => {
      this.#descriptor ??= this.#open(file);
      writeAll(this.#descriptor, [...parts, padding], at);
      fdatasyncSync(this.#descriptor);
    });
    this.#position = { file, at: end };
  }

  /** Waits until all that stands in the file of that number, if there is one, is on the disk. */
  sync(number: number): void {
    if (this.#existing.has(number)) this.#gate.run(() => sync(valueFile(this.#path, number)));
  }

  /** @throws RaftError `ERR_STORAGE_CORRUPT` when it is not there. */
  read(place: Place): Uint8Array {
    return this.#gate.run(() => readPlace(this.#path, place));
  }

  /**
   * Leaves the file that is written to for another one.
   * @param isRead whether somebody may still read what was in use before the last commit to the tables.
   */
  advance(isRead: () => boolean): void {
    this.close();
    const free = this.#free.length === 0 || isRead() ? undefined : this.#free.shift();
    this.#position = { file: free ?? this.#next++, at: 0 };
  }

  /**
   * Told after a commit to the tables which files they use: others may be written over from now on, or removed.
   * @param isRead as above: then none is removed either.
   */
  settle(used: ReadonlySet<number>, isRead: () => boolean): void {
    const { file } = this.#position;
    this.#free = [...this.#existing].filter((number) => number !== file && !used.has(number));
    if (this.#free.length <= MOST_FREE || isRead()) return;
    this.#remove(this.#free.splice(MOST_FREE));
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
