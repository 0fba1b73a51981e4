import { type Bench, type BenchContext, type OptionValues, repeat, TIMES, type Times } from "./bench.ts";
import type { BenchResult } from "./document.ts";
import { figures } from "./figures.ts";
import { together } from "./latencies.ts";
import { type Load, type LoadRun, WAYS } from "./load.ts";
import { type LoadThread, startLoadThread } from "./load-thread.ts";
import { failureNotes } from "./loops.ts";

/** What the others are at while one of them is varied. */
const BASE: Required<Load> = { peers: 3, bytes: 256, outstanding: 1_000, durability: "disk", by: "supervisor" };

/** Commands a second in a closed loop. */
export const throughput: Bench = {
  name: "throughput",
  summary: "commands a second in a closed loop, over outstanding commands, sizes, peers, durabilities and clients",
  options: {
    peers: { default: "1,3,5,7", quick: "1,3", help: "numbers of peers" },
    outstanding: { default: "1,64,1000,4000", quick: "1,64,1000", help: "numbers of clients, each with one command" },
    bytes: { default: "16,256,4096,65536", quick: "256", help: "sizes of the values" },
    durability: { default: "disk,process", quick: "disk,process", help: "disk, process or both" },
    by: { default: WAYS.join(), quick: "supervisor", help: "who carries the commands: supervisor, session, kv" },
    ...TIMES,
  },
  prepare(options) {
    const times = options.times();
    const all = loads(options);
    return async function* (context) {
      await using thread = startLoadThread();
      for (const load of all) yield await measure(context, thread, load, times);
    };
  },
};

/**
 * What is run. With none of these options: each varied alone, around the base, since all with all takes hours. Else each
 * list that was given with each other one, over all numbers outstanding, and what was left to the defaults as in the base.
 */
export function loads(options: OptionValues): Required<Load>[] {
  const lists = {
    peers: options.peerCounts(),
    bytes: options.byteSizes(),
    outstanding: options.crowds(),
    durability: options.durabilities(),
    by: options.choices("by", WAYS),
  };
  const axes = ["outstanding", "bytes", "peers", "durability", "by"] as const;
  if (axes.some((axis) => options.isGiven(axis))) {
    const take = <Axis extends keyof Load>(axis: Axis): readonly Required<Load>[Axis][] => {
      const isWanted = options.isGiven(axis) || axis === "outstanding";
      return isWanted ? (lists[axis] as unknown as readonly Required<Load>[Axis][]) : [BASE[axis]];
    };
    return take("by").flatMap((by) =>
      take("durability").flatMap((durability) =>
        take("peers").flatMap((peers) =>
          take("bytes").flatMap((bytes) =>
            take("outstanding").map((outstanding) => ({ peers, bytes, outstanding, durability, by })),
          ),
        ),
      ),
    );
  }
  const varied = [
    ...lists.durability.flatMap((durability) =>
      lists.outstanding.map((outstanding) => ({ ...BASE, durability, outstanding })),
    ),
    ...lists.bytes.map((bytes) => ({ ...BASE, bytes })),
    ...lists.peers.map((peers) => ({ ...BASE, peers })),
    ...lists.by.map((by) => ({ ...BASE, by })),
  ];
  return [...new Map(varied.map((load) => [describe(load), load])).values()];
}

/** The closed loop of one load, some times. */
async function measure(
  context: BenchContext,
  thread: LoadThread,
  load: Load,
  { runs, ...stretch }: Times,
): Promise<BenchResult> {
  const all = await repeat(context, `throughput: ${describe(load)}`, runs, () => thread.run(context, load, stretch));
  return loadResult("throughput", load, all);
}

/** A load in words. */
export function describe({ peers, bytes, outstanding, durability, by = BASE.by }: Load): string {
  const carrier = by === BASE.by ? "" : `, by ${by}`;
  return `${peers} peers, ${bytes} B, ${outstanding} outstanding, ${durability}${carrier}`;
}

/** Several runs as one result. */
export function loadResult(bench: string, load: Load, runs: readonly LoadRun[]): BenchResult {
  const { by = BASE.by, ...parameters } = load;
  return {
    bench,
    series: by === BASE.by ? "flotilla" : `flotilla, by ${by}`,
    parameters,
    figures: figures(runs.map((run) => run.figures)),
    distribution: together(runs.map(({ latencies }) => latencies)),
    notes: failureNotes(runs),
  };
}
