import { inspect } from "node:util";
import { UsageError } from "../usage.ts";
import { type Bench, type BenchContext, type BenchRun, CannotRun, OptionValues } from "./bench.ts";
import type { BenchDocument, BenchResult, Skipped } from "./document.ts";
import { temporaryFolder } from "./folder.ts";
import { describeMachine, machineLine } from "./machine.ts";
import { resultTables } from "./table.ts";

const ENDED = "ended early";

/** What is to be measured, and how. */
export interface BenchPlan {
  readonly benches: readonly Bench[];
  readonly quick: boolean;
  /** Options that were given, by name; each is one of some of the benchmarks. */
  readonly given: Readonly<Record<string, string>>;
  /** Where the stores are to be; undefined: where temporary files are. */
  readonly directory: string | undefined;
  /** Ends it early: what was measured by then is kept. */
  readonly signal: AbortSignal;
  /** Takes what is printed: tables, and what is wrong. */
  readonly print: (text: string) => void;
  /** Takes what is being done. */
  readonly progress: (what: string) => void;
}

/**
 * Runs the benchmarks one after the other, and prints the table of each. What one cannot do, the others do all the same.
 * @throws UsageError before anything is measured.
 */
export async function runBenches(
  plan: BenchPlan,
): Promise<{ readonly document: BenchDocument; readonly failed: number }> {
  const { benches, signal, print, progress } = plan;
  const runs = new Map(benches.map((bench) => [bench, prepare(bench, plan)]));
  await using folder = await temporaryFolder(plan.directory);
  const machine = describeMachine(folder.path);
  const at = new Date().toISOString();
  print(`${machineLine(machine)}\n`);
  const results: BenchResult[] = [];
  const skipped: Skipped[] = [];
  let failed = 0;
  for (const [bench, run] of runs) {
    if (signal.aborted) {
      skipped.push({ bench: bench.name, reason: ENDED });
      continue;
    }
    const found: BenchResult[] = [];
    const missing: Skipped[] = [];
    const skip = (reason: string) => void missing.push({ bench: bench.name, reason });
    const context: BenchContext = { folder: folder.path, signal, progress, skip };
    try {
      for await (const result of run(context)) found.push(result);
    } catch (error) {
      if (signal.aborted) skip(ENDED);
      else if (error instanceof CannotRun) skip(error.message);
      else {
        skip(inspect(error));
        failed++;
      }
    }
    results.push(...found);
    skipped.push(...missing);
    print(section(bench, found, missing));
  }
  const document: BenchDocument = { format: 1, at, command: commandLine(plan), machine, results, skipped };
  return { document, failed };
}

/** @throws UsageError that names the benchmark: an option of one may be out of range for another. */
function prepare(bench: Bench, { quick, given }: BenchPlan): BenchRun {
  const names = Object.keys(bench.options);
  const values: Record<string, string> = {};
  for (const name of names) {
    const option = bench.options[name];
    values[name] = given[name] ?? (quick ? option?.quick : option?.default) ?? "";
  }
  try {
    return bench.prepare(new OptionValues(values, new Set(names.filter((name) => given[name] !== undefined))));
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`${bench.name}: ${error.message}`) : error;
  }
}

function section(bench: Bench, results: readonly BenchResult[], missing: readonly Skipped[]): string {
  const lines = [`\n${bench.name}: ${bench.summary}`];
  if (results.length > 0) lines.push("", resultTables(results));
  for (const note of new Set(results.flatMap((result) => result.notes ?? []))) lines.push("", note);
  for (const { reason } of missing) lines.push("", `not run: ${reason}`);
  return `${lines.join("\n")}\n`;
}

function commandLine({ benches, quick, given, directory }: BenchPlan): string {
  const all = { ...given, ...(directory !== undefined && { directory }) };
  const options = Object.entries(all).map(([name, value]) => `--${name} ${value}`);
  return ["flotilla bench", ...benches.map(({ name }) => name), ...(quick ? ["--quick"] : []), ...options].join(" ");
}
