/** Stands for the output of an operation whose outcome is unknown. */
export const UNKNOWN: unique symbol = Symbol("unknown");

/** The output of an operation, or that nobody knows it. */
export type OrUnknown<Output> = Output | typeof UNKNOWN;

/** One operation, for a model that looks at all of its partition. Failed ones are not among them. */
export interface ModelOperation<Input, Output> {
  readonly input: Input;
  readonly output: OrUnknown<Output>;
}

/**
 * What an object does when one operation comes after the other: that to which `checkLinearizable` holds a history.
 * States are values that are never changed; `undefined` is none.
 */
export interface Model<State, Input, Output> {
  readonly name: string;
  /** The state before the first operation, of each partition. */
  init(): State;
  /**
   * The state after an operation, or undefined when there it cannot have had this output. With {@link UNKNOWN} any
   * output will do. Pure: it is called again and again, in any order.
   */
  step(state: State, input: Input, output: OrUnknown<Output>): State | undefined;
  /** Operations of different partitions have nothing to do with each other. Default: all are of one. */
  partition?(input: Input): string;
  /** The same text for the same state, and no other. Default: made of plain data; anything else needs its own. */
  stateKey?(state: State): string;
  /** An operation in a few words, for explanations and pictures. Default: input and output as they are. */
  describe?(input: Input, output: OrUnknown<Output>): string;
  /**
   * A model for the operations of one partition, which may take states for one that none of these can tell apart. It
   * must decide as this one does; it only saves work.
   */
  narrow?(operations: readonly ModelOperation<Input, Output>[]): NarrowModel<Input, Output>;
}

/** A model for the operations of one partition. */
export interface NarrowModel<Input, Output> extends Model<unknown, Input, Output> {
  /**
   * The same text for inputs of unknown outcome that do the same to every state; undefined for one that changes nothing
   * that matters.
   */
  effectKey?(input: Input): string | undefined;
}
