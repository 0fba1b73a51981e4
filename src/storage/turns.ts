import { randomInt } from "node:crypto";
import { closeSync, existsSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { RaftError } from "../raft/errors.ts";
import { writeWhole } from "./room.ts";

/*
 * Whoever opens an environment of LMDB writes into its lock file which transaction was the last, as it read it from the
 * other file a moment before (`mdb_env_open2`). A transaction that another process commits in between is forgotten there: the
 * next one takes the same number, writes to pages that are in use, and breaks the store or ends its process. So those
 * who open a store that is in use and the one who writes to it take turns. A file of float64 tells them of each other: first
 * the id of the process that commits, or 0; then places in which those who open say until when they need at most.
 */

/** Longer than it takes to open a store; who dies at it keeps others waiting no longer than that. */
const TURN_MS = 2_000;
/** Longer than a commit takes, on a disk that is very busy. */
const PATIENCE_MS = 30_000;
const POLL_MS = 1;
const PLACE_BYTES = 8;
const PLACES = 511;
const FILE_BYTES = (1 + PLACES) * PLACE_BYTES;

/** The file in the store's folder `path`. */
export function turnsFile(path: string): string {
  return join(path, "turns");
}

/** For the one who writes to a store. */
export class WriterTurns {
  readonly #descriptor: number;

  /** @throws what the file system throws. */
  constructor(path: string) {
    const file = turnsFile(path);
    if (!existsSync(file)) writeWhole(file, FILE_BYTES);
    this.#descriptor = openSync(file, "r+");
  }

  /** Calls `commit` while nobody opens the store. */
  run<T>(commit: () => T): T {
    try {
      tell(this.#descriptor, 0, process.pid);
      while (isOpening(this.#descriptor)) {
        // Both have said that they want to: this one steps back.
        tell(this.#descriptor, 0, 0);
        pause();
        tell(this.#descriptor, 0, process.pid);
      }
      return commit();
    } finally {
      tell(this.#descriptor, 0, 0);
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/**
 * Calls `open`, which opens the store in the folder `path`, while nobody commits to it.
 * @throws RaftError `ERR_STORAGE_FAILED` when a commit does not come to its end; what `open` and the file system throw.
 */
export function whileNobodyCommits<T>(path: string, open: () => T): T {
  // Without the file nobody has opened it to write.
  if (!existsSync(turnsFile(path))) return open();
  const descriptor = openSync(turnsFile(path), "r+");
  const place = freePlace(descriptor);
  try {
    const patience = Date.now() + PATIENCE_MS;
    tell(descriptor, place, Date.now() + TURN_MS);
    for (let pid = committer(descriptor); pid !== 0; pid = committer(descriptor)) {
      if (Date.now() > patience) {
        throw new RaftError("ERR_STORAGE_FAILED", `process ${pid} has been committing to it for ${PATIENCE_MS} ms`);
      }
      pause();
      // From the moment on at which nobody commits there is a whole turn.
      tell(descriptor, place, Date.now() + TURN_MS);
    }
    return open();
  } finally {
    tell(descriptor, place, 0);
    closeSync(descriptor);
  }
}

function tell(descriptor: number, place: number, value: number): void {
  writeSync(descriptor, Float64Array.of(value), 0, PLACE_BYTES, place * PLACE_BYTES);
}

function places(descriptor: number): Float64Array {
  const all = new Float64Array(1 + PLACES);
  readSync(descriptor, all, 0, FILE_BYTES, 0);
  return all;
}

/** Whether a place is taken; what it says may be left of one who has died, at a time when the clock was another. */
function isTaken(until: number | undefined): boolean {
  if (until === undefined || until === 0) return false;
  const now = Date.now();
  return until > now && until <= now + TURN_MS;
}

function isOpening(descriptor: number): boolean {
  return places(descriptor).subarray(1).some(isTaken);
}

function freePlace(descriptor: number): number {
  const all = places(descriptor);
  let place = 1 + randomInt(PLACES);
  while (isTaken(all[place])) place = 1 + randomInt(PLACES);
  return place;
}

/** The process that commits, if it lives: one that was killed may have left it at that. */
function committer(descriptor: number): number {
  const pid = places(descriptor)[0] ?? 0;
  if (pid === 0) return 0;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM" ? pid : 0;
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
}
