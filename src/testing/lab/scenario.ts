import type { Totals } from "../lab-helpers.ts";
import type { Lab } from "./lab.ts";

/** What a scenario used: the columns that the lab's tester prints. */
export interface LabColumns extends Totals {
  readonly seconds: number;
}

/** One of the tests of the 6.5840 labs. */
export interface Scenario {
  /** The lab's name of it. */
  readonly name: string;
  /** What it is about. */
  readonly title: string;
  readonly part: "3A" | "3B" | "3C" | "3D" | "4A" | "4B" | "4C";
  /** What the peers run. Default `log`, whose state is the whole log. */
  readonly machine?: "log" | "counter" | "key-value";
  readonly peers: number;
  /** Whether the network drops and delays messages from the beginning. */
  readonly unreliable: boolean;
  /** Entries that a peer applies between two snapshots. Default 0: it takes none. */
  readonly snapshotEvery?: number;
  /** What the course's own solution used, as its handout of 2023 prints it (of part 4 that of 2022, which has no bytes); undefined where it prints nothing. */
  readonly mit: Partial<LabColumns> | undefined;
  /** @throws LabError when something is not as it should be. */
  run(lab: Lab): Promise<void>;
}
