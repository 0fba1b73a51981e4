import { inspect } from "node:util";
import { pack } from "./codec.ts";

/** What one command did to one key. */
export interface KeyValueChange {
  /** Of the command's entry in the log. A transaction makes several changes of one index, one a key. */
  readonly index: number;
  readonly key: string;
  /** Undefined: the key was deleted. */
  readonly value: unknown;
  /** Of the key, see {@link KeyValueEntry}; 0: it was deleted. */
  readonly version: number;
}

/** Changes since an index; see {@link ChangeHistory.since}. */
export interface KeyValueChanges {
  readonly changes: readonly KeyValueChange[];
  /** The first index that is known of. When it is behind the one that was asked for, changes are missing. */
  readonly firstIndex: number;
  /** When there are more: all up to this index are among `changes`. Undefined when that is all there is. */
  readonly upTo: number | undefined;
}

/** How much is kept by default: some seconds of a busy map. */
const MAX_CHANGES = 10_000;
const MAX_BYTES = 8 << 20;
/** About what a change takes beside its key and value. */
const CHANGE_BYTES = 128;

interface Kept {
  readonly change: KeyValueChange;
  readonly bytes: number;
}

/** The latest changes of a map. It is no part of the replicated state: a peer that began with a snapshot has none before. */
export class ChangeHistory {
  /** All changes behind this index are here. */
  #complete: number;
  #changes: (Kept | undefined)[] = [];
  /** Of `#changes`, how many at the front are dropped. Nothing is left there that could keep a value alive. */
  #dropped = 0;
  #bytes = 0;
  readonly #maxChanges: number;

  constructor(completeAfter: number, maxChanges = MAX_CHANGES) {
    if (!Number.isInteger(maxChanges) || maxChanges < 0) {
      throw new Error(`maxChanges: expected a whole number, 0 or more, got ${inspect(maxChanges)}`);
    }
    this.#complete = completeAfter;
    this.#maxChanges = maxChanges;
  }

  add(change: KeyValueChange): void {
    const bytes = CHANGE_BYTES + 2 * change.key.length + memoryOf(change.value);
    this.#changes.push({ change, bytes });
    this.#bytes += bytes;
    while (this.#isTooMuch(this.#changes.length - this.#dropped)) {
      const oldest = this.#changes[this.#dropped];
      if (oldest === undefined) break;
      this.#bytes -= oldest.bytes;
      this.#complete = oldest.change.index;
      this.#changes[this.#dropped] = undefined;
      this.#dropped++;
    }
    // Now and then, since moving the rest costs.
    if (this.#dropped > this.#maxChanges) {
      this.#changes = this.#changes.slice(this.#dropped);
      this.#dropped = 0;
    }
  }

  /** The latest change is kept however large it is, or nobody who watches could ever get past it. */
  #isTooMuch(count: number): boolean {
    return count > this.#maxChanges || (count > 1 && this.#bytes > MAX_BYTES);
  }

  /** The changes behind the index `after` that `fits` takes; about `limit`, but all of the last index. */
  since(after: number, fits: (key: string) => boolean, limit: number): KeyValueChanges {
    const firstIndex = this.#complete + 1;
    const changes: KeyValueChange[] = [];
    if (after < this.#complete) return { changes, firstIndex, upTo: undefined };
    for (let at = this.#firstBehind(after); at < this.#changes.length; at++) {
      const change = this.#changes[at]?.change;
      if (change === undefined || !fits(change.key)) continue;
      const last = changes.at(-1)?.index ?? change.index;
      if (changes.length >= limit && change.index !== last) return { changes, firstIndex, upTo: last };
      changes.push(change);
    }
    return { changes, firstIndex, upTo: undefined };
  }

  #firstBehind(after: number): number {
    let low = this.#dropped;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle]?.change.index ?? 0) <= after) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** At most about how many bytes a value takes in memory: a string may take two for each UTF-16 unit. */
function memoryOf(value: unknown): number {
  return typeof value === "string" ? 2 * value.length : sizeOf(value);
}

/** About how many bytes a value takes when it is encoded. */
export function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (value instanceof Uint8Array) return value.byteLength;
  return typeof value === "object" && value !== null ? pack(value).byteLength : 8;
}
