export type {
  Asked,
  Digest,
  RaftRecord,
  RecordedBatch,
  RecordedCall,
  RecordedEffects,
  RecordedMessage,
  RecordedOutgoing,
  RecordedSave,
  RecordedState,
  RecordedStep,
  RecordSink,
  RecordStart,
} from "../actors/record.ts";
export { RecordedRaft, type RecordTargets } from "../actors/recorded-raft.ts";
export type { Supervisor } from "../actors/supervisor.ts";
export { type Cluster, type ClusterOptions, spawnCluster } from "./cluster.ts";
export {
  type ClientId,
  type Completion,
  History,
  type Invocation,
  type Operation,
  type OperationOutcome,
} from "./history.ts";
export { formatHistory, type KeyValueOperation, parseHistory } from "./history-lines.ts";
export { LabError } from "./lab-error.ts";
export type { Began, Committed, LabHelpers, Totals } from "./lab-helpers.ts";
export {
  type CheckOptions,
  type CheckResult,
  checkLinearizable,
  type Violation,
} from "./linearizability/check.ts";
export { type CounterInput, counterModel } from "./linearizability/counter.ts";
export { explain } from "./linearizability/explain.ts";
export { type KeyValueInput, type KeyValueOutput, keyValueModel } from "./linearizability/key-value.ts";
export { type Model, type ModelOperation, type OrUnknown, UNKNOWN } from "./linearizability/model.ts";
export type { Exhausted } from "./linearizability/partition.ts";
export { drawHistory } from "./linearizability/picture.ts";
export { type RegisterInput, type RegisterOutput, registerModel } from "./linearizability/register.ts";
export { MemoryRecord } from "./memory-record.ts";
export {
  drawNemesis,
  type NemesisFault,
  type NemesisOptions,
  type NemesisStep,
  type PartitionShape,
  runNemesis,
} from "./nemesis.ts";
export { readRecords } from "./read-records.ts";
export {
  type Conformance,
  checkConformance,
  explainRejection,
  type Rejection,
} from "./reference/check.ts";
export type { Rule } from "./reference/rules.ts";
export { replay } from "./replay.ts";
export { ReplayError } from "./replay-error.ts";
export type { CheckName } from "./simulator/checks/violation.ts";
export type { SimulationFailure } from "./simulator/investigate.ts";
export type { RunResult } from "./simulator/run.ts";
export type { Reduction } from "./simulator/shrink.ts";
export { type SimulateOptions, type SimulationReport, simulate } from "./simulator/simulate.ts";
export type { Workload } from "./simulator/workload.ts";
export { timeline } from "./timeline.ts";
