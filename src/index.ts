/** `flotilla`: a cluster of Raft peers inside this process, each an actor in a thread of its own. */
export type { PeerFields, PeerState, PeerStatus } from "./actors/board.ts";
export type { EventDiagnostic, ProposeDiagnostic } from "./actors/diagnostics.ts";
export type { ClusterEvents, EventsOptions } from "./actors/event-feed.ts";
export type { Faults } from "./actors/fault-control.ts";
export type { LinkRule } from "./actors/faults.ts";
export type { LabrpcProfile } from "./actors/labrpc.ts";
export type { Logger } from "./actors/logger.ts";
export type { HistogramValue, Metric, MetricLabels, MetricValue } from "./actors/metrics.ts";
export type { Counters, PeerCounters } from "./actors/network.ts";
export type { MachineOptions, RestartOptions, SupervisorOptions } from "./actors/options.ts";
export { Peer, type Proposed, type ProposeOptions, type QueryOptions, type WaitOptions } from "./actors/peer-handle.ts";
export type { AppliedEntry, ClusterEvent, Consistency, Trace, TracedMessage, TraceStep } from "./actors/protocol.ts";
export { Session } from "./actors/session.ts";
export type { SessionOptions } from "./actors/session-options.ts";
export { Supervisor } from "./actors/supervisor.ts";
export type { KeyValueChange, KeyValueChanges } from "./machine/change-history.ts";
export { durableKeyValueMap } from "./machine/durable-key-value.ts";
export { KeyValueMap, type KeyValueMapOptions } from "./machine/key-value.ts";
export type {
  CompareAndSwapResult,
  KeyValueAnswer,
  KeyValueCommand,
  KeyValueEntry,
  KeyValuePage,
  KeyValueQuery,
  KeyValueRange,
  KeyValueResult,
  KeyValueTransaction,
  KeyValueWrite,
  SetResult,
  TransactionResult,
  VersionCheck,
} from "./machine/key-value-types.ts";
export type {
  ApplyContext,
  DurableStateMachine,
  Restoration,
  StateMachine,
  StateMachineClass,
  StateRange,
  StateReader,
  StateWriter,
} from "./machine/state-machine.ts";
export { type Outcome, RaftError, type RaftErrorCode, type RaftErrorInfo } from "./raft/errors.ts";
export type { MessageType, PeerId } from "./raft/message.ts";
export type { Role } from "./raft/state.ts";
export type { Durability } from "./storage/store.ts";
