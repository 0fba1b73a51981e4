/** A full block is cut in two: small enough for cheap insertions, large enough for few blocks. */
const MOST_KEYS_A_BLOCK = 512;

/** A set of strings in order of their UTF-16 units, in blocks: adding one moves the keys of its block only. */
export class SortedKeys {
  /** None is empty. */
  readonly #blocks: string[][] = [];

  constructor(keys: Iterable<string> = []) {
    const sorted = [...keys].sort();
    for (let at = 0; at < sorted.length; at += MOST_KEYS_A_BLOCK / 2) {
      this.#blocks.push(sorted.slice(at, at + MOST_KEYS_A_BLOCK / 2));
    }
  }

  /** Adds a key, if it is not there yet. */
  add(key: string): void {
    const number = Math.min(this.#blockOf(key), this.#blocks.length - 1);
    const block = this.#blocks[number];
    if (block === undefined) {
      this.#blocks.push([key]);
      return;
    }
    const at = lowerBound(block, key);
    if (block[at] === key) return;
    block.splice(at, 0, key);
    if (block.length > MOST_KEYS_A_BLOCK) this.#blocks.splice(number + 1, 0, block.splice(block.length >>> 1));
  }

  /** Takes a key out that is there. */
  delete(key: string): void {
    const number = this.#blockOf(key);
    const block = this.#blocks[number];
    if (block === undefined) return;
    const at = lowerBound(block, key);
    if (block[at] === key) block.splice(at, 1);
    if (block.length === 0) this.#blocks.splice(number, 1);
  }

  /** The keys from `from` on, in order. They must not change meanwhile. */
  *from(from: string): Generator<string> {
    for (let number = this.#blockOf(from); number < this.#blocks.length; number++) {
      const block = this.#blocks[number] ?? [];
      for (let at = lowerBound(block, from); at < block.length; at++) yield block[at] ?? "";
    }
  }

  /** The first block that ends at `key` or behind it. */
  #blockOf(key: string): number {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#blocks[middle]?.at(-1) ?? "") < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The position of the first that is not less than `key`. */
function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? "") < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
