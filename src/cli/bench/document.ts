/** What is measured once a run: the median of the runs, and their spread. */
export interface Figure {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** One value a run, in their order. */
  readonly runs: readonly number[];
}

/** A distribution: at each part of the values, 0 to 1, the value that they do not exceed. Ascending. */
export interface Distribution {
  readonly unit: "ms";
  readonly count: number;
  readonly quantiles: readonly (readonly [part: number, value: number])[];
}

/** One line of a benchmark's table. */
export interface BenchResult {
  /** The benchmark's name. */
  readonly bench: string;
  /** What was measured: "flotilla", "bare pipeline", "etcd 3.4.23", ... */
  readonly series: string;
  /** What tells this line from others of its series: peers, outstanding commands, durability, ... */
  readonly parameters: Readonly<Record<string, string | number>>;
  /** By name; the name says the unit. */
  readonly figures: Readonly<Record<string, Figure>>;
  /** Over all runs. */
  readonly distribution?: Distribution;
  /** What must be known to read the figures rightly. */
  readonly notes?: readonly string[];
}

/** A benchmark that was not run, and why. */
export interface Skipped {
  readonly bench: string;
  readonly reason: string;
}

/** What figures were measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly system: string;
  /** Of the file system with the stores. */
  readonly disk: string;
  /** How many threads wanted a core when the benchmark began; far above 0 the figures say little. */
  readonly load: number;
  /** node, flotilla, lmdb, ... */
  readonly versions: Readonly<Record<string, string>>;
  /** Those that Node was started with, but for modules to load. */
  readonly flags: readonly string[];
}

/** What `--json` writes, and `--report` draws. */
export interface BenchDocument {
  readonly format: 1;
  /** When it began, as ISO 8601. */
  readonly at: string;
  /** The command line that makes it again. */
  readonly command: string;
  readonly machine: Machine;
  readonly results: readonly BenchResult[];
  readonly skipped: readonly Skipped[];
}
