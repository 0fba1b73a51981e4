/** What a state machine is told beside a command. The same on every peer. */
export interface ApplyContext {
  /** Of the command's entry in the log; ascending, with gaps where the log holds entries of its own. */
  readonly index: number;
  readonly term: number;
  /** The leader's wall clock in milliseconds when it took the command, never going back: the only clock to use. */
  readonly time: number;
}

/**
 * What every peer runs over the same commands in the same order, and so arrives at the same state. It must be
 * deterministic: no clock, no random numbers, no state shared between instances, no iteration in an order that depends
 * on anything but the commands.
 *
 * Its module's default export is the class; a peer makes one instance with `new Class(options)`.
 */
export interface StateMachine<Command = unknown, Result = unknown, Query = unknown, Answer = unknown> {
  /** Of the snapshot format; default 0. A snapshot of a newer version is refused. */
  readonly version?: number;
  /**
   * Carries out a command. What it throws is the command's result, so it must throw before it changes anything.
   * Synchronous: a promise is reported as an error. What it returns is read after further commands were applied, so a
   * part of the state that they change is to be copied; and it must be fit to be encoded (see `encode`).
   */
  apply(command: Command, context: ApplyContext): Result;
  /** Answers from the state, and leaves it alone. Synchronous too. */
  query(query: Query): Answer;
  /** A frozen view of the state: bytes, or chunks that are pulled later, while further commands are applied. */
  snapshot(): Uint8Array | Iterable<Uint8Array>;
  /** Replaces the whole state by that of a snapshot; builds it aside first, so that a throw changes nothing. */
  restore(chunks: Iterable<Uint8Array>): void;
}

/** The class that a machine module exports by default. */
export type StateMachineClass = new (options?: unknown) => StateMachine;
