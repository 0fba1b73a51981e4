import { hashSeed, seededRandom } from "../../raft/random.ts";

/** Draws of all kinds from one sequence. Uses no function whose last bit differs between versions of Node. */
export class Draw {
  readonly random: () => number;

  /** @param parts what the sequence hangs on. */
  constructor(...parts: readonly (string | number)[]) {
    this.random = seededRandom(hashSeed(...parts));
  }

  /** True as often as `probability` says. */
  chance(probability: number): boolean {
    return this.random() < probability;
  }

  /** Evenly from `[min, max)`. */
  between(range: readonly [min: number, max: number]): number {
    const min = range[0];
    return min + this.random() * (range[1] - min);
  }

  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.random() * (max - min + 1));
  }

  /** From `[min, max)`, small ones far more often: a rate or a size of any magnitude. */
  skewed(range: readonly [min: number, max: number]): number {
    const min = range[0];
    const drawn = this.random();
    return min + drawn * drawn * drawn * (range[1] - min);
  }

  pick<Item>(items: readonly [Item, ...Item[]]): Item {
    return items[Math.floor(this.random() * items.length)] ?? items[0];
  }

  /** One of the keys, each as often as its weight says. */
  weighted<Key extends string>(weights: Readonly<Record<Key, number>>): Key {
    const keys = Object.keys(weights) as Key[];
    let ticket = this.random() * keys.reduce((sum, key) => sum + weights[key], 0);
    for (const key of keys) {
      ticket -= weights[key];
      if (ticket < 0) return key;
    }
    return keys[0] as Key;
  }

  shuffled<Item>(items: readonly Item[]): Item[] {
    const shuffled = [...items];
    for (let at = shuffled.length - 1; at > 0; at--) {
      const other = Math.floor(this.random() * (at + 1));
      [shuffled[at], shuffled[other]] = [shuffled[other] as Item, shuffled[at] as Item];
    }
    return shuffled;
  }
}
