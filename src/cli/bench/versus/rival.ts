import type { BenchContext } from "../bench.ts";
import type { Latencies } from "../latencies.ts";
import type { Stretch } from "../loops.ts";

/** What clients do in the comparison: durable writes of one key each, or linearizable reads. */
export type Operation = "put" | "read";

/** The closed loop that all are put through. */
export interface Contest extends Stretch {
  readonly operation: Operation;
  readonly outstanding: number;
  /** Of a value. */
  readonly bytes: number;
}

/** What one run of it gave. */
export interface ContestRun {
  readonly done: number;
  readonly seconds: number;
  readonly failures: number;
  /** What the first of these said. */
  readonly failure: string | undefined;
  readonly latencies: Latencies;
  /** Of all its processes, in seconds of one core; of that, the client's. Undefined where it cannot be told. */
  readonly cpuSeconds: number | undefined;
  readonly clientCpuSeconds: number | undefined;
}

/** What people would run instead. */
export interface Rival {
  /** With its version. */
  readonly name: string;
  /** In what the comparison is not one of like with like. */
  readonly differs: string;
  /** Starts it in a folder of its own, runs the loop, and stops it. */
  run(context: BenchContext, contest: Contest): Promise<ContestRun>;
}
