import { closeSync, existsSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { writeWhole } from "./room.ts";

/*
 * Whoever opens an environment of LMDB writes into its lock file which transaction was the last, as it read it from the
 * other file a moment before (`mdb_env_open2`). A transaction that another process commits in between is forgotten there: the
 * next one takes the same number, writes to pages that are in use, and breaks the store or ends its process. So those
 * who open a store that is in use and the one who writes to it take turns. A file tells them of each other: its first byte is
 * 1 while a transaction is committed; behind it are places in which those who open say until when they need at most.
 */

/** Longer than it takes to open a store; who dies at it keeps others waiting no longer than that. */
const TURN_MS = 2_000;
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
  readonly #bytes = new Uint8Array(FILE_BYTES);
  readonly #places = new Float64Array(this.#bytes.buffer);

  /** @throws what the file system throws. */
  constructor(path: string) {
    const file = turnsFile(path);
    if (!existsSync(file)) writeWhole(file, FILE_BYTES);
    this.#descriptor = openSync(file, "r+");
    // One who died may have left it at that.
    this.#tell(0);
  }

  /** Calls `commit` while nobody opens the store. */
  run<T>(commit: () => T): T {
    this.#tell(1);
    while (this.#isOpening()) {
      // Both have said that they want to: this one steps back.
      this.#tell(0);
      pause();
      this.#tell(1);
    }
    try {
      return commit();
    } finally {
      this.#tell(0);
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #tell(committing: 0 | 1): void {
    writeSync(this.#descriptor, Uint8Array.of(committing), 0, 1, 0);
  }

  #isOpening(): boolean {
    readSync(this.#descriptor, this.#bytes, 0, FILE_BYTES, 0);
    for (let place = 1; place <= PLACES; place++) {
      const until = this.#places[place];
      if (until !== 0 && until !== undefined && until > Date.now()) return true;
    }
    return false;
  }
}

/** Calls `open`, which opens the store in the folder `path`, while nobody commits to it. */
export function whileNobodyCommits<T>(path: string, open: () => T): T {
  // Without the file nobody has written to it.
  if (!existsSync(turnsFile(path))) return open();
  const descriptor = openSync(turnsFile(path), "r+");
  const place = (1 + (process.pid % PLACES)) * PLACE_BYTES;
  const tell = (until: number) => writeSync(descriptor, Float64Array.of(until), 0, PLACE_BYTES, place);
  try {
    const until = Date.now() + TURN_MS;
    tell(until);
    // Whoever died while it committed has left a 1 there.
    while (isCommitting(descriptor) && Date.now() < until) pause();
    // From now on nobody begins, for as long as that takes.
    tell(Date.now() + TURN_MS);
    return open();
  } finally {
    tell(0);
    closeSync(descriptor);
  }
}

function isCommitting(descriptor: number): boolean {
  const byte = new Uint8Array(1);
  readSync(descriptor, byte, 0, 1, 0);
  return byte[0] === 1;
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
}
