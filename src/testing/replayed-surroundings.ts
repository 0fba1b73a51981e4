import type { Asked, Digests } from "../actors/record.ts";
import { type Batch, parseBatch } from "../raft/entry.ts";
import type { StoreReader } from "../raft/raft.ts";
import type { Random } from "../raft/random.ts";

const NOTHING: Asked = { drawn: [], read: [], chunks: [] };

/** Answers what the algorithm asks for with what it was answered when it was recorded. */
export class ReplayedSurroundings implements StoreReader {
  readonly #digests: Digests;
  #drawn: number[] = [];
  #read: (readonly Uint8Array[])[] = [];
  #chunks: Asked["chunks"] = [];

  constructor(digests: Digests) {
    this.#digests = digests;
  }

  /** What the next call may ask for. */
  answer({ drawn, read, chunks }: Asked = NOTHING): void {
    this.#drawn = [...drawn];
    this.#read = [...read];
    this.#chunks = [...chunks];
  }

  readonly random: Random = () => {
    const number = this.#drawn.shift();
    if (number === undefined) throw new NotRecorded("a random number");
    return number;
  };

  readonly read = (from: number): Batch[] => {
    const batches = this.#read.shift();
    if (batches === undefined) throw new NotRecorded(`the entries from ${from} on`);
    return batches.map((bytes) => parseBatch(bytes.slice()));
  };

  readonly readChunk = (index: number, chunk: number): Uint8Array | undefined => {
    if (this.#chunks.length === 0) throw new NotRecorded(`chunk ${chunk} of the snapshot of ${index}`);
    const digest = this.#chunks.shift();
    return digest && this.#digests.standIn(digest);
  };
}

/** The algorithm wants what it did not want when it was recorded. */
class NotRecorded extends Error {
  constructor(what: string) {
    super(`it asks for ${what}, and did not when it was recorded`);
  }
}
