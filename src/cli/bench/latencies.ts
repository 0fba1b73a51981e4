import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import type { Distribution } from "./document.ts";

const NANOS = 1e6;
const LONGEST_NANOS = 3_600_000 * NANOS;
/** Percent, closer and closer to 100: what a plot of latencies needs. */
const PERCENTS = [
  ...Array.from({ length: 20 }, (_, at) => at * 5),
  ...[96, 97, 98, 98.5, 99, 99.25, 99.5, 99.75, 99.9, 99.95, 99.975, 99.99, 99.995, 99.999],
];

/**
 * Latencies in an HDR histogram: three digits at any size, in memory that does not grow. What keeps it free of coordinated
 * omission is its caller, which counts from when a command was due.
 */
export class Latencies {
  readonly #histogram: RecordableHistogram = createHistogram({ lowest: 1, highest: LONGEST_NANOS, figures: 3 });

  /** Of what another thread has recorded. */
  static of(histogram: RecordableHistogram): Latencies {
    const latencies = new Latencies();
    latencies.#histogram.add(histogram);
    return latencies;
  }

  /** For another thread. */
  get histogram(): RecordableHistogram {
    return this.#histogram;
  }

  get count(): number {
    return this.#histogram.count;
  }

  record(ms: number): void {
    this.#histogram.record(Math.min(LONGEST_NANOS, Math.max(1, Math.round(ms * NANOS))));
  }

  /** Takes in what another one has recorded. */
  add(other: Latencies): void {
    this.#histogram.add(other.#histogram);
  }

  /** In ms, what `part` of the latencies, 0 to 1, do not exceed; NaN when there are none. */
  quantile(part: number): number {
    if (this.count === 0) return Number.NaN;
    if (part >= 1) return this.#histogram.max / NANOS;
    // Node takes no 0 for a percentile.
    return part <= 0 ? this.#histogram.min / NANOS : this.#histogram.percentile(part * 100) / NANOS;
  }

  /** p50 to p99.99 and the maximum, by the names that tables give them. */
  summary(): Record<string, number> {
    return {
      "p50 ms": this.quantile(0.5),
      "p90 ms": this.quantile(0.9),
      "p99 ms": this.quantile(0.99),
      "p99.9 ms": this.quantile(0.999),
      "p99.99 ms": this.quantile(0.9999),
      "max ms": this.quantile(1),
    };
  }

  distribution(): Distribution {
    const parts = this.count === 0 ? [] : [...PERCENTS.map((percent) => percent / 100), 1];
    return { unit: "ms", count: this.count, quantiles: parts.map((part) => [part, this.quantile(part)]) };
  }
}

/** The latencies of several runs as one distribution. */
export function together(all: readonly Latencies[]): Distribution {
  const sum = new Latencies();
  for (const one of all) sum.add(one);
  return sum.distribution();
}
