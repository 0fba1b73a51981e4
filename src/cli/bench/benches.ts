import type { Bench } from "./bench.ts";
import { limit } from "./limit.ts";
import { throughput } from "./throughput.ts";

/** All benchmarks, in the order in which they run. */
export const BENCHES: readonly Bench[] = [throughput, limit];
