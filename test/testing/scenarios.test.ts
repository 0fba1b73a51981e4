import { describe, expect, test } from "vitest";
import { scenarios } from "../../src/testing/lab/index.ts";

describe("The lab's scenarios", () => {
  test("are those of Raft, of the layer above it, and of the key-value service", () => {
    expect(scenarios.map(({ name }) => name)).toEqual([
      ...["InitialElection3A", "ReElection3A", "ManyElections3A"],
      ...["BasicAgree3B", "RPCBytes3B", "FollowerFailure3B", "LeaderFailure3B", "FailAgree3B", "FailNoAgree3B"],
      ...["Rejoin3B", "ConcurrentStarts3B", "Backup3B", "Count3B"],
      ...["Persist13C", "Persist23C", "Persist33C", "Figure83C", "Figure8Unreliable3C"],
      ...["UnreliableAgree3C", "ReliableChurn3C", "UnreliableChurn3C"],
      ...["SnapshotBasic3D", "SnapshotInstall3D", "SnapshotInstallUnreliable3D"],
      ...["SnapshotInstallCrash3D", "SnapshotInstallUnCrash3D", "SnapshotAllCrash3D", "SnapshotInit3D"],
      ...["RsmBasic4A", "RsmConcurrent4A", "RsmLeaderFailure4A", "RsmLeaderPartition4A", "RsmRestartReplay4A"],
      ...["RsmShutdown4A", "RsmRestartSubmit4A", "RsmSnapshot4C"],
      ...["Basic4A", "Speed4A", "Concurrent4A", "Unreliable4A", "UnreliableOneKey4A", "OnePartition4A"],
      ...["ManyPartitionsOneClient4A", "ManyPartitionsManyClients4A", "PersistOneClient4A", "PersistConcurrent4A"],
      ...["PersistConcurrentUnreliable4A", "PersistPartition4A", "PersistPartitionUnreliable4A"],
      ...["PersistPartitionUnreliableLinearizable4A", "VersionedPutReliable4A"],
      ...["VersionedPutUnreliable4A", "VersionedPut4A", "SnapshotRPC4B", "SnapshotSize4B", "Speed4B"],
      ...["SnapshotRecover4B", "SnapshotRecoverManyClients4B", "SnapshotUnreliable4B", "SnapshotUnreliableRecover4B"],
      "SnapshotUnreliableRecoverConcurrentPartition4B",
      "SnapshotUnreliableRecoverConcurrentPartitionLinearizable4B",
    ]);
  });

  test("belong to the part that their name says", () => {
    for (const { name, part } of scenarios) expect(name.endsWith(part)).toBe(true);
  });
});
