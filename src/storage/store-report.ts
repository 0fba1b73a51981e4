import type { HardState, SnapshotInfo } from "../raft/effects.ts";
import type { Configuration, EntryKind } from "../raft/entry.ts";
import type { TermRun } from "../raft/log.ts";
import type { AppliedState, StoreIdentity } from "./store.ts";

/** What is in a store, as plain data. What cannot be read is undefined, and `problems` says why. */
export interface StoreReport {
  /** Of the layout of the records; in a later one than this version knows, nothing else is looked at. */
  readonly format: number | undefined;
  readonly identity: StoreIdentity | undefined;
  /** How often the store was opened by a peer. */
  readonly incarnation: number | undefined;
  readonly hardState: HardState | undefined;
  /** The one in force: the snapshot's, or that which the cluster began with. */
  readonly configuration: Configuration | undefined;
  readonly log: LogReport | undefined;
  /** Undefined also when there is none. */
  readonly snapshot: SnapshotInfo | undefined;
  /** Which entry the state of a durable machine stands behind; undefined also when there is none. */
  readonly applied: AppliedState | undefined;
  /** Checksums found good and bad; and how many of those records are only waiting to be removed. */
  readonly records: { readonly good: number; readonly bad: number; readonly unused: number };
  /** What is wrong, the first of it; empty when nothing was found. */
  readonly problems: readonly string[];
  /** Things to know that are no damage. */
  readonly remarks: readonly string[];
}

/** The live log. */
export interface LogReport {
  readonly firstIndex: number;
  /** Just before `firstIndex` when the log is empty. */
  readonly lastIndex: number;
  /** Where each term begins; the first run reaches back to the entry before `firstIndex`. */
  readonly terms: readonly TermRun[];
  /** Records, and the bytes in them; undefined when they were not all read. */
  readonly batches: number | undefined;
  readonly bytes: number | undefined;
}

/** An entry of the log. */
export interface EntryReport {
  readonly index: number;
  readonly term: number;
  readonly time: number;
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

/** How much of a store is read. */
export type ReadingDepth =
  /** The pages of the file and every record. */
  | "all"
  /** What a peer reads when it starts: all that is not log or snapshot, and the two ends of the log. */
  | "ends";

/** Before anything was read. */
export const EMPTY_REPORT: StoreReport = {
  format: undefined,
  identity: undefined,
  incarnation: undefined,
  hardState: undefined,
  configuration: undefined,
  log: undefined,
  snapshot: undefined,
  applied: undefined,
  records: { good: 0, bad: 0, unused: 0 },
  problems: [],
  remarks: [],
};
