import type { Durability } from "../../storage/store.ts";
import { parseInteger, parseNumber, UsageError } from "../usage.ts";
import type { BenchResult } from "./document.ts";
import type { Stretch } from "./loops.ts";

/** An option of a benchmark, as text; what it means the benchmark says. */
export interface BenchOption {
  readonly default: string;
  /** With `--quick`. */
  readonly quick: string;
  readonly help: string;
}

/** What a run is told beside its options. */
export interface BenchContext {
  /** A folder of its own on a disk, which is removed at the end. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** Says what is being done, for people who wait. */
  progress(what: string): void;
  /** Tells of a part that cannot be run here, and what is missing. */
  skip(reason: string): void;
}

/** That a benchmark cannot run here. The message says what is missing. */
export class CannotRun extends Error {
  override readonly name = "CannotRun";
}

/** A benchmark. */
export interface Bench {
  readonly name: string;
  readonly summary: string;
  readonly options: Readonly<Record<string, BenchOption>>;
  /** Reads the options: what of them makes no sense is found before anything takes time. @throws UsageError */
  prepare(options: OptionValues): BenchRun;
}

/** Runs a benchmark, and gives each result as soon as it is known. @throws CannotRun */
export type BenchRun = (context: BenchContext) => AsyncGenerator<BenchResult>;

/** What those that measure for a while have in common. */
export const TIMES = {
  seconds: { default: "4", quick: "1", help: "of each run, after its warm-up" },
  "warm-up": { default: "8", quick: "1", help: "seconds of load before: for so long its code is compiled" },
  runs: { default: "5", quick: "1", help: "of each, of which the median and the spread are given" },
} as const satisfies Record<string, BenchOption>;

/** What those options say. */
export interface Times extends Stretch {
  readonly runs: number;
}

/** Of those that take one number of peers, and one size of the values. */
export const SIZES = {
  peers: { default: "3", quick: "3", help: "number of peers" },
  bytes: { default: "256", quick: "256", help: "size of the values" },
} as const satisfies Record<string, BenchOption>;

/** How many peers a cluster may have. */
const MOST_PEERS = 64;
/** How large a value may be. */
const MOST_BYTES = 512 * 1024;
/** Numbers of clients, each with one call outstanding. */
const MOST_OUTSTANDING = 100_000;
const DURABILITIES: readonly Durability[] = ["disk", "process"];
/** The key-value map whose state is in memory, and the one whose state is in the store. */
const MACHINES = ["memory", "durable"] as const;
export type MachineKind = (typeof MACHINES)[number];

/** The options of one run, and whether they were given or are defaults. */
export class OptionValues {
  readonly #values: Readonly<Record<string, string>>;
  readonly #given: ReadonlySet<string>;

  constructor(values: Readonly<Record<string, string>>, given: ReadonlySet<string>) {
    this.#values = values;
    this.#given = given;
  }

  /** Whether it was given, and is no default. */
  isGiven(name: string): boolean {
    return this.#given.has(name);
  }

  /** As it was given. @throws UsageError when there is no such option. */
  text(name: string): string {
    const value = this.#values[name];
    if (value === undefined) throw new UsageError(`--${name} is no option of this benchmark`);
    return value;
  }

  /** A number from `min` to `max`. @throws UsageError */
  number(name: string, min = 0, max = 1e12): number {
    return parseNumber(name, this.text(name), min, max);
  }

  /** A whole number from `min` to `max`. @throws UsageError */
  integer(name: string, min = 1, max = 1e12): number {
    return parseInteger(name, this.text(name), min, max);
  }

  /** Whole numbers with commas between them. @throws UsageError */
  integers(name: string, min = 1, max = 1e12): number[] {
    return this.#list(name, (text) => parseInteger(name, text, min, max));
  }

  /** Some of `choices`, with commas between them. @throws UsageError */
  choices<Choice extends string>(name: string, choices: readonly Choice[]): Choice[] {
    return this.#list(name, (text) => chosen(name, text, choices, "some"));
  }

  /** One of `choices`. @throws UsageError */
  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice {
    return chosen(name, this.text(name), choices, "one");
  }

  // What several benchmarks have. All throw a UsageError.

  times(): Times {
    return {
      seconds: this.number("seconds", 0.05, 3_600),
      warmUpSeconds: this.number("warm-up", 0, 3_600),
      runs: this.integer("runs", 1, 1_000),
    };
  }

  peers(min = 1): number {
    return this.integer("peers", min, MOST_PEERS);
  }

  peerCounts(): number[] {
    return this.integers("peers", 1, MOST_PEERS);
  }

  /** Of a value. */
  bytes(): number {
    return this.integer("bytes", 1, MOST_BYTES);
  }

  byteSizes(): number[] {
    return this.integers("bytes", 1, MOST_BYTES);
  }

  /** Numbers of clients. */
  crowds(name = "outstanding"): number[] {
    return this.integers(name, 1, MOST_OUTSTANDING);
  }

  durability(): Durability {
    return this.choice("durability", DURABILITIES);
  }

  durabilities(): Durability[] {
    return this.choices("durability", DURABILITIES);
  }

  machines(): MachineKind[] {
    return this.choices("machine", MACHINES);
  }

  /** What is said twice is meant once. */
  #list<Value>(name: string, parse: (text: string) => Value): Value[] {
    return [
      ...new Set(
        this.text(name)
          .split(",")
          .map((text) => parse(text.trim())),
      ),
    ];
  }
}

function chosen<Choice extends string>(name: string, text: string, choices: readonly Choice[], many: string): Choice {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new UsageError(`--${name}: expected ${many} of ${choices.join(", ")}, got "${text}"`);
}

/** Does something `runs` times, and says so. */
export async function repeat<Run>(
  { progress, signal }: BenchContext,
  what: string,
  runs: number,
  once: (run: number) => Promise<Run>,
): Promise<Run[]> {
  const done: Run[] = [];
  for (let run = 1; run <= runs; run++) {
    signal.throwIfAborted();
    progress(runs === 1 ? what : `${what}, run ${run} of ${runs}`);
    done.push(await once(run));
  }
  signal.throwIfAborted();
  return done;
}
