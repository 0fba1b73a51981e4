import { type Bench, type BenchContext, CannotRun, repeat, TIMES } from "./bench.ts";
import type { BenchResult } from "./document.ts";
import { figures } from "./figures.ts";
import { together } from "./latencies.ts";
import { failureNotes } from "./loops.ts";
import { findEtcd } from "./versus/etcd.ts";
import { runFlotilla } from "./versus/flotilla.ts";
import { findRa } from "./versus/ra.ts";
import type { Contest, ContestRun, Rival } from "./versus/rival.ts";

const FINDERS: Readonly<Record<string, () => Promise<Rival>>> = {
  etcd: findEtcd,
  "ra-one-node": () => findRa("one"),
  "ra-three-nodes": () => findRa("three"),
};

const OURS = "flotilla";
const NOTE =
  "All have three members and write to this disk before they acknowledge; writes are of one key, reads are linearizable. The clients run on the same cores as the members.";

/** The same closed loop for others. */
export const versus: Bench = {
  name: "versus",
  summary: "the same closed loop for etcd and for ra, as far as they are installed; see docs/versus.md",
  options: {
    rivals: { default: Object.keys(FINDERS).join(), quick: Object.keys(FINDERS).join(), help: "with whom" },
    operations: { default: "put,read", quick: "put,read", help: "put, read or both" },
    outstanding: { default: "1,64,1000", quick: "1,64,1000", help: "operations outstanding" },
    bytes: { default: "256", quick: "256", help: "size of the values" },
    ...TIMES,
  },
  prepare(options) {
    const names = options.choices("rivals", Object.keys(FINDERS));
    const { runs, ...stretch } = options.times();
    const bytes = options.bytes();
    const operations = options.choices("operations", ["put", "read"]);
    const all = options.crowds();
    return async function* (context) {
      const rivals = await findRivals(context, names);
      for (const operation of operations) {
        for (const outstanding of all) {
          yield* compete(context, rivals, { bytes, ...stretch, operation, outstanding }, runs);
        }
      }
    };
  },
};

/** Those that are there; what is missing of the others is told. @throws CannotRun when none is there. */
async function findRivals(context: BenchContext, names: readonly string[]): Promise<Rival[]> {
  const found: Rival[] = [];
  for (const name of names) {
    try {
      const rival = await FINDERS[name]?.();
      if (rival !== undefined) found.push(rival);
    } catch (error) {
      if (!(error instanceof CannotRun)) throw error;
      context.skip(`${name}: ${error.message}`);
    }
  }
  if (found.length === 0) throw new CannotRun("nobody to compare with is installed");
  return found;
}

/** All of them in turn, run after run, so that what else the machine does meets all. */
async function* compete(
  context: BenchContext,
  rivals: readonly Rival[],
  contest: Contest,
  count: number,
): AsyncGenerator<BenchResult> {
  const { operation, outstanding, bytes } = contest;
  const title = `versus: ${operation}, ${outstanding} outstanding`;
  const broken = new Set<Rival>();
  const all = await repeat(context, title, count, async () => {
    const runs = new Map<string, ContestRun>([[OURS, await runFlotilla(context, contest)]]);
    for (const rival of rivals.filter((one) => !broken.has(one))) {
      context.progress(`${title}: ${rival.name}`);
      try {
        runs.set(rival.name, await rival.run(context, contest));
      } catch (error) {
        context.signal.throwIfAborted();
        // What one of them does not manage is no reason to lose the others.
        broken.add(rival);
        context.skip(`${title}: ${rival.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return runs;
  });
  for (const name of [OURS, ...rivals.map((rival) => rival.name)]) {
    const runs = all.flatMap((round) => {
      const [own, ours] = [round.get(name), round.get(OURS)];
      return own === undefined || ours === undefined ? [] : [{ own, ours }];
    });
    if (runs.length === 0) continue;
    const differs = rivals.find((rival) => rival.name === name)?.differs;
    yield {
      bench: "versus",
      series: name,
      parameters: { operation, outstanding, bytes },
      figures: figures(
        runs.map(({ own, ours }) => ({
          "operations/s": own.done / own.seconds,
          "p50 ms": own.latencies.quantile(0.5),
          "p99 ms": own.latencies.quantile(0.99),
          "CPU µs each": own.cpuSeconds && (own.cpuSeconds * 1e6) / own.done,
          "client's thread or process %":
            own.clientCpuSeconds && own.cpuSeconds && (100 * own.clientCpuSeconds) / own.cpuSeconds,
          "client busy %": own.clientCpuSeconds && (100 * own.clientCpuSeconds) / own.seconds,
          "flotilla's throughput ×": name === OURS ? undefined : ours.done / ours.seconds / (own.done / own.seconds),
          "its p50 / flotilla's":
            name === OURS ? undefined : own.latencies.quantile(0.5) / ours.latencies.quantile(0.5),
          failed: own.failures,
        })),
      ),
      distribution: together(runs.map(({ own }) => own.latencies)),
      notes: [NOTE, ...(differs === undefined ? [] : [differs]), ...failureNotes(runs.map(({ own }) => own))],
    };
  }
}
