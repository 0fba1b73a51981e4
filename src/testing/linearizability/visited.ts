/** A set of optional steps, 32 to a word. Never changed. */
export type StepSet = Uint32Array;

/** The set with one more step in it. */
export function withStep(set: StepSet, step: number): StepSet {
  const more = set.slice();
  more[step >>> 5] = (more[step >>> 5] ?? 0) | (1 << (step & 31));
  return more;
}

/** Whether the step is in the set. */
export function hasStep(set: StepSet, step: number): boolean {
  return (((set[step >>> 5] ?? 0) >>> (step & 31)) & 1) === 1;
}

function contains(set: StepSet, part: StepSet): boolean {
  for (let word = 0; word < part.length; word++) {
    if (((part[word] ?? 0) & ~(set[word] ?? 0)) !== 0) return false;
  }
  return true;
}

/**
 * Where a search has been: after which definite steps, in which state (Lowe's memoisation), and at what price in
 * optional steps. Whoever comes to the same place having used those and more can do nothing that could not be done
 * before: what was not used can still be used later, at any time.
 */
export class Visited {
  readonly #prices = new Map<string, StepSet[]>();
  #size = 0;

  /** How many places are kept. */
  get size(): number {
    return this.#size;
  }

  /** @returns whether it is new: nobody was at that place for the same price or less. */
  add(place: string, price: StepSet): boolean {
    const known = this.#prices.get(place);
    if (known === undefined) {
      this.#prices.set(place, [price]);
      this.#size++;
      return true;
    }
    if (known.some((lower) => contains(price, lower))) return false;
    const kept = known.filter((other) => !contains(other, price));
    this.#size += kept.length + 1 - known.length;
    kept.push(price);
    this.#prices.set(place, kept);
    return true;
  }
}
