/** Chunks grow to about this size: large enough to be few, small enough for one to be made within a millisecond. */
const CHUNK_BYTES = 64 << 10;
const LENGTH_BYTES = 4;

/**
 * Packs records into chunks of about 64 KiB, each record behind its length (u32, little-endian). A record is pulled
 * only when the chunk it goes into is.
 */
export function* joinRecords(records: Iterable<Uint8Array>): Generator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  for (const record of records) {
    waiting.push(record);
    bytes += LENGTH_BYTES + record.byteLength;
    if (bytes < CHUNK_BYTES) continue;
    yield join(waiting, bytes);
    waiting = [];
    bytes = 0;
  }
  if (waiting.length > 0) yield join(waiting, bytes);
}

function join(records: readonly Uint8Array[], byteLength: number): Uint8Array {
  const chunk = new Uint8Array(byteLength);
  const view = new DataView(chunk.buffer);
  let offset = 0;
  for (const record of records) {
    view.setUint32(offset, record.byteLength, true);
    chunk.set(record, offset + LENGTH_BYTES);
    offset += LENGTH_BYTES + record.byteLength;
  }
  return chunk;
}

/**
 * The records of `joinRecords`, however their bytes are cut into chunks by now.
 * @throws Error when the bytes end within a record.
 */
export function* readRecords(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
  let pieces: Uint8Array[] = [];
  let have = 0;
  let need = LENGTH_BYTES;
  for (const chunk of chunks) {
    pieces.push(chunk);
    have += chunk.byteLength;
    // Joined only when a record is complete, or a long one in many chunks would be copied over and over.
    if (have < need) continue;
    const bytes = pieces.length === 1 ? chunk : Buffer.concat(pieces);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const recordBytes = (at: number) =>
      LENGTH_BYTES + (at + LENGTH_BYTES <= bytes.byteLength ? view.getUint32(at, true) : 0);
    let offset = 0;
    need = recordBytes(offset);
    while (offset + need <= bytes.byteLength) {
      yield bytes.subarray(offset + LENGTH_BYTES, offset + need);
      offset += need;
      need = recordBytes(offset);
    }
    pieces = [bytes.subarray(offset)];
    have = bytes.byteLength - offset;
  }
  if (have > 0) throw new Error(`records that end ${need - have} bytes too early`);
}
