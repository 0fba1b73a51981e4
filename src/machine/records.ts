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
interface RecordPlace {
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
 * {@link readRecords} without a view for each: most of a chunk's records lie in that chunk, the others in a copy.
 * @throws Error when the bytes end within a record.
 */
export function* findRecords(chunks: Iterable<Uint8Array>): Generator<RecordPlace> {
  let pieces: Uint8Array[] = [];
  let have = 0;
  let need = LENGTH_BYTES;
  for (const chunk of chunks) {
    pieces.push(chunk);
    have += chunk.byteLength;
    // Joined only when a record is complete, or a long one in many chunks would be copied over and over.
    if (have < need) continue;
    const bytes = pieces.length === 1 ? chunk : Buffer.concat(pieces);
    const recordBytes = (at: number) =>
      LENGTH_BYTES + (at + LENGTH_BYTES <= bytes.byteLength ? getUint32(bytes, at) : 0);
    let offset = 0;
    need = recordBytes(offset);
    while (offset + need <= bytes.byteLength) {
      yield { bytes, start: offset + LENGTH_BYTES, end: offset + need };
      offset += need;
      need = recordBytes(offset);
    }
    pieces = [bytes.subarray(offset)];
    have = bytes.byteLength - offset;
  }
  if (have > 0) throw new Error(`records that end ${need - have} bytes too early`);
}
