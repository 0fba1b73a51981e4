import type { Operation } from "../history.ts";
import { inspectShort } from "../inspect-short.ts";
import { compile, type IsDefinite } from "./compile.ts";
import { type Model, UNKNOWN } from "./model.ts";
import { type Link, Search } from "./search.ts";

/** Until when a search may go on. */
export interface Limits {
  /** On the clock of {@link now}. */
  readonly deadline: number;
  /** How many steps may be tried for one partition. */
  readonly maxSteps: number;
}

/** Why nothing was decided: time or steps were used up, or there were more places to remember than memory allows. */
export type Exhausted = "time" | "steps" | "memory";

/** The shortest part of a partition's history that is illegal already. All `at`s count in what was given. */
export interface ShortestPrefix {
  /** How many operations have returned by its end. */
  readonly completed: number;
  /** The operation that returns last. Without it the prefix is legal. */
  readonly culprit: number;
  /** The operations of the prefix: all that were called by then. */
  readonly operations: readonly number[];
  /** The longest order of operations, each possible after the one before, that was found in it. */
  readonly order: readonly number[];
  /** The state after that order. */
  readonly state: string;
  /** Whether no shorter one is illegal. False when the limits did not allow to tell. */
  readonly isShortest: boolean;
}

/** What was found of a partition. */
export type PartitionResult = { readonly steps: number } & (
  | { readonly verdict: "ok" }
  | { readonly verdict: "illegal"; readonly prefix: ShortestPrefix }
  | { readonly verdict: "undecided"; readonly reason: Exhausted }
);

/** The same in all threads of a process, but for a little; in milliseconds. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** After so many steps others may have a turn, and the limits are looked at. */
const TURN = 1_000;
/** A place takes 100 to 200 bytes. */
const MAX_PLACES = 2_000_000;

/**
 * Decides one partition. Yields now and then, for others to have a turn.
 * @param operations none of them failed
 */
export function* checkPartition<Input, Output>(
  operations: readonly Operation<Input, Output>[],
  model: Model<unknown, Input, Output>,
  limits: Limits,
): Generator<void, PartitionResult> {
  let steps = 0;
  const decide = function* (isDefinite: IsDefinite, among: readonly number[]): Generator<void, Decision> {
    const problem = compile(
      among.map((at) => operations[at]).filter((operation) => operation !== undefined),
      model,
      (at) => isDefinite(among[at] ?? -1),
    );
    const search = new Search(problem);
    for (;;) {
      const before = search.tried;
      const isLegal = search.advance(TURN);
      steps += search.tried - before;
      if (isLegal !== undefined) {
        return { isLegal, order: isLegal ? [] : orderOf(search.longest).map((at) => among[at] ?? -1) };
      }
      if (now() > limits.deadline) return "time";
      if (steps > limits.maxSteps) return "steps";
      if (search.places > MAX_PLACES) return "memory";
      yield;
    }
  };

  const all = operations.map((_, at) => at);
  const whole = yield* decide((at) => operations[at]?.outcome === "ok", all);
  if (typeof whole === "string") return { verdict: "undecided", reason: whole, steps };
  if (whole.isLegal) return { verdict: "ok", steps };

  // Whatever follows an illegal prefix, it stays illegal: so the shortest is found by halving.
  const completions = all
    .filter((at) => operations[at]?.outcome === "ok")
    .sort((one, other) => (operations[one]?.return ?? 0) - (operations[other]?.return ?? 0));
  const cut = prefixOf(operations, completions);
  let isShortest = true;
  let legal = 0;
  let illegal = completions.length;
  let found = whole;
  while (illegal - legal > 1) {
    const middle = (legal + illegal) >>> 1;
    const { isDefinite, among } = cut(middle);
    const decision = yield* decide(isDefinite, among);
    if (typeof decision === "string") {
      isShortest = false;
      break;
    }
    if (decision.isLegal) legal = middle;
    else {
      illegal = middle;
      found = decision;
    }
  }
  const prefix = {
    completed: illegal,
    culprit: completions[illegal - 1] ?? -1,
    operations: cut(illegal).among,
    order: found.order,
    state: inspectShort(stateAfter(found.order, operations, model, cut(illegal).isDefinite)),
    isShortest,
  };
  return { verdict: "illegal", prefix, steps };
}

type Decision = Exhausted | { readonly isLegal: boolean; readonly order: readonly number[] };

/**
 * The history as it was when so many operations had returned: what was called later is not there yet, and what returned
 * later may have taken effect or not.
 */
function prefixOf<Input, Output>(operations: readonly Operation<Input, Output>[], completions: readonly number[]) {
  const rank = new Map(completions.map((at, index) => [at, index]));
  return (count: number): { isDefinite: IsDefinite; among: readonly number[] } => {
    const end = operations[completions[count - 1] ?? -1]?.return ?? Number.NEGATIVE_INFINITY;
    return {
      isDefinite: (at) => (rank.get(at) ?? count) < count,
      among: operations.flatMap(({ call }, at) => (call <= end ? [at] : [])),
    };
  };
}

function orderOf(last: Link | undefined): number[] {
  const order: number[] = [];
  for (let link = last; link !== undefined; link = link.before) order.push(link.at);
  return order.reverse();
}

/** The whole of it, where the search may have been content with less. */
function stateAfter<Input, Output>(
  order: readonly number[],
  operations: readonly Operation<Input, Output>[],
  model: Model<unknown, Input, Output>,
  isDefinite: IsDefinite,
): unknown {
  let state = model.init();
  for (const at of order) {
    const operation = operations[at];
    if (operation !== undefined) {
      state = model.step(state, operation.input, isDefinite(at) ? (operation.output as Output) : UNKNOWN);
    }
  }
  return state;
}
