import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { Packr } from "msgpackr/pack";
import { Unpackr } from "msgpackr/unpack";
import { RaftError } from "../raft/errors.ts";
import type { RaftRecord, RecordedStep, RecordSink, RecordStart } from "./record.ts";

/** How large the record of one life may grow; what comes after is left out, and the record says so. */
const MAX_RECORD_BYTES = 1 << 28;

/** What is gathered of a turn before it is written, whether or not anybody is about to see what came of it. */
const BUFFER_BYTES = 1 << 16;

const LENGTH_BYTES = 4;

/** What stands at the end of a record that had grown too large. */
const CUT = "cut";

/** The names of properties stand in the file once, where they come first; frames can be read in their order only. */
const FORMAT = { sequential: true, useRecords: true, useToJSON: false } as const;

/**
 * A file with the record of one life: frames, each a length of 4 bytes, little-endian, and as many bytes of MessagePack.
 * The first is the start, each other a step. It is written without waiting for the disk, so it outlives the thread and
 * the process but not the machine, and its last frame may be in part.
 */
export class RecordFile implements RecordSink {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #maxBytes: number;
  readonly #packr = new Packr({ ...FORMAT });
  #buffer = new Uint8Array(2 * BUFFER_BYTES);
  #filled = 0;
  #bytes = 0;
  #isCut = false;

  /**
   * @param path of a file that must not be there yet, in a folder that is made if need be.
   * @throws RaftError `ERR_STORAGE_FAILED` when it is, or cannot be made; all other calls throw it when the disk refuses.
   */
  constructor(path: string, maxBytes = MAX_RECORD_BYTES) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#descriptor = this.#orFailed(() => {
      mkdirSync(dirname(path), { recursive: true });
      return openSync(path, "wx");
    });
  }

  start(start: RecordStart): void {
    this.#add(start);
  }

  step(step: RecordedStep): void {
    this.#add(step);
  }

  flush(): void {
    if (this.#filled === 0) return;
    this.#orFailed(() => {
      for (let at = 0; at < this.#filled; ) at += writeSync(this.#descriptor, this.#buffer, at, this.#filled - at);
    });
    this.#filled = 0;
  }

  close(): void {
    this.flush();
    closeSync(this.#descriptor);
  }

  #add(frame: RecordStart | RecordedStep): void {
    if (this.#isCut) return;
    const bytes = this.#packr.pack(frame);
    this.#bytes += LENGTH_BYTES + bytes.byteLength;
    this.#isCut = this.#bytes > this.#maxBytes;
    this.#append(this.#isCut ? this.#packr.pack(CUT) : bytes);
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#filled + LENGTH_BYTES + bytes.byteLength;
    if (needed > this.#buffer.byteLength) {
      const larger = new Uint8Array(2 * needed);
      larger.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = larger;
    }
    new DataView(this.#buffer.buffer).setUint32(this.#filled, bytes.byteLength, true);
    this.#buffer.set(bytes, this.#filled + LENGTH_BYTES);
    this.#filled = needed;
    if (this.#filled >= BUFFER_BYTES) this.flush();
  }

  #orFailed<Value>(work: () => Value): Value {
    try {
      return work();
    } catch (cause) {
      throw new RaftError("ERR_STORAGE_FAILED", `the record ${this.#path} cannot be written: ${String(cause)}`, {
        cause,
        outcome: "unknown",
      });
    }
  }
}

/** What the files of records are called: the peer and its incarnation come before. */
export const RECORD_SUFFIX = ".record";

/** Where the record of a life lies in a folder of records. */
export function recordPath(folder: string, peer: string, incarnation: number): string {
  return join(folder, `${peer}.${incarnation}${RECORD_SUFFIX}`);
}

/**
 * Reads what a {@link RecordFile} has written. A life that ended while it wrote may leave its last frame in part; nobody
 * has seen what came of that step.
 * @returns undefined when not even its start is whole.
 * @throws RaftError `ERR_STORAGE_CORRUPT` when it is no record.
 */
export function readRecord(path: string): RaftRecord | undefined {
  // Not a Buffer: those who compare what was read take them for something else than a Uint8Array.
  const bytes = new Uint8Array(readFileSync(path));
  const view = new DataView(bytes.buffer);
  const unpackr = new Unpackr({ ...FORMAT });
  const frames: unknown[] = [];
  for (let at = 0; at + LENGTH_BYTES <= bytes.byteLength; ) {
    const end = at + LENGTH_BYTES + view.getUint32(at, true);
    if (end > bytes.byteLength) break;
    try {
      frames.push(unpackr.unpack(bytes.subarray(at + LENGTH_BYTES, end)));
    } catch (cause) {
      throw notARecord(path, `its frame ${frames.length} cannot be decoded`, cause);
    }
    at = end;
  }
  const isCut = frames.at(-1) === CUT;
  if (isCut) frames.pop();
  const [start, ...steps] = frames;
  if (start === undefined) return undefined;
  if ((start as Partial<RecordStart>).format !== 1) throw notARecord(path, "it does not begin as one of format 1");
  return { start: start as RecordStart, steps: steps as RecordedStep[], isCut };
}

function notARecord(path: string, why: string, cause?: unknown): RaftError {
  return new RaftError("ERR_STORAGE_CORRUPT", `${path} is no record of a peer: ${why}`, { cause });
}
