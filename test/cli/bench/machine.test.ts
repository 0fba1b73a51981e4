import { expect, it } from "vitest";
import { machineLine, nodeFlags } from "../../../src/cli/bench/machine.ts";

it("Flags of Node that change how it runs are told, of its command line and of its environment", () => {
  expect(nodeFlags(["--v8-pool-size=2"], "--max-semi-space-size=64  --no-opt")).toEqual([
    "--v8-pool-size=2",
    "--max-semi-space-size=64",
    "--no-opt",
  ]);
  expect(nodeFlags([], undefined)).toEqual([]);
});

it("Modules that Node loads first are no such flags", () => {
  const tsx = ["--require", "/tsx/preflight.cjs", "--import", "file:///tsx/loader.mjs", "--v8-pool-size=2"];
  expect(nodeFlags(tsx, "-r ./hook.js --import=data:text/javascript,0")).toEqual(["--v8-pool-size=2"]);
});

it("The machine's line has them behind the version of Node", () => {
  const machine = {
    ...{ cpu: "A", cores: 2, memoryGib: 4, system: "Linux 6", disk: "ext4", load: 0 },
    versions: { node: "v20.19.0", flotilla: "1.0.0", lmdb: "3.5.6" },
    flags: ["--v8-pool-size=2"],
  };
  expect(machineLine(machine)).toContain("Node v20.19.0 --v8-pool-size=2, flotilla 1.0.0");
  expect(machineLine({ ...machine, flags: [] })).toContain("Node v20.19.0, flotilla 1.0.0");
});
