import { agreement } from "./agreement.ts";
import { churn } from "./churn.ts";
import { economy } from "./economy.ts";
import { elections } from "./elections.ts";
import { persistence } from "./persistence.ts";
import type { Scenario } from "./scenario.ts";
import { snapshots } from "./snapshots.ts";

export { runScenario } from "./run.ts";
export type { LabColumns, Scenario } from "./scenario.ts";

/** The tests of the parts 3A to 3D of the 6.5840 Raft lab, with its numbers. */
export const scenarios: readonly Scenario[] = [
  ...elections,
  ...agreement,
  ...economy,
  ...persistence,
  ...churn,
  ...snapshots,
];
