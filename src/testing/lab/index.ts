import { agreement } from "./agreement.ts";
import { churn } from "./churn.ts";
import { economy } from "./economy.ts";
import { elections } from "./elections.ts";
import { keyValue } from "./kv-scenarios.ts";
import { persistence } from "./persistence.ts";
import { rsm } from "./rsm.ts";
import type { Scenario } from "./scenario.ts";
import { snapshots } from "./snapshots.ts";

export { runScenario } from "./run.ts";
export type { LabColumns, Scenario } from "./scenario.ts";

/** The tests of the 6.5840 labs with their numbers: 3A to 3D are on Raft, 4A to 4C on services above it. */
export const scenarios: readonly Scenario[] = [
  ...elections,
  ...agreement,
  ...economy,
  ...persistence,
  ...churn,
  ...snapshots,
  ...rsm,
  ...keyValue,
];
