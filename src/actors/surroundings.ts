import type { RaftOptions } from "../raft/options.ts";
import type { Stored, StoreReader } from "../raft/raft.ts";
import type { Random } from "../raft/random.ts";
import type { Asked, Digests } from "./record.ts";

/** Notes what the algorithm asks for during a call; what others read from the same store is none of its business. */
export class Surroundings {
  readonly random: Random;
  readonly reader: StoreReader;
  /** Undefined between calls. */
  #asked: Asked | undefined;

  constructor({ random }: Pick<RaftOptions, "random">, { read, readChunk }: StoreReader, digests: Digests) {
    this.random = () => {
      const number = random();
      this.#asked?.drawn.push(number);
      return number;
    };
    this.reader = {
      read: (from, maxBytes) => {
        const batches = read(from, maxBytes);
        this.#asked?.read.push(batches.map(({ bytes }) => bytes.slice()));
        return batches;
      },
      readChunk: (index, chunk) => {
        const data = readChunk(index, chunk);
        this.#asked?.chunks.push(data && digests.of(data));
        return data;
      },
    };
  }

  begin(): void {
    this.#asked = { drawn: [], read: [], chunks: [] };
  }

  /** @returns undefined when nothing was asked for. */
  end(): Asked | undefined {
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked === undefined || asked.drawn.length + asked.read.length + asked.chunks.length === 0) return undefined;
    return asked;
  }
}

/** What a store says it has, and nothing else of the store. */
export function plainStored(stored: Stored): Stored {
  const { hardState, configuration, snapshot, applied, used, firstIndex, lastIndex, lastTime } = stored;
  const { terms, firstPosition, endPosition } = stored;
  const log = { firstIndex, lastIndex, lastTime, terms: [...terms], firstPosition, endPosition };
  return { hardState, configuration, snapshot, applied, used, ...log };
}
