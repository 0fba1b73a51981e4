const ITEMS_A_BLOCK = 256;

interface Block<Item> {
  readonly number: number;
  readonly items: (Item | undefined)[];
  count: number;
}

/**
 * Items under ascending numbers, of which tens of thousands a second may come and go. A Map of them would be rehashed every
 * thousand or two; the tables that this leaves behind refer to what was in them and to their successors, and once the
 * collector has moved one among the old, all that came after it counts as alive. A block of items that have gone refers to
 * nothing.
 */
export class Numbered<Item> {
  readonly #blocks = new Map<number, Block<Item>>();
  /** The block of the latest number; it stays when it is empty. */
  #latest: Block<Item> = { number: 0, items: [], count: 0 };
  /** The one that was looked into last: neighbours are mostly asked for one after the other. */
  #recent: Block<Item> | undefined;
  #next = 1;
  #size = 0;

  constructor() {
    this.#blocks.set(0, this.#latest);
  }

  get size(): number {
    return this.#size;
  }

  /** The number that the next item gets. */
  get next(): number {
    return this.#next;
  }

  /** @returns the item's number. */
  add(item: Item): number {
    const number = this.#next++;
    const at = number % ITEMS_A_BLOCK;
    if (at === 0) this.#begin(number / ITEMS_A_BLOCK);
    this.#latest.items[at] = item;
    this.#latest.count++;
    this.#size++;
    return number;
  }

  get(number: number): Item | undefined {
    return this.#blockOf(number)?.items[number % ITEMS_A_BLOCK];
  }

  /** Takes an item out. @returns it, if it was there. */
  take(number: number): Item | undefined {
    const block = this.#blockOf(number);
    const at = number % ITEMS_A_BLOCK;
    const item = block?.items[at];
    if (block === undefined || item === undefined) return undefined;
    block.items[at] = undefined;
    this.#size--;
    if (--block.count === 0 && block !== this.#latest) {
      this.#blocks.delete(block.number);
      this.#recent = undefined;
    }
    return item;
  }

  /** Takes out the item with the lowest number, if there is one. */
  takeFirst(): Item | undefined {
    for (const { number, items, count } of this.#blocks.values()) {
      if (count > 0) return this.take(number * ITEMS_A_BLOCK + items.findIndex((item) => item !== undefined));
    }
    return undefined;
  }

  /** Takes all out. */
  clear(): void {
    this.#blocks.clear();
    this.#recent = undefined;
    this.#latest = { number: this.#latest.number, items: [], count: 0 };
    this.#blocks.set(this.#latest.number, this.#latest);
    this.#size = 0;
  }

  /** All, by ascending numbers. */
  values(): Item[] {
    const found: Item[] = [];
    for (const { items } of this.#blocks.values()) {
      for (const item of items) if (item !== undefined) found.push(item);
    }
    return found;
  }

  #begin(number: number): void {
    if (this.#latest.count === 0) this.#blocks.delete(this.#latest.number);
    this.#latest = { number, items: [], count: 0 };
    this.#blocks.set(number, this.#latest);
  }

  #blockOf(number: number): Block<Item> | undefined {
    const block = Math.floor(number / ITEMS_A_BLOCK);
    if (block === this.#latest.number) return this.#latest;
    if (block !== this.#recent?.number) this.#recent = this.#blocks.get(block);
    return this.#recent;
  }
}
