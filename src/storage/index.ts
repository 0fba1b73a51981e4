/** The stores of a peer, and what the author of another one needs. */

export { type ConformanceCase, type StoreFactory, type StoreFixture, storeConformance } from "./conformance.ts";
export { type Gate, type HeldGate, heldGate, noGate } from "./gate.ts";
export { LmdbStore, type LmdbStoreOptions } from "./lmdb.ts";
export { MemoryDisk, MemoryStore, type MemoryStoreOptions } from "./memory.ts";
export type { FrozenTable, KeyedRecord, KeyRange } from "./records.ts";
export type {
  AppliedState,
  Durability,
  MachineChange,
  MachineTable,
  Store,
  StoredState,
  StoreIdentity,
  StoreOptions,
} from "./store.ts";
