import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { type LabColumns, runScenario, type Scenario, scenarios } from "../../src/testing/lab/index.ts";

// Runs the lab's scenarios many times, several at once:
//
//     npx tsx test/soak/lab.ts [--times 20] [--at-once 6] [--seed n] [name...]
//
// A name selects every scenario whose name contains it. Exits with 1 when any run fails.

interface Run {
  readonly scenario: Scenario;
  readonly columns?: LabColumns;
  readonly error?: unknown;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    times: { type: "string", default: "20" },
    "at-once": { type: "string", default: "6" },
    seed: { type: "string" },
  },
});

const selected = scenarios.filter(
  ({ name }) => positionals.length === 0 || positionals.some((part) => name.toLowerCase().includes(part.toLowerCase())),
);
if (selected.length === 0) {
  console.error(`no scenario is named like ${positionals.join(" or ")}; there are`);
  for (const { name, title } of scenarios) console.error(`  ${name.padEnd(22)} ${title}`);
  process.exit(1);
}

// Rounds of all scenarios, so that those which run at the same time differ.
const queue = Array.from({ length: Number(values.times) }, () => selected).flat();
const runs: Run[] = [];

async function work(): Promise<void> {
  for (let scenario = queue.shift(); scenario !== undefined; scenario = queue.shift()) {
    const seed = values.seed === undefined ? randomInt(2 ** 32) : Number(values.seed);
    try {
      runs.push({ scenario, columns: await runScenario(scenario, { seed }) });
    } catch (error) {
      runs.push({ scenario, error });
      console.error(error);
    }
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

function row(name: string, ...cells: readonly string[]): string {
  return `${name.padEnd(21)}${cells.map((cell) => cell.padStart(11)).join("")}`;
}

function beside(ours: number, theirs: number | undefined): string[] {
  return [Number.isInteger(ours) ? String(ours) : ours.toFixed(1), theirs === undefined ? "-" : String(theirs)];
}

await Promise.all(Array.from({ length: Number(values["at-once"]) }, work));

console.log(row("", "", "", "seconds", "", "rpcs", "", "bytes", "", "commands"));
console.log(row("", "passed", "failed", "median", "mit", "median", "mit", "median", "mit", "median", "mit"));
for (const { name, mit } of selected) {
  const mine = runs.filter(({ scenario }) => scenario.name === name);
  const passed = mine.flatMap(({ columns }) => (columns === undefined ? [] : [columns]));
  const cells = (["seconds", "rpcs", "bytes", "commands"] as const).flatMap((column) =>
    beside(median(passed.map((columns) => columns[column])), mit?.[column]),
  );
  console.log(row(name, String(passed.length), String(mine.length - passed.length), ...cells));
}
if (runs.some(({ error }) => error !== undefined)) process.exitCode = 1;
