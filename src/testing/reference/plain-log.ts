import { demand } from "./rules.ts";
import type { Entries, Start } from "./trace.ts";

/** What can be told of an entry: its term, and a number that stands for its content; undefined when nobody has said it. */
export interface Entry {
  readonly term: number;
  value: number | undefined;
}

/** A log as in the specification: a sequence of entries. What a peer compacts away is still known here. */
export class PlainLog {
  /** Of the entry before the first that is known here, by a snapshot or 0. */
  #base: { readonly index: number; readonly term: number };
  readonly #entries: Entry[] = [];

  constructor(base = { index: 0, term: 0 }) {
    this.#base = base;
  }

  /** The log that a life was started with, of which only the terms are told. */
  static stored({ firstIndex, lastIndex, terms }: Start["stored"]): PlainLog {
    const termOf = (index: number) => terms.findLast((run) => run.firstIndex <= index)?.term ?? 0;
    const log = new PlainLog({ index: firstIndex - 1, term: firstIndex === 1 ? 0 : termOf(firstIndex - 1) });
    for (let index = firstIndex; index <= lastIndex; index++) log.append({ term: termOf(index), value: undefined });
    return log;
  }

  get baseIndex(): number {
    return this.#base.index;
  }

  get lastIndex(): number {
    return this.#base.index + this.#entries.length;
  }

  get lastTerm(): number {
    return this.#entries.at(-1)?.term ?? this.#base.term;
  }

  at(index: number): Entry | undefined {
    return index > this.#base.index ? this.#entries[index - this.#base.index - 1] : undefined;
  }

  termAt(index: number): number | undefined {
    return index === this.#base.index ? this.#base.term : this.at(index)?.term;
  }

  append(entry: Entry): void {
    this.#entries.push(entry);
  }

  truncateFrom(index: number): void {
    this.#entries.splice(index - this.#base.index - 1);
  }

  /** §7: nothing is left but what a snapshot says of its last entry. */
  resetTo(base: { readonly index: number; readonly term: number }): void {
    this.#base = base;
    this.#entries.length = 0;
  }

  copy(): PlainLog {
    const copy = new PlainLog(this.#base);
    for (const entry of this.#entries) copy.append(entry);
    return copy;
  }

  /** Whether it has these; those before its base are committed, and taken for equal. */
  has(index: number, { term, value }: Entry): boolean {
    if (index <= this.#base.index) return true;
    const own = this.at(index);
    return own !== undefined && own.term === term && sameValue(own, value);
  }
}

/** Log Matching: two entries of one index and term are one; learns its content if nobody has said it before. */
export function sameValue(entry: Entry, value: number | undefined): boolean {
  entry.value ??= value;
  return value === undefined || entry.value === value;
}

/** The entries one by one. */
export function eachEntry(batches: readonly Entries[], visit: (index: number, entry: Entry) => void): void {
  for (const { firstIndex, lastIndex, term, digests } of batches) {
    demand(
      digests.byteLength === 4 * (lastIndex - firstIndex + 1),
      "logMatching",
      () => `entries ${firstIndex}..${lastIndex} with ${digests.byteLength / 4} contents`,
    );
    const view = new DataView(digests.buffer, digests.byteOffset, digests.byteLength);
    for (let index = firstIndex; index <= lastIndex; index++) {
      visit(index, { term, value: view.getUint32(4 * (index - firstIndex)) });
    }
  }
}
