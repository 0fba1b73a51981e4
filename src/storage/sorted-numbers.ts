/** A set of numbers that knows their order. Nearly all come at the end of it. */
export class SortedNumbers {
  readonly #ascending: number[] = [];

  /** Adds a number, if it is not there yet. */
  add(number: number): void {
    const at = lowerBound(this.#ascending, number);
    if (this.#ascending[at] !== number) this.#ascending.splice(at, 0, number);
  }

  /** Takes a number out, if it is there. */
  delete(number: number): void {
    const at = lowerBound(this.#ascending, number);
    if (this.#ascending[at] === number) this.#ascending.splice(at, 1);
  }

  clear(): void {
    this.#ascending.length = 0;
  }

  /** The greatest that is not greater than `number`. */
  floor(number: number): number | undefined {
    return this.#ascending[lowerBound(this.#ascending, number + 1) - 1];
  }

  /** Those that are not less than `number`, ascending; the first `limit` of them, by default all. */
  from(number: number, limit = Number.POSITIVE_INFINITY): number[] {
    const start = lowerBound(this.#ascending, number);
    return this.#ascending.slice(start, start + limit);
  }
}

/** The position of the first that is not less than `key`. */
export function lowerBound<Key extends number | string>(sorted: readonly Key[], key: Key): number {
  const last = sorted.at(-1);
  if (last === undefined || last < key) return sorted.length;
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const candidate = sorted[middle];
    if (candidate !== undefined && candidate < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
