import type { HardState, Save, SnapshotInfo } from "../raft/effects.ts";
import type { Batch, Configuration } from "../raft/entry.ts";
import type { TermRun } from "../raft/log.ts";
import type { FrozenTable, KeyedRecord, KeyRange } from "./records.ts";

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

/** Which entry the state of a durable machine stands behind. */
export interface AppliedState {
  /** lastApplied: of the last entry whose effect is in it. */
  readonly index: number;
  /** The time stamp of that entry. */
  readonly time: number;
  /** Of the state machine that wrote it. */
  readonly version: number;
}

/** What a durable machine's state comes to by applying entries. */
export interface MachineChange {
  readonly applied: AppliedState;
  /** New values, ready to be copied; undefined removes the record, if there is one. A key comes once. */
  readonly records: readonly { readonly key: string; readonly value: Uint8Array | undefined }[];
}

/** The state of a durable machine: bytes under strings, in the order of their UTF-16 units. */
export interface MachineTable {
  /** The bytes are the caller's. @throws RaftError `ERR_STORAGE_CORRUPT` when the record fails its checksum. */
  get(key: string): Uint8Array | undefined;
  /**
   * Fewer than `limit` records only when there are no more, or when they take more than about 1 MiB; at least one.
   * @throws RaftError as `get` does.
   */
  page(range: KeyRange): KeyedRecord[];
  /** The table as it is now, to be read while it changes: a read transaction. */
  freeze(): FrozenTable;
  /**
   * Puts another state in the place of all that is there: in bounded writes, the last of which brings it into force. A
   * crash before that leaves the state that was there. Whatever was frozen must be released.
   * @param records in any order; a key comes once.
   * @throws what `records` throws, and then the state is what it was; RaftError as `save` does.
   */
  replace(records: Iterable<KeyedRecord>, applied: AppliedState): void;
}

/** What a peer knows when it starts. */
export interface StoredState {
  /** How often this store has been opened by a peer, this time included; durable before `open` returns. */
  readonly incarnation: number;
  /** Whether any peer opened it before: such a peer may have made promises that are not written down. */
  readonly used: boolean;
  readonly hardState: HardState;
  /** The snapshot's, or, without one, the one the cluster began with. */
  readonly configuration: Configuration;
  readonly snapshot: SnapshotInfo | undefined;
  /** What is in `machine`; undefined when no durable machine has left anything there. Committed, as the snapshot is. */
  readonly applied: AppliedState | undefined;
  /**
   * The range of the log. It begins with entry 1 or behind one that the snapshot covers, and reaches to the snapshot's
   * entry at least; when all was compacted it is empty, and `lastIndex` is just before `firstIndex`.
   */
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** The time stamp of the last entry, even when that was compacted away. */
  readonly lastTime: number;
  /**
   * Where each term begins, ascending. The first run holds the entry before `firstIndex`, whose term is still asked for,
   * and may begin long before it; only in a log from entry 1 on there is no such entry.
   */
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

  /** The state of a durable machine, as of the last save that brought a change of it. */
  readonly machine: MachineTable;

  /**
   * Writes all of `save`, and with it what became of a durable machine, in one atomic step; on return it is as durable as this store promises. The batches carry
   * their positions, which continue those of the batches before them, but may begin anywhere when the log is empty; their
   * checksums are filled in, in place.
   *
   * What is set aside is forgotten when the store is closed or crashes. What a save lets go of (the snapshot before, what
   * was set aside in vain, compacted entries) is out of sight at once, and its records are removed little by little, with
   * later saves or by `sweep`: no save takes longer for how much was let go.
   * @throws RaftError `ERR_STORAGE_FULL` or `ERR_STORAGE_FAILED` with the cause when the disk refuses; InvariantError
   * when a chunk is not the next one, when what is set aside is not what the snapshot says, or when the log and the
   * snapshot would not meet.
   * From then on every save throws the same.
   */
  save(save: Save, change?: MachineChange): void;

  /**
   * Removes some of the records that nothing refers to any more, in a write of its own; for when there is nothing else
   * to do. Saves remove them too, and more of them than they add.
   * @returns whether there are more.
   * @throws RaftError as `save` does.
   */
  sweep(): boolean;

  /**
   * Batches from the one that holds entry `from` on, consecutive, until they take `maxBytes` (the last may go beyond)
   * or the log ends; at least one. The first may begin before `from`. The bytes are the caller's, with the buffer that each
   * batch has of its own.
   * @param from an index in the log.
   * @throws RaftError `ERR_STORAGE_CORRUPT` when a record fails its checksum or is not there.
   */
  read(from: number, maxBytes: number): Batch[];

  /**
   * A chunk of the snapshot, in a buffer of its own that is the caller's; undefined when the snapshot is not the one that
   * ends with `index`.
   * @param chunk counted from 0, less than the snapshot's `chunks`.
   * @throws RaftError `ERR_STORAGE_CORRUPT` when the chunk fails its checksum or is not there.
   */
  readChunk(index: number, chunk: number): Uint8Array | undefined;

  /**
   * The chunks of the snapshot in their order, each read when it is asked for; none when there is no snapshot.
   * No other snapshot may be saved before the last of them was read.
   * @throws RaftError as `readChunk` does, at the chunk concerned.
   */
  readSnapshot(): Iterable<Uint8Array>;

  /** Gives everything back. No other call may follow; a second one does nothing. */
  close(): Promise<void>;
}

/** What the durability of a save is worth: it survives a power loss, or only the death of the process. */
export type Durability = "disk" | "process";
