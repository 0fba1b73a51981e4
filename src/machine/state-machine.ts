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
  /**
   * Carries out a command that lies from `start` to `end` of `bytes`, as {@link encode} has written it: for a machine to which
   * decoding would be most of the work. It is asked before `apply`, and what it does not take is decoded and given to that; it
   * has to come to the same. The bytes are the log's, which frees them: not to be written to, and to be copied by whom they shall
   * outlive the call. A subclass that overrides `apply` has to override this too, or it is not asked.
   * @returns the result; undefined when the command is to be decoded, and then nothing has changed.
   */
  applyEncoded?(bytes: Uint8Array, start: number, end: number, context: ApplyContext): Result | undefined;
  /** Answers from the state, and leaves it alone. Synchronous too. */
  query(query: Query): Answer;
  /**
   * What is to be done before this query is asked: for work that would hold the peer up, such as an index that is made when it is
   * first needed. It is done step by step, a millisecond or less each, with commands and other queries in between, and the query
   * is asked when it is over. It must not change what any query answers; what it throws ends it, and leaves the answer to `query`.
   * A subclass that overrides `query` has to override this too, or it is not asked.
   * @returns undefined when there is nothing to do.
   */
  prepareQuery?(query: Query): Iterator<unknown> | undefined;
  /** A frozen view of the state: bytes, or chunks that are pulled later, while further commands are applied. */
  snapshot(): Uint8Array | Iterable<Uint8Array>;
  /**
   * Replaces the whole state by that of a snapshot; builds it aside first, so that a throw changes nothing. The chunks are
   * the machine's to keep.
   */
  restore(chunks: Iterable<Uint8Array>): void;
  /**
   * Begins to take in a snapshot whose chunks come one by one, with commands and queries in between: for a machine with a
   * large state. Without it a follower that is sent a snapshot calls `restore` when all of it is there, and hears nobody until that
   * returns. It has to come to the same. A subclass that overrides `restore` has to override this too, or it is not asked.
   */
  beginRestore?(): Restoration;
}

/**
 * A state that is being built aside from a snapshot. Until `finish` it has no bearing on the machine, and it may be dropped at any
 * time. What its methods throw says that the snapshot cannot be restored, which `restore` will say too.
 */
export interface Restoration {
  /** Takes in the next chunk, which is the machine's to keep. Synchronous. */
  add(chunk: Uint8Array): void;
  /** There are no more chunks: replaces the whole state. A throw changes nothing. */
  finish(): void;
}

/** What a durable state machine reads its state from: values under strings, in the order of the strings' UTF-16 units. */
export interface StateReader {
  /**
   * The value at `key`, a copy; undefined when there is none.
   * @throws Error for a key that can hold nothing, see {@link StateWriter.put}.
   */
  get(key: string): unknown;
  /**
   * Keys and values, in order. What is written while they are read is among them if it comes behind the last one.
   * @param range which keys: those with `prefix`, from `from` on, before `to`; by default all.
   */
  entries(range?: StateRange): Iterable<readonly [key: string, value: unknown]>;
}

/** Which keys of a durable state are wanted; all that is given counts. */
export interface StateRange {
  readonly prefix?: string | undefined;
  /** Inclusive. */
  readonly from?: string | undefined;
  /** Exclusive. */
  readonly to?: string | undefined;
}

/** The state as one command may change it. It is of no use any more when `apply` has returned. */
export interface StateWriter extends StateReader {
  /**
   * @param key a string of at most 1,200 bytes in UTF-8, without half surrogate pairs; it may be empty.
   * @param value anything that {@link encode} takes, but not undefined. It is encoded at once.
   * @throws Error for another key, RaftError `ERR_INVALID_COMMAND` for a value that cannot be encoded.
   */
  put(key: string, value: unknown): void;
  /** @returns whether there was a value. */
  delete(key: string): boolean;
}

/**
 * A state machine whose state is in the peer's store, and not in the memory of its thread: it may be larger than that, and
 * a peer that is started again has it at once, with hardly anything of the log to apply. In exchange every reading goes to
 * the store, and every value is encoded. As deterministic as a {@link StateMachine} has to be; it keeps nothing in its
 * fields that a command's result depends on.
 *
 * What commands write is gathered in memory and reaches the disk with the next write of the log, or soon after when there
 * is none; a crash before that has the commands applied again, to the state that was there before them. Snapshots are
 * made of the state by the peer itself.
 */
export interface DurableStateMachine<Command = unknown, Result = unknown, Query = unknown, Answer = unknown> {
  /** Tells the two kinds apart. */
  readonly durable: true;
  /** Of what is in the state; default 0. A state of a newer version is refused, for an older one see `migrate`. */
  readonly version?: number;
  /**
   * Carries out a command. What it throws is the command's result, and then nothing of what it wrote is kept. Synchronous:
   * a promise is reported as an error, and nothing is kept either.
   */
  apply(command: Command, context: ApplyContext, state: StateWriter): Result;
  /** Answers from the state. Synchronous too. */
  query(query: Query, state: StateReader): Answer;
  /**
   * Turns a state of version `from` into one of this version; called before anything else, with the state found in the
   * store, or with that of a leader's snapshot. Without it a state of an older version is refused. All that it writes
   * waits in memory until it returns.
   */
  migrate?(from: number, state: StateWriter): void;
  /**
   * The state is the one after entry `index`: called after a start, and when a leader's snapshot has taken the place of the
   * state. Here a machine makes what it keeps in memory beside its state, such as a cache.
   */
  opened?(state: StateReader, index: number): void;
}

/** Of either kind. */
export type AnyStateMachine = StateMachine | DurableStateMachine;

/** The class that a machine module exports by default. */
export type StateMachineClass = new (options?: unknown) => AnyStateMachine;
