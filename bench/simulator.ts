import { parseArgs } from "node:util";
import { KeyValueMap } from "../src/machine/key-value.ts";
import { DEFAULT_LIMITS } from "../src/raft/options.ts";
import { drawPlan, type Plan } from "../src/testing/simulator/plan.ts";
import { runPlan } from "../src/testing/simulator/run.ts";

// How many seconds of virtual time a second of this machine's CPU is good for, in one thread, all checks on, for five
// peers with the default timing, their faults, and 20 commands a second. All threads of the process count, those that
// compile and collect garbage too. Compiled it is a little faster (`npm run build`, and dist/ in place of src/).
//
//     npx tsx bench/simulator.ts [--seeds 80] [--for 60000] [--warm 20]

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "80" },
    for: { type: "string", default: "60000" },
    /** The first ones are played and not counted: the code is compiled meanwhile. */
    warm: { type: "string", default: "20" },
  },
});
const [seeds, warm, forMs] = [Number(values.seeds), Number(values.warm), Number(values.for)];

interface Measured {
  readonly plan: Plan;
  /** Of virtual time a second of CPU. */
  readonly rate: number;
  readonly turnUs: number;
  readonly turns: number;
  readonly packets: number;
}

const measured: Measured[] = [];
for (let seed = 1; measured.length < warm + seeds; seed++) {
  const plan = drawPlan(seed, { peers: 5, forMs });
  if (plan.heartbeatMs !== 50 || plan.electionMs[0] !== 150 || plan.electionMs[1] !== 300) continue;
  const before = process.cpuUsage();
  const result = await runPlan(plan, { createMachine: () => new KeyValueMap(), workload: undefined });
  const { user, system } = process.cpuUsage(before);
  if (result.violation !== undefined) throw new Error(`seed ${seed}: ${result.violation.message}`);
  const { seconds, turns, packets } = result;
  const [rate, turnUs] = [seconds / ((user + system) / 1e6), (user + system) / turns];
  measured.push({ plan, rate, turnUs, turns: turns / seconds, packets: packets / seconds });
}
measured.splice(0, warm);

const columns = ["seeds", "", "sim s/CPU s", "lowest", "highest", "µs a turn", "turns a s", "packets a s"];
console.log(columns.map((column, at) => (at === 1 ? column.padEnd(16) : column.padStart(11))).join("  "));
// Most plans have other limits than clusters have, and many take snapshots every 10 or 30 entries, to come to places that are
// rare elsewhere: that is dear.
const groups: readonly (readonly [title: string, has: (plan: Plan) => boolean])[] = [
  ["all", () => true],
  ["a map in memory", ({ durable }) => !durable],
  ["a durable map", ({ durable }) => durable],
  ["default limits", ({ limits }) => limits.maxMessageBytes === DEFAULT_LIMITS.maxMessageBytes],
  ["rare snapshots", ({ snapshotEvery }) => snapshotEvery >= 100],
];
for (const [title, has] of groups) {
  const some = measured.filter(({ plan }) => has(plan));
  if (some.length > 0) print(title, some);
}

function print(title: string, rows: readonly Measured[]): void {
  const median = (of: (row: Measured) => number) =>
    rows.map(of).sort((one, other) => one - other)[rows.length >>> 1] ?? 0;
  const rates = rows.map(({ rate }) => rate);
  const numbers = [median(({ rate }) => rate), Math.min(...rates), Math.max(...rates)];
  numbers.push(...[median(({ turnUs }) => turnUs), median(({ turns }) => turns), median(({ packets }) => packets)]);
  const cells = numbers.map((number) => number.toFixed(0).padStart(11));
  console.log([String(rows.length).padStart(11), title.padEnd(16), ...cells].join("  "));
}
