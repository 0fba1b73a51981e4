import type { SupervisorOptions } from "../../../actors/options.ts";
import { durableKeyValueMap } from "../../../machine/durable-key-value.ts";
import type { Durability } from "../../../storage/store.ts";
import type { MachineKind, Times } from "../bench.ts";

/** What the parts of the benchmark have in common. */
export interface RecoverySetting extends Times {
  readonly machine: MachineKind;
  readonly durability: Durability;
  /** Of a value. */
  readonly bytes: number;
  /** Commands a second while a follower catches up; 0: half of what the cluster can do. */
  readonly rate: number;
}

/** All ways in which a follower is away. */
export const AWAYS = ["stopped", "partitioned"] as const;

/** How a follower is away: its thread has ended, or nobody hears it and it hears nobody. */
export type Away = (typeof AWAYS)[number];

/** Of a cluster that takes snapshots only when it is told to, and starts a crashed peer at once and again and again. */
export function clusterOptions({ machine, durability }: RecoverySetting): SupervisorOptions {
  return {
    durability,
    snapshotEvery: 0,
    restart: { intensity: Number.POSITIVE_INFINITY, periodMs: 100, backoffMs: [1, 1] },
    ...(machine === "durable" ? { machine: durableKeyValueMap } : {}),
  };
}
