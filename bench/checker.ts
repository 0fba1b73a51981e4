import { checkLinearizable } from "../src/testing/linearizability/check.ts";
import { keyValueModel } from "../src/testing/linearizability/key-value.ts";
import { generateHistory, type Workload } from "./history-workload.ts";

// How long `checkLinearizable` takes for histories of a map that is linearizable, and for the same with one stale read:
//
//     npx tsx bench/checker.ts

const WORKLOADS: readonly (Omit<Workload, "seed"> & { readonly title: string })[] = [
  { title: "20 clients, 50 keys, 3 % unknown", operations: 50_000, keys: 50, clients: 20, unknown: 0.03 },
  { title: "the same without unknown outcomes", operations: 50_000, keys: 50, clients: 20, unknown: 0 },
  {
    ...{ title: "20 clients, 50 keys, 3 % unknown, versions", versions: true },
    ...{ operations: 50_000, keys: 50, clients: 20, unknown: 0.03 },
  },
  { title: "20 clients, 5 keys, 3 % unknown", operations: 20_000, keys: 5, clients: 20, unknown: 0.03 },
  { title: "5 clients, 1 key, 1 % unknown", operations: 10_000, keys: 1, clients: 5, unknown: 0.01 },
];
const SEEDS = [1, 2, 3];
const TIMEOUT_MS = 60_000;

console.log(`${"history".padEnd(42)}operations  threads  verdict      steps     seconds (seeds ${SEEDS.join(", ")})`);
for (const { title, ...workload } of WORKLOADS) {
  for (const threads of [0, 2]) {
    for (const isStale of [false, true]) {
      const seconds: string[] = [];
      const verdicts = new Set<string>();
      let steps = 0;
      for (const seed of SEEDS) {
        const history = generateHistory({ ...workload, seed });
        if (isStale) makeStale(history);
        const began = performance.now();
        const result = await checkLinearizable(history, keyValueModel, { threads, timeoutMs: TIMEOUT_MS });
        seconds.push(((performance.now() - began) / 1_000).toFixed(2));
        verdicts.add(result.verdict);
        steps += result.steps;
      }
      const name = (isStale ? `${title}, stale` : title).padEnd(42);
      const columns = [
        String(workload.operations).padStart(10),
        String(threads).padStart(7),
        [...verdicts].join().padEnd(9),
      ];
      console.log(
        `${name}${columns.join("  ")}  ${String(Math.round(steps / SEEDS.length)).padStart(8)}  ${seconds.join("  ")}`,
      );
    }
  }
}

/** Lets a read in the second half answer what another one of its key was answered long before. */
function makeStale(history: ReturnType<typeof generateHistory>): void {
  const half = Math.floor(history.length / 2);
  for (let at = half; at < history.length; at++) {
    const operation = history[at];
    if (operation?.input.op !== "get" || operation.outcome !== "ok") continue;
    const { key } = operation.input;
    const old = history.find(
      (read) => read.input.op === "get" && read.input.key === key && read.outcome === "ok" && read.output !== null,
    );
    if (old === undefined || old.output === operation.output) continue;
    history[at] = { ...operation, output: old.output };
    return;
  }
  throw new Error("no read was found that could be made stale");
}
