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
  for (const { bytes, start, end } of findRecords(chunks)) yield bytes.subarray(start, end);
}

/**
 * {@link readRecords} without a view for each. A record that lies in one chunk is found there; one that goes on in the next
 * is joined, alone.
 * @throws Error when the bytes end within a record.
 */
export function* findRecords(chunks: Iterable<Uint8Array>): Generator<RecordPlace> {
  /** What there is of a record that goes on in the next chunk. */
  let begun: Uint8Array[] = [];
  let have = 0;
  let need = LENGTH_BYTES;
  for (const chunk of chunks) {
    let offset = 0;
    while (offset < chunk.byteLength) {
      if (have === 0) {
        const end = endOfRecord(chunk, offset);
        if (end !== undefined) {
          yield { bytes: chunk, start: offset + LENGTH_BYTES, end };
          offset = end;
          continue;
        }
      }
      const part = chunk.subarray(offset, offset + need - have);
      begun.push(part);
      have += part.byteLength;
      offset += part.byteLength;
      if (have < need) continue;
      const bytes = Buffer.concat(begun);
      need = LENGTH_BYTES + getUint32(bytes, 0);
      begun = [bytes];
      if (have < need) continue;
      yield { bytes, start: LENGTH_BYTES, end: need };
      begun = [];
      have = 0;
      need = LENGTH_BYTES;
    }
  }
  if (have > 0) throw new Error(`records that end ${need - have} bytes too early`);
}

/** Of the record that begins at `offset`; undefined when it goes on behind the bytes. */
function endOfRecord(bytes: Uint8Array, offset: number): number | undefined {
  const start = offset + LENGTH_BYTES;
  if (start > bytes.byteLength) return undefined;
  const end = start + getUint32(bytes, offset);
  return end > bytes.byteLength ? undefined : end;
}
