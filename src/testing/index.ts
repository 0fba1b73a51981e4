export type { Supervisor } from "../actors/supervisor.ts";
export { type Cluster, type ClusterOptions, spawnCluster } from "./cluster.ts";
export { LabError } from "./lab-error.ts";
export type { Began, Committed, LabHelpers, Totals } from "./lab-helpers.ts";
export { type Observed, timeline } from "./timeline.ts";
