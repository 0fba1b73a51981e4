/**
 * How a cut divides the peers, in a drawn order: about in the middle; the first from the others; a minority of about a third
 * from the others; two halves with one peer in both; each with its neighbours on a ring, or on a line with two ends; one
 * direction only, between two halves; the first hears nobody, or nobody hears it; the first is all that the others reach.
 */
export const SHAPES = [
  ...["halves", "one", "third", "bridge", "ring", "chain", "one-way", "deaf", "mute", "star"],
] as unknown as readonly [CutShape, ...CutShape[]];

export type CutShape = "halves" | "one" | "third" | "bridge" | "ring" | "chain" | "one-way" | "deaf" | "mute" | "star";

/** Whether nothing passes from the peer at position `from` of the order to that at `to`, of `count`. */
export function isCut(shape: CutShape, from: number, to: number, count: number): boolean {
  const isAcross = (first: number) => from < first !== to < first;
  const half = count >>> 1;
  switch (shape) {
    case "halves":
      return isAcross(half);
    case "one":
      return isAcross(1);
    case "third":
      return isAcross(Math.max(1, Math.floor(count / 3)));
    case "bridge":
      return from !== half && to !== half && isAcross(half);
    case "ring": {
      // Each reaches a majority, itself included, and no two the same.
      const apart = Math.abs(from - to);
      return Math.min(apart, count - apart) > Math.ceil((count - 1) / 4);
    }
    case "chain":
      return Math.abs(from - to) > 1;
    case "one-way":
      return from < half && to >= half;
    case "deaf":
      return to === 0;
    case "mute":
      return from === 0;
    case "star":
      return from !== 0 && to !== 0;
  }
}
