import type { Bench } from "./bench.ts";
import { failover } from "./failover.ts";
import { growth } from "./growth.ts";
import { latency } from "./latency.ts";
import { limit } from "./limit.ts";
import { reads } from "./reads.ts";
import { recovery } from "./recovery.ts";
import { sequential } from "./sequential.ts";
import { start } from "./start.ts";
import { throughput } from "./throughput.ts";
import { versus } from "./versus.ts";

/** All benchmarks, in the order in which they run. */
export const BENCHES: readonly Bench[] = [
  throughput,
  limit,
  latency,
  reads,
  sequential,
  failover,
  recovery,
  start,
  growth,
  versus,
];
