import { randomInt } from "node:crypto";
import type { Supervisor } from "../actors/supervisor.ts";
import { runScenario, type Scenario, scenarios } from "../testing/lab/index.ts";
import { timeline } from "../testing/timeline.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { HEADING, type LabRun, row } from "./lab/table.ts";
import { parseInteger, parseWithArguments, UsageError } from "./usage.ts";

const HELP = `flotilla lab [name...]: the tests of MIT's 6.5840 labs 3 and 4, with what they use beside MIT's own figures

A name selects every test whose name contains it, such as "3B"; without one all run, which takes minutes.

Options:
  --times <n>  how often each runs (default 1); the figures are medians
  --seed <n>   what the tests draw by chance (default: at random, and said when a test fails); threads keep their own time
  --json       every run's figures as JSON instead of the table
  --trace      a timeline of every run, with a column a peer; on stderr if the figures are JSON
  --help       this text

Tests:
${scenarios.map(({ name, title }) => `  ${name.padEnd(59)} ${title}`).join("\n")}

Exit codes: 0 all passed, 1 one did not, 130 it was interrupted.
`;

/** What happened to a test. */
interface Tested {
  readonly scenario: Scenario;
  readonly runs: readonly LabRun[];
}

interface Plan {
  readonly selected: readonly Scenario[];
  readonly times: number;
  /** Undefined: every run draws its own. */
  readonly seed: number | undefined;
  readonly trace: ((line: string) => void) | undefined;
  readonly signal: AbortSignal;
}

/** The subcommand `lab`. @returns the exit code. @throws UsageError */
export async function lab(args: string[]): Promise<number> {
  const { values, positionals } = parseWithArguments(args, {
    times: { type: "string", default: "1" },
    seed: { type: "string" },
    json: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const times = parseInteger("times", values.times, 1, 10_000);
  const seed = values.seed === undefined ? undefined : parseInteger("seed", values.seed, 0, 2 ** 32 - 1);
  const selected = select(positionals);

  const interrupt = listenForInterrupt();

  const traced = values.json ? process.stderr : process.stdout;
  const trace = values.trace ? (line: string) => void traced.write(`${line.trimEnd()}\n`) : undefined;
  try {
    const print = values.json ? undefined : (line: string) => void process.stdout.write(`${line}\n`);
    const tested = await testAll({ selected, times, seed, trace, signal: interrupt.signal }, print);
    if (values.json) process.stdout.write(`${JSON.stringify(tested.map(asJson), undefined, 2)}\n`);
    return tested.every(({ runs }) => runs.every((run) => "columns" in run)) ? 0 : 1;
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    process.stderr.write("flotilla lab: ended early\n");
    return interrupt.exitCode;
  } finally {
    interrupt.release();
  }
}

/** @throws UsageError when a name is none, nor part of one. */
function select(names: readonly string[]): readonly Scenario[] {
  if (names.length === 0) return scenarios;
  const selected = new Set<Scenario>();
  for (const part of names) {
    const found = scenarios.filter(({ name }) => name.toLowerCase().includes(part.toLowerCase()));
    if (found.length === 0)
      throw new UsageError(`no test of the lab is named like "${part}"; \`lab --help\` lists them`);
    for (const scenario of found) selected.add(scenario);
  }
  return scenarios.filter((scenario) => selected.has(scenario));
}

/** One after the other, as they would share the machine otherwise; a row of the table as soon as it is known. */
async function testAll(plan: Plan, print: ((line: string) => void) | undefined): Promise<readonly Tested[]> {
  const tested: Tested[] = [];
  for (const line of HEADING) print?.(line.trimEnd());
  for (const scenario of plan.selected) {
    const runs: LabRun[] = [];
    for (let time = 1; time <= plan.times; time++) {
      const run = await runOnce(scenario, plan);
      if ("error" in run) process.stderr.write(`${run.error.message}\n`);
      runs.push(run);
    }
    tested.push({ scenario, runs });
    print?.(row(scenario, runs));
  }
  return tested;
}

async function runOnce(scenario: Scenario, { seed = randomInt(2 ** 32), trace, signal }: Plan): Promise<LabRun> {
  trace?.(`--- ${scenario.name}, seed ${seed}`);
  try {
    const observe = trace && ((cluster: Supervisor) => timeline(cluster, trace));
    return { seed, columns: await runScenario(scenario, { seed, signal, observe }) };
  } catch (error) {
    signal.throwIfAborted();
    return { seed, error: error instanceof Error ? error : new Error(String(error)) };
  }
}

function asJson({ scenario, runs }: Tested) {
  const { name, title, part, peers, unreliable, mit } = scenario;
  return {
    ...{ name, title, part, peers, unreliable },
    mit: mit ?? null,
    runs: runs.map((run) =>
      "columns" in run
        ? { seed: run.seed, passed: true, ...run.columns }
        : { seed: run.seed, passed: false, error: run.error.message },
    ),
  };
}
