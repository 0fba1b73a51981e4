import { describe, expect, test } from "vitest";
import { scenarios } from "../../src/testing/lab/index.ts";

describe("The lab's scenarios", () => {
  test("are those of its parts A to D", () => {
    expect(scenarios.map(({ name }) => name)).toEqual([
      ...["InitialElection3A", "ReElection3A", "ManyElections3A"],
      ...["BasicAgree3B", "RPCBytes3B", "FollowerFailure3B", "LeaderFailure3B", "FailAgree3B", "FailNoAgree3B"],
      ...["Rejoin3B", "ConcurrentStarts3B", "Backup3B", "Count3B"],
      ...["Persist13C", "Persist23C", "Persist33C", "Figure83C", "Figure8Unreliable3C"],
      ...["UnreliableAgree3C", "ReliableChurn3C", "UnreliableChurn3C"],
      ...["SnapshotBasic3D", "SnapshotInstall3D", "SnapshotInstallUnreliable3D"],
      ...["SnapshotInstallCrash3D", "SnapshotInstallUnCrash3D", "SnapshotAllCrash3D", "SnapshotInit3D"],
    ]);
  });

  test("belong to the part that their name says", () => {
    for (const { name, part } of scenarios) expect(name.endsWith(part)).toBe(true);
  });
});
