import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { HEADING, type LabRun, row } from "../../src/cli/lab/table.ts";
import type * as lab from "../../src/testing/lab/index.ts";

// Runs the lab's scenarios many times, several at once:
//
//     npx tsx test/soak/lab.ts [--times 20] [--at-once 6] [--seed n] [--dist] [name...]
//
// A name selects every scenario whose name contains it, so `4A 4B 4C` those of services above Raft; `--dist` takes the
// built package, whose threads start with less CPU. Exits with 1 when any run fails.

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    times: { type: "string", default: "20" },
    "at-once": { type: "string", default: "6" },
    seed: { type: "string" },
    dist: { type: "boolean", default: false },
  },
});

const module = values.dist ? "../../dist/testing/lab/index.js" : "../../src/testing/lab/index.ts";
const { runScenario, scenarios } = (await import(module)) as typeof lab;
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
const runs: { readonly scenario: lab.Scenario; readonly run: LabRun }[] = [];

async function work(): Promise<void> {
  for (let scenario = queue.shift(); scenario !== undefined; scenario = queue.shift()) {
    const seed = values.seed === undefined ? randomInt(2 ** 32) : Number(values.seed);
    try {
      const columns = await runScenario(scenario, { seed });
      runs.push({ scenario, run: { seed, columns } });
      console.error(`${scenario.name} passed in ${columns.seconds.toFixed(1)} s, ${queue.length} runs to go`);
    } catch (error) {
      runs.push({ scenario, run: { seed, error: error instanceof Error ? error : new Error(String(error)) } });
      console.error(error);
    }
  }
}

await Promise.all(Array.from({ length: Number(values["at-once"]) }, work));

for (const line of HEADING) console.log(line.trimEnd());
for (const scenario of selected) {
  const mine = runs.filter((run) => run.scenario === scenario);
  console.log(
    row(
      scenario,
      mine.map(({ run }) => run),
    ),
  );
}
if (runs.some(({ run }) => "error" in run)) process.exitCode = 1;
