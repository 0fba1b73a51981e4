import type { Random } from "../../raft/random.ts";

interface Event {
  readonly at: number;
  /** Decides between events of the same time. */
  readonly tie: number;
  readonly run: () => void;
}

/**
 * What is to happen in virtual time. Events of the same time come in an order that the seed decides, and that says nothing
 * of the order in which they were added.
 */
export class EventQueue {
  /** A binary heap: each event comes no later than the two below it. */
  readonly #heap: Event[] = [];
  readonly #random: Random;
  #now = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Milliseconds since the world began. */
  get now(): number {
    return this.#now;
  }

  /** Adds an event; a time that has passed means now. */
  add(at: number, run: () => void): void {
    const heap = this.#heap;
    const event = { at: Math.max(at, this.#now), tie: this.#random(), run };
    let place = heap.length;
    while (place > 0) {
      const above = (place - 1) >>> 1;
      const parent = heap[above];
      if (parent === undefined || isBefore(parent, event)) break;
      heap[place] = parent;
      place = above;
    }
    heap[place] = event;
  }

  /** Runs the next event, if there is one until `end`; else it is `end` now. @returns whether there was one. */
  step(end: number): boolean {
    const next = this.#heap[0];
    if (next === undefined || next.at > end) {
      this.#now = Math.max(this.#now, end);
      return false;
    }
    this.#removeFirst();
    this.#now = next.at;
    next.run();
    return true;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      let below = left;
      let child = heap[left];
      const right = heap[left + 1];
      if (child === undefined) break;
      if (right !== undefined && isBefore(right, child)) {
        child = right;
        below = left + 1;
      }
      if (isBefore(last, child)) break;
      heap[place] = child;
      place = below;
    }
    heap[place] = last;
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.tie < other.tie);
}
