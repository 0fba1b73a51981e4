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
  const reader = new ContentReader();
  const source = chunks[Symbol.iterator]();
  let first: Uint8Array = new Uint8Array();
  while (reader.sessions === undefined) {
    const next = source.next();
    if (next.done) throw new Error(`a snapshot that ends ${reader.lacks} bytes too early`);
    first = reader.add(next.value);
  }
  const machine = (function* () {
    if (first.byteLength > 0) yield first;
    for (let next = source.next(); !next.done; next = source.next()) yield next.value;
  })();
  return { sessions: reader.sessions, machine };
}

/** Takes the content apart while its chunks come, one by one. */
export class ContentReader {
  /** The header, then in turns a length and a record of sessions: as much of it as is there. */
  #taken = new Uint8Array(HEADER_BYTES);
  #filled = 0;
  #next: "header" | "length" | "record" | "machine" = "header";
  #count = 0;
  readonly #sessions: Uint8Array[] = [];

  /** Their records; undefined while some are still to come. */
  get sessions(): readonly Uint8Array[] | undefined {
    return this.#next === "machine" ? this.#sessions : undefined;
  }

  /** At least so many bytes are still to come. */
  get lacks(): number {
    return this.#next === "machine" ? 0 : this.#taken.byteLength - this.#filled;
  }

  /** @returns what of the chunk is the machine's. @throws Error when it is no such content, or is of another format. */
  add(chunk: Uint8Array): Uint8Array {
    let rest = chunk;
    while (this.sessions === undefined && rest.byteLength > 0) {
      const part = rest.subarray(0, this.lacks);
      this.#taken.set(part, this.#filled);
      this.#filled += part.byteLength;
      rest = rest.subarray(part.byteLength);
      while (this.sessions === undefined && this.lacks === 0) this.#understand(this.#taken);
    }
    return rest;
  }

  #understand(taken: Uint8Array): void {
    switch (this.#next) {
      case "header": {
        const [magic, format, count] = [0, 4, 8].map((at) => getUint32(taken, at));
        if (magic !== MAGIC || format !== FORMAT) {
          throw new Error(`a snapshot of format ${magic === MAGIC ? format : "unknown"}, expected ${FORMAT}`);
        }
        this.#count = count ?? 0;
        this.#expectSession();
        break;
      }
      case "length":
        this.#expect("record", getUint32(taken, 0));
        break;
      case "record":
        this.#sessions.push(taken);
        this.#expectSession();
        break;
      default:
        break;
    }
  }

  #expectSession(): void {
    if (this.#sessions.length < this.#count) this.#expect("length", LENGTH_BYTES);
    else this.#next = "machine";
  }

  #expect(next: "length" | "record", byteLength: number): void {
    this.#next = next;
    this.#taken = new Uint8Array(byteLength);
    this.#filled = 0;
  }
}

function words(...numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(numbers.length * 4);
  for (const [at, number] of numbers.entries()) setUint32(bytes, at * 4, number);
  return bytes;
}
