import { getUint32, setUint32 } from "../raft/bytes.ts";

/**
 * What a peer's snapshot holds: the sessions, and behind them what the state machine gave, as it is.
 *
 *     0 u32 magic
 *     4 u32 format   1
 *     8 u32 count    of the records of sessions
 *    12     the records, each behind its length (u32)
 *           the machine's bytes, to the end
 *
 * All numbers are little-endian.
 */
const MAGIC = 0x74_6c_66_53;
const FORMAT = 1;
const HEADER_BYTES = 12;
const LENGTH_BYTES = 4;

/** The content as pieces, which are pulled later. */
export function* joinContent(
  sessions: { readonly count: number; readonly records: Iterable<Uint8Array> },
  machine: Iterable<Uint8Array>,
): Generator<Uint8Array> {
  yield words(MAGIC, FORMAT, sessions.count);
  for (const record of sessions.records) {
    yield words(record.byteLength);
    yield record;
  }
  yield* machine;
}

/**
 * Takes the content apart, however it is cut into chunks by now.
 * @returns the records of the sessions, and the machine's bytes, to be pulled once.
 * @throws Error when it is no such content, or is of another format.
 */
export function splitContent(chunks: Iterable<Uint8Array>): {
  readonly sessions: readonly Uint8Array[];
  readonly machine: Iterable<Uint8Array>;
} {
  const reader = new ByteReader(chunks);
  const header = reader.take(HEADER_BYTES);
  const [magic, format, count] = [0, 4, 8].map((at) => getUint32(header, at));
  if (magic !== MAGIC || format !== FORMAT) {
    throw new Error(`a snapshot of format ${magic === MAGIC ? format : "unknown"}, expected ${FORMAT}`);
  }
  const sessions: Uint8Array[] = [];
  while (sessions.length < (count ?? 0)) {
    sessions.push(reader.take(getUint32(reader.take(LENGTH_BYTES), 0)));
  }
  return { sessions, machine: reader.rest() };
}

/** Reads pieces of a given length out of chunks of any. */
class ByteReader {
  readonly #chunks: Iterator<Uint8Array>;
  #current = new Uint8Array();

  constructor(chunks: Iterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.iterator]();
  }

  take(byteLength: number): Uint8Array {
    const taken = new Uint8Array(byteLength);
    let filled = 0;
    while (filled < byteLength) {
      if (this.#current.byteLength === 0) {
        const next = this.#chunks.next();
        if (next.done) throw new Error(`a snapshot that ends ${byteLength - filled} bytes too early`);
        this.#current = new Uint8Array(next.value);
      }
      const part = this.#current.subarray(0, byteLength - filled);
      taken.set(part, filled);
      filled += part.byteLength;
      this.#current = this.#current.subarray(part.byteLength);
    }
    return taken;
  }

  *rest(): Generator<Uint8Array> {
    if (this.#current.byteLength > 0) yield this.#current;
    for (let next = this.#chunks.next(); !next.done; next = this.#chunks.next()) yield next.value;
  }
}

function words(...numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(numbers.length * 4);
  for (const [at, number] of numbers.entries()) setUint32(bytes, at * 4, number);
  return bytes;
}
