import type { Problem } from "./compile.ts";
import { hasStep, type StepSet, Visited, withStep } from "./visited.ts";

/** A step of a linearization, and those before it. */
export interface Link {
  /** Where the operation is in those that were given. */
  readonly at: number;
  /** After it. */
  readonly state: number;
  readonly before: Link | undefined;
}

/** A state that is reached from a place by optional steps alone. */
interface Variant {
  readonly state: number;
  readonly used: StepSet;
  readonly last: Link | undefined;
}

/** A place on the way: a set of definite steps is done. */
interface Frame {
  /** The definite step that led here, -1 at the beginning. */
  readonly done: number;
  /** The definite steps that may be next, those that returned first in front. */
  readonly candidates: readonly number[];
  /** Optional steps called before this may be next, too. */
  readonly horizon: number;
  /** At first only the state itself; then what one optional step makes of it, then two, and so on. */
  readonly variants: Variant[];
  /** Which variant and which candidate is to be tried next. */
  variant: number;
  candidate: number;
  /** From which variants optional steps were taken already. */
  grown: number;
}

/**
 * Looks for an order of the steps that the model allows: depth first, after Wing & Gong ("Testing and Verifying
 * Concurrent Objects", 1993), with the memoisation of Lowe ("Testing for linearizability", 2017). Optional steps are put
 * in only where nothing else is possible any more, as few as will do, and always before a definite one: behind the last
 * of these they explain nothing.
 */
export class Search {
  readonly #problem: Problem;
  readonly #isDone: Uint8Array;
  /** All definite steps before this one are done. */
  #base = 0;
  #doneCount = 0;
  readonly #path: Frame[] = [];
  readonly #visited = new Visited();
  /** How many steps were tried. */
  tried = 0;
  /** The end of the longest linearization that was found. */
  longest: Link | undefined;
  #longestCount = 0;

  constructor(problem: Problem) {
    this.#problem = problem;
    this.#isDone = new Uint8Array(problem.definite.length);
    const used = new Uint32Array((problem.optional.length + 31) >>> 5);
    this.#visited.add(this.#place(problem.initial), used);
    this.#enter({ state: problem.initial, used, last: undefined }, -1);
  }

  /** How many places are remembered: what its memory is used for. */
  get places(): number {
    return this.#visited.size;
  }

  /** Goes on until about `limit` more steps were tried. @returns whether there is such an order, if that is known by then. */
  advance(limit: number): boolean | undefined {
    const end = this.tried + limit;
    while (this.tried < end) {
      if (this.#doneCount === this.#problem.definite.length) return true;
      const frame = this.#path.at(-1);
      if (frame === undefined) return false;
      this.#advance(frame);
    }
    return undefined;
  }

  #advance(frame: Frame): void {
    const variant = frame.variants[frame.variant];
    if (variant === undefined) {
      if (frame.grown === frame.variants.length) this.#leave(frame);
      else this.#grow(frame);
      return;
    }
    const candidate = frame.candidates[frame.candidate];
    if (candidate === undefined) {
      frame.variant++;
      frame.candidate = 0;
      return;
    }
    frame.candidate++;
    const step = this.#problem.definite[candidate];
    if (step === undefined) return;
    this.tried++;
    const state = this.#problem.next(variant.state, step.kind);
    if (state === -1) return;
    this.#mark(candidate);
    if (this.#visited.add(this.#place(state), variant.used)) {
      const { used, last } = variant;
      this.#enter({ state, used, last: { at: step.at, state, before: last } }, candidate);
    } else this.#unmark(candidate);
  }

  #mark(step: number): void {
    this.#isDone[step] = 1;
    this.#doneCount++;
    while (this.#isDone[this.#base] === 1) this.#base++;
  }

  #unmark(step: number): void {
    this.#isDone[step] = 0;
    this.#doneCount--;
    if (step < this.#base) this.#base = step;
  }

  #enter(variant: Variant, done: number): void {
    const { definite } = this.#problem;
    const candidates: number[] = [];
    let horizon = Number.POSITIVE_INFINITY;
    // What was called after another one's return comes after it. Sorted by call, so none behind the first can be next.
    for (let at = this.#base; at < definite.length; at++) {
      const step = definite[at];
      if (step === undefined || step.call > horizon) break;
      if (this.#isDone[at] === 1) continue;
      candidates.push(at);
      if (step.return < horizon) horizon = step.return;
    }
    candidates.sort((one, other) => (definite[one]?.return ?? 0) - (definite[other]?.return ?? 0));
    this.#path.push({ done, candidates, horizon, variants: [variant], variant: 0, candidate: 0, grown: 0 });
    if (this.#doneCount > this.#longestCount) {
      this.#longestCount = this.#doneCount;
      this.longest = variant.last;
    }
  }

  /** Nothing is possible from here. */
  #leave({ done }: Frame): void {
    this.#path.pop();
    if (done !== -1) this.#unmark(done);
  }

  /** Takes each optional step from the next variant: so those that took fewer are tried before those that took more. */
  #grow(frame: Frame): void {
    const variant = frame.variants[frame.grown++];
    if (variant === undefined) return;
    const { optional, earlier, next } = this.#problem;
    for (let at = 0; at < optional.length; at++) {
      const step = optional[at];
      if (step === undefined || step.call > frame.horizon) break;
      const before = earlier[at] ?? -1;
      if (hasStep(variant.used, at) || (before !== -1 && !hasStep(variant.used, before))) continue;
      this.tried++;
      const state = next(variant.state, step.kind);
      if (state === -1 || state === variant.state) continue;
      const used = withStep(variant.used, at);
      if (!this.#visited.add(this.#place(state), used)) continue;
      frame.variants.push({ state, used, last: { at: step.at, state, before: variant.last } });
    }
  }

  /** Which definite steps are done, and the state. All before the base are, and of the rest only some soon after it. */
  #place(state: number): string {
    const base = this.#base;
    let place = String.fromCharCode(base & 0xffff, base >>> 16, state & 0xffff, state >>> 16);
    let left = this.#doneCount - base;
    let bits = 0;
    for (let at = base + 1, bit = 0; left > 0; at++, bit++) {
      if (bit === 16) {
        place += String.fromCharCode(bits);
        bits = 0;
        bit = 0;
      }
      if (this.#isDone[at] !== 1) continue;
      bits |= 1 << bit;
      left--;
    }
    return bits === 0 ? place : place + String.fromCharCode(bits);
  }
}
