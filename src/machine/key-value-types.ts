import type { KeyValueChanges } from "./change-history.ts";

/**
 * A command about one key. Keys are strings of 1 to {@link MAX_KEY_BYTES} bytes in UTF-8; values are anything that can be
 * encoded, but undefined: that stands for "no such key".
 */
export type KeyValueWrite =
  | { readonly op: "put"; readonly key: string; readonly value: unknown }
  /** A put that is done only if `version` is that of the key, 0 for no such key; left out: in any case. */
  | { readonly op: "set"; readonly key: string; readonly value: unknown; readonly version?: number | undefined }
  /** Reads as a command, and so in the order of the log. A query is cheaper. */
  | { readonly op: "get"; readonly key: string }
  /** Adds to the end of a string, or makes one. Anything else at the key is an error. */
  | { readonly op: "append"; readonly key: string; readonly value: string }
  | { readonly op: "delete"; readonly key: string }
  /** Puts `value` if `expected` is there: the same by structure, or, when undefined, no such key. It must be given. */
  | { readonly op: "cas"; readonly key: string; readonly expected: unknown; readonly value: unknown };

/** Several commands that are carried out together, each seeing what those before it did, or none of them. */
export interface KeyValueTransaction {
  readonly op: "txn";
  /** Nothing is done unless each of these keys has this version; 0: no such key. Default: no conditions. */
  readonly checks?: readonly VersionCheck[] | undefined;
  readonly commands: readonly KeyValueWrite[];
}

/** A condition of a {@link KeyValueTransaction}. */
export interface VersionCheck {
  readonly key: string;
  readonly version: number;
}

/** What a `KeyValueMap` can be told. */
export type KeyValueCommand = KeyValueWrite | KeyValueTransaction;

interface KeyValueResults {
  /** Whether the key was there before. */
  put: boolean;
  set: SetResult;
  /** The value, or undefined. */
  get: unknown;
  /** The length of the string that is there now, in UTF-16 units. */
  append: number;
  /** Whether the key was there before. */
  delete: boolean;
  cas: CompareAndSwapResult;
  txn: TransactionResult;
}

/** What a `set` came to. */
export interface SetResult {
  /** False: the key had another version, and nothing was done. */
  readonly ok: boolean;
  /** The version that the key has now. */
  readonly version: number;
}

/** What a `cas` came to. */
export interface CompareAndSwapResult {
  readonly swapped: boolean;
  /** If not swapped: what is there instead. */
  readonly value: unknown;
}

/** What a `txn` came to. */
export interface TransactionResult {
  /** False: a check failed, and nothing was done. */
  readonly ok: boolean;
  /** Of the commands, in their order. */
  readonly results: readonly unknown[];
  /** The check that failed first, with the version that the key has. */
  readonly conflict: VersionCheck | undefined;
}

/** What a command of kind `Command` comes to. */
export type KeyValueResult<Command extends KeyValueCommand = KeyValueCommand> = KeyValueResults[Command["op"]];

/** What a `KeyValueMap` can be asked. */
export type KeyValueQuery =
  | { readonly op: "get"; readonly key: string }
  /** The value with its version. */
  | { readonly op: "entry"; readonly key: string }
  /** All keys, or those that begin with `prefix`, sorted by UTF-16 unit. */
  | { readonly op: "keys"; readonly prefix?: string }
  | ({ readonly op: "scan" } & KeyValueRange)
  /** What has changed behind the entry `after`, of one key or of those that begin with `prefix`. */
  | {
      readonly op: "changes";
      readonly after: number;
      readonly key?: string | undefined;
      readonly prefix?: string | undefined;
    }
  | { readonly op: "size" }
  /** A hash of all keys, values and versions, to compare the states of peers by. */
  | { readonly op: "digest" };

/** Which keys a `scan` goes through, in the order of their UTF-16 units. */
export interface KeyValueRange {
  /** Default: any. */
  readonly prefix?: string | undefined;
  /** The first key; default: the first there is. */
  readonly from?: string | undefined;
  /** The key before which it ends; default: none. */
  readonly to?: string | undefined;
  /** The most entries in a page, 1 to 1,000; default 100. A page ends earlier when it takes more than about 1 MiB. */
  readonly limit?: number | undefined;
}

/** A key with what is there. */
export interface KeyValueEntry {
  readonly key: string;
  readonly value: unknown;
  /** How often the key was written since it was made: 1 at first. A key that was deleted begins again. */
  readonly version: number;
}

/** A part of what a `scan` finds. */
export interface KeyValuePage {
  readonly entries: readonly KeyValueEntry[];
  /** Where the next page begins; undefined when this was the last. */
  readonly next: string | undefined;
}

interface KeyValueAnswers {
  /** The value, or undefined. */
  get: unknown;
  entry: KeyValueEntry | undefined;
  keys: string[];
  scan: KeyValuePage;
  changes: KeyValueChanges;
  size: number;
  /** SHA-256 in hex. */
  digest: string;
}

/** What a query of kind `Query` is answered. */
export type KeyValueAnswer<Query extends KeyValueQuery = KeyValueQuery> = KeyValueAnswers[Query["op"]];

/** The longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1_024;

/** The longest string that `append` makes, in UTF-16 units. */
export const MAX_STRING_LENGTH = 16 << 20;
