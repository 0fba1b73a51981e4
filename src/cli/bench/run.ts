import { inspect } from "node:util";
import { UsageError } from "../usage.ts";
import { type Bench, type BenchContext, CannotRun, OptionValues } from "./bench.ts";
import type { BenchDocument, BenchResult, Skipped } from "./document.ts";
import { temporaryFolder } from "./folder.ts";
import { describeMachine, machineLine } from "./machine.ts";
import { resultTables } from "./table.ts";

/** What is to be measured, and how. */
export interface BenchPlan {
  readonly benches: readonly Bench[];
  readonly quick: boolean;
  /** Options that were given, by name; each is one of some of the benchmarks. */
  readonly given: Readonly<Record<string, string>>;
  /** Where the stores are to be; undefined: where temporary files are. */
  readonly directory: string | undefined;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** Takes what is printed: tables, and what is wrong. */
  readonly print: (text: string) => void;
  /** Takes what is being done. */
  readonly progress: (what: string) => void;
}

/** Runs the benchmarks one after the other, and prints the table of each. What one cannot do, the others do all the same. */
export async function runBenches(
  plan: BenchPlan,
): Promise<{ readonly document: BenchDocument; readonly failed: number }> {
  const { benches, quick, given, signal, print, progress } = plan;
  // Before anything takes time.
  const options = new Map(benches.map((bench) => [bench, optionsOf(bench, quick, given)]));
  await using folder = await temporaryFolder(plan.directory);
  const machine = describeMachine(folder.path);
  const at = new Date().toISOString();
  print(`${machineLine(machine)}\n`);
  const results: BenchResult[] = [];
  const skipped: Skipped[] = [];
  let failed = 0;
  for (const [bench, values] of options) {
    const found: BenchResult[] = [];
    const missing: Skipped[] = [];
    const skip = (reason: string) => void missing.push({ bench: bench.name, reason });
    const context: BenchContext = { folder: folder.path, signal, progress, skip };
    try {
      for await (const result of bench.run(context, values)) found.push(result);
    } catch (error) {
      if (error instanceof UsageError || signal.aborted) throw error;
      const reason = error instanceof CannotRun ? error.message : inspect(error);
      skip(reason);
      if (!(error instanceof CannotRun)) failed++;
    }
    results.push(...found);
    skipped.push(...missing);
    print(section(bench, found, missing));
  }
  const document: BenchDocument = { format: 1, at, command: commandLine(plan), machine, results, skipped };
  return { document, failed };
}

function optionsOf(bench: Bench, quick: boolean, given: Readonly<Record<string, string>>): OptionValues {
  const names = Object.keys(bench.options);
  const values: Record<string, string> = {};
  for (const name of names) {
    const option = bench.options[name];
    values[name] = given[name] ?? (quick ? option?.quick : option?.default) ?? "";
  }
  return new OptionValues(values, new Set(names.filter((name) => given[name] !== undefined)));
}

function section(bench: Bench, results: readonly BenchResult[], missing: readonly Skipped[]): string {
  const lines = [`\n${bench.name}: ${bench.summary}`];
  if (results.length > 0) lines.push("", resultTables(results));
  for (const note of new Set(results.flatMap((result) => result.notes ?? []))) lines.push("", note);
  for (const { reason } of missing) lines.push("", `not run: ${reason}`);
  return `${lines.join("\n")}\n`;
}

function commandLine({ benches, quick, given }: BenchPlan): string {
  const options = Object.entries(given).map(([name, value]) => `--${name} ${value}`);
  return ["flotilla bench", ...benches.map(({ name }) => name), ...(quick ? ["--quick"] : []), ...options].join(" ");
}
