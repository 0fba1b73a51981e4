import type { HardState, Save } from "../raft/effects.ts";
import type { Batch, Configuration } from "../raft/entry.ts";
import type { TermRun } from "../raft/log.ts";

/** Whose store this is. The store repeats it, so that a store put in another's place is found out. */
export interface StoreIdentity {
  readonly cluster: string;
  readonly peer: string;
  /** Made once, when the cluster is: a peer whose store is gone does not get a second one under its name. */
  readonly store: string;
}

/** What every store is told when it is opened. */
export interface StoreOptions {
  readonly identity: StoreIdentity;
  /** The voters the cluster begins with. What is stored wins; other voters than those stored are an error. */
  readonly configuration: Configuration;
  /**
   * Whether this store was opened before, as the caller remembers it. If so it must be there; if not it is made, or
   * taken as it is when it was made just before a crash.
   */
  readonly born: boolean;
}

/** What a peer knows when it starts. */
export interface StoredState {
  /** How often this store has been opened by a peer, this time included; durable before `open` returns. */
  readonly incarnation: number;
  /** Whether any peer opened it before: such a peer may have made promises that are not written down. */
  readonly used: boolean;
  readonly hardState: HardState;
  readonly configuration: Configuration;
  /** The range of the log; never empty, since the configuration is its first entry. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** The time stamp of the last entry. */
  readonly lastTime: number;
  /** Where each term begins in the log, ascending; the first begins at `firstIndex`. */
  readonly terms: readonly TermRun[];
  /** Positions (see entry.ts) at which the live log begins and ends. */
  readonly firstPosition: number;
  readonly endPosition: number;
}

/**
 * What a peer must not forget. All calls but `close` are synchronous and throw when they fail; after a `save` that
 * threw the store is not to be used again: what is on disk is known only to the one who opens it next.
 *
 * An implementation proves itself with `storeConformance`.
 */
export interface Store {
  /** What was there when the store was opened. */
  readonly state: StoredState;

  /**
   * Writes all of `save` in one atomic step; on return it is as durable as this store promises. The batches carry
   * their positions; their checksums are filled in, in place. The first entry of the log is never dropped.
   * @throws RaftError `ERR_STORAGE_FAILED` with the cause when the disk refuses; from then on every save throws it.
   */
  save(save: Save): void;

  /**
   * Batches from the one that holds entry `from` on, consecutive, until they take `maxBytes` (the last may go beyond)
   * or the log ends; at least one. The first may begin before `from`. The bytes are the caller's.
   * @param from an index in the log.
   * @throws RaftError `ERR_STORAGE_CORRUPT` when a record fails its checksum or is not there.
   */
  read(from: number, maxBytes: number): Batch[];

  /** Gives everything back. No other call may follow; a second one does nothing. */
  close(): Promise<void>;
}

/** What the durability of a save is worth: it survives a power loss, or only the death of the process. */
export type Durability = "disk" | "process";
