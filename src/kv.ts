/** `flotilla/kv`: a client of the key-value map that ships, whose every command is carried out exactly once. */
export {
  type KvCallOptions,
  KvClient,
  type KvClientOptions,
  type KvReadOptions,
  type KvTransaction,
} from "./kv/client.ts";
export type { KvChange, KvWatchOptions } from "./kv/watch.ts";
export type {
  CompareAndSwapResult,
  KeyValueEntry,
  KeyValueRange,
  KeyValueWrite,
  SetResult,
  TransactionResult,
  VersionCheck,
} from "./machine/key-value-types.ts";
