import { getUint32, setUint32 } from "../raft/bytes.ts";

/** Chunks grow to about this size: large enough to be few, small enough for one to be made within a millisecond. */
const CHUNK_BYTES = 64 << 10;
/** The first has this much room at first: most states are either far smaller than a chunk, or many chunks. */
const FIRST_BYTES = 512;
const LENGTH_BYTES = 4;

/**
 * Packs records into chunks of about 64 KiB, each record behind its length (u32, little-endian). A record is pulled
 * only when the chunk it goes into is, and is copied before the next one is pulled.
 */
export function* joinRecords(records: Iterable<Uint8Array>): Generator<Uint8Array> {
  let chunk = new Uint8Array(0);
  let filled = 0;
  let room = FIRST_BYTES;
  for (const record of records) {
    const end = filled + LENGTH_BYTES + record.byteLength;
    if (end > chunk.byteLength) {
      const before = chunk.subarray(0, filled);
      // Only a record that is longer than a chunk makes it larger than that.
      chunk = new Uint8Array(Math.max(end, room + LENGTH_BYTES + record.byteLength));
      chunk.set(before);
      room = Math.min(8 * room, CHUNK_BYTES);
    }
    setUint32(chunk, filled, record.byteLength);
    chunk.set(record, filled + LENGTH_BYTES);
    filled = end;
    if (filled < CHUNK_BYTES) continue;
    yield chunk.subarray(0, filled);
    chunk = new Uint8Array(0);
    filled = 0;
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}

/** Where a record lies. */
export interface RecordPlace {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/**
 * The records of `joinRecords`, however their bytes are cut into chunks by now.
 * @throws Error when the bytes end within a record.
 */
export function* readRecords(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
  const finder = new RecordFinder();
  for (const chunk of chunks) {
    for (const { bytes, start, end } of finder.add(chunk)) yield bytes.subarray(start, end);
  }
  finder.end();
}

/** Finds the records of `joinRecords` in chunks that come one by one, however their bytes are cut by now. */
export class RecordFinder {
  /** What there is of a record that goes on in the next chunk. */
  #begun: Uint8Array[] = [];
  #have = 0;
  #need = LENGTH_BYTES;

  /**
   * Those that end in this chunk, without a view for each; to be pulled before the next chunk is given. A record that lies in one
   * chunk is found there; one that goes on in the next is joined, alone.
   */
  *add(chunk: Uint8Array): Generator<RecordPlace> {
    let offset = 0;
    while (offset < chunk.byteLength) {
      if (this.#have === 0) {
        const end = endOfRecord(chunk, offset);
        if (end !== undefined) {
          yield { bytes: chunk, start: offset + LENGTH_BYTES, end };
          offset = end;
          continue;
        }
      }
      const part = chunk.subarray(offset, offset + this.#need - this.#have);
      this.#begun.push(part);
      this.#have += part.byteLength;
      offset += part.byteLength;
      if (this.#have < this.#need) continue;
      const bytes = Buffer.concat(this.#begun);
      const end = LENGTH_BYTES + getUint32(bytes, 0);
      this.#need = end;
      this.#begun = [bytes];
      if (this.#have < end) continue;
      yield { bytes, start: LENGTH_BYTES, end };
      this.#begun = [];
      this.#have = 0;
      this.#need = LENGTH_BYTES;
    }
  }

  /** There are no more. @throws Error when the bytes end within a record. */
  end(): void {
    if (this.#have > 0) throw new Error(`records that end ${this.#need - this.#have} bytes too early`);
  }
}

/** Of the record that begins at `offset`; undefined when it goes on behind the bytes. */
function endOfRecord(bytes: Uint8Array, offset: number): number | undefined {
  const start = offset + LENGTH_BYTES;
  if (start > bytes.byteLength) return undefined;
  const end = start + getUint32(bytes, offset);
  return end > bytes.byteLength ? undefined : end;
}
