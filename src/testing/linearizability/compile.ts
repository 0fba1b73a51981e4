import type { Operation } from "../history.ts";
import { type Model, type NarrowModel, UNKNOWN } from "./model.ts";
import { valueKey } from "./value-key.ts";

/** An operation as the search needs it. */
interface Step {
  /** Where it is in the operations that were given. */
  readonly at: number;
  readonly call: number;
  readonly return: number;
  /** Steps of the same kind have equal inputs and outputs: one may stand for the other. */
  readonly kind: number;
}

/** The operations of a partition, made ready for the search. */
export interface Problem {
  /** Took effect between call and return; sorted by call. */
  readonly definite: readonly Step[];
  /** May have taken effect at any time after the call, or not at all; sorted by call. */
  readonly optional: readonly Step[];
  /** For each optional step the one of the same kind that was called before it, or -1. That one may as well go first. */
  readonly earlier: readonly number[];
  readonly initial: number;
  /** The state after a step of this kind, or -1 when it is not allowed. States are small whole numbers. */
  next(state: number, kind: number): number;
}

/** Whether the operation is known to have taken effect, by the first `completions` of those that are. */
export type IsDefinite = (at: number) => boolean;

/** @param operations of one partition, none of them failed */
export function compile<Input, Output>(
  operations: readonly Operation<Input, Output>[],
  model: Model<unknown, Input, Output>,
  isDefinite: IsDefinite,
): Problem {
  const outputOf = (at: number, { output }: Operation<Input, Output>) =>
    isDefinite(at) ? (output as Output) : UNKNOWN;
  const narrow: NarrowModel<Input, Output> =
    model.narrow?.(operations.map((operation, at) => ({ input: operation.input, output: outputOf(at, operation) }))) ??
    model;
  const kinds: { input: Input; output: Output | typeof UNKNOWN }[] = [];
  const kindOf = new Map<string, number>();
  const steps = operations.flatMap((operation, at): Step[] => {
    const { input, call } = operation;
    const output = outputOf(at, operation);
    const isByEffect = output === UNKNOWN && narrow.effectKey !== undefined;
    const key = isByEffect ? narrow.effectKey?.(input) : keyOf(at, input, output);
    if (key === undefined) return [];
    let kind = kindOf.get(key);
    if (kind === undefined) {
      kind = kinds.push({ input, output }) - 1;
      kindOf.set(key, kind);
    }
    const end = output === UNKNOWN ? Number.POSITIVE_INFINITY : (operation.return ?? Number.POSITIVE_INFINITY);
    return [{ at, call, return: end, kind }];
  });
  steps.sort((one, other) => one.call - other.call || one.return - other.return);

  const definite = steps.filter(({ at }) => isDefinite(at));
  const optional = steps.filter(({ at }) => !isDefinite(at));
  const states = new States((state) => narrow.stateKey?.(state) ?? valueKey(state));
  // Filled as the search asks: it comes back to the same places often.
  const transitions = new Map<number, number>();
  return {
    definite,
    optional,
    earlier: optional.map(({ kind }, at) => optional.findLastIndex((step, other) => other < at && step.kind === kind)),
    initial: states.add(narrow.init()),
    next(state, kind) {
      const place = state * kinds.length + kind;
      const known = transitions.get(place);
      if (known !== undefined) return known;
      const step = kinds[kind];
      const after = step === undefined ? undefined : narrow.step(states.at(state), step.input, step.output);
      const next = after === undefined ? -1 : states.add(after);
      transitions.set(place, next);
      return next;
    },
  };
}

function keyOf(at: number, input: unknown, output: unknown): string {
  try {
    return `${valueKey(input)} ${output === UNKNOWN ? "?" : valueKey(output)}`;
  } catch {
    // No plain data: it is like no other.
    return `#${at}`;
  }
}

/** Numbers states by their keys. */
class States {
  readonly #keyOf: (state: unknown) => string;
  readonly #numbers = new Map<string, number>();
  readonly #states: unknown[] = [];

  constructor(keyOf: (state: unknown) => string) {
    this.#keyOf = keyOf;
  }

  add(state: unknown): number {
    const key = this.#keyOf(state);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#states.push(state) - 1;
    this.#numbers.set(key, number);
    return number;
  }

  at(number: number): unknown {
    return this.#states[number];
  }
}
