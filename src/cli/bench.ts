import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Bench } from "./bench/bench.ts";
import { BENCHES } from "./bench/benches.ts";
import type { BenchDocument } from "./bench/document.ts";
import { drawCharts } from "./bench/report/charts.ts";
import { drawReport } from "./bench/report/page.ts";
import { runBenches } from "./bench/run.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { parseWithArguments, UsageError } from "./usage.ts";

const HELP = `flotilla bench [name...]: what this machine does, and what it would do at best

Without a name all run, which takes hours; with --quick minutes. A list is given with commas: --outstanding 1,64.

Options:
  --quick            smaller sizes and one run of each: a first look, not a result
  --json <file>      writes all that was measured
  --report <folder>  draws it: index.html, which needs nothing else, each chart as SVG, and results.json
  --from <file>      runs nothing, and draws what an earlier --json wrote; with --report
  --directory <path> where the stores are to be (default: where temporary files are, if that is a disk)
  --help             this text

Benchmarks, and their options with what they are by default and with --quick:
${BENCHES.map(helpOf).join("\n")}

What was measured until it is interrupted is written and drawn all the same.

Exit codes: 0 all ran or were not possible here, 1 one failed, 130 it was interrupted.
`;

function helpOf({ name, summary, options }: Bench): string {
  const lines = Object.entries(options).map(([option, { default: usual, quick, help }]) => {
    const defaults = usual === quick ? usual : `${usual}; ${quick}`;
    return `    --${option.padEnd(14)} ${help} (${defaults})`;
  });
  return [`  ${name.padEnd(12)} ${summary}`, ...lines].join("\n");
}

const OWN = {
  quick: { type: "boolean", default: false },
  json: { type: "string" },
  report: { type: "string" },
  from: { type: "string" },
  directory: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

/** The subcommand `bench`. @returns the exit code. @throws UsageError */
export async function bench(args: string[]): Promise<number> {
  const names = new Set(BENCHES.flatMap(({ options }) => Object.keys(options)));
  const texts = Object.fromEntries([...names].map((name) => [name, { type: "string" as const }]));
  const { values, positionals } = parseWithArguments(args, { ...texts, ...OWN });
  const { quick, json, report, from, directory, help } = values;
  if (help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (from !== undefined) {
    if (report === undefined) throw new UsageError("--from: --report is missing, which says where to draw it");
    const others = Object.entries({ ...values, from: undefined, report: undefined });
    const ignored = [...positionals, ...others.flatMap(([name, value]) => (value ? [`--${name}`] : []))];
    if (ignored.length > 0) throw new UsageError(`--from runs nothing: it goes with --report alone, not ${ignored[0]}`);
    const document = await readDocument(from);
    await prepareReport(report);
    await writeReport(report, document);
    return 0;
  }
  const benches = select(positionals);
  const given: Record<string, string> = {};
  for (const name of names) {
    const value: unknown = (values as Readonly<Record<string, unknown>>)[name];
    if (typeof value === "string") given[name] = value;
  }
  for (const name of Object.keys(given)) {
    if (benches.some(({ options }) => Object.hasOwn(options, name))) continue;
    throw new UsageError(`--${name} is no option of ${benches.map((one) => one.name).join(", ")}`);
  }
  if (json !== undefined) await prepareFile("--json", json);
  if (report !== undefined) await prepareReport(report);
  const interrupt = listenForInterrupt();
  try {
    const { document, failed } = await runBenches({
      benches,
      quick,
      given,
      directory,
      signal: interrupt.signal,
      print: (text) => void process.stdout.write(text),
      progress: (what) => void process.stderr.write(`${what}\n`),
    });
    if (json !== undefined) await writeFile(json, `${JSON.stringify(document, undefined, 2)}\n`);
    if (report !== undefined) await writeReport(report, document);
    if (!interrupt.signal.aborted) return failed === 0 ? 0 : 1;
    process.stderr.write("flotilla bench: ended early\n");
    return interrupt.exitCode;
  } finally {
    interrupt.release();
  }
}

/** Before hours are spent on what cannot be written then. @throws UsageError */
async function prepareReport(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw new UsageError(`--report: "${folder}" cannot be a folder: ${messageOf(error)}`);
  }
  await prepareFile("--report", join(folder, "results.json"));
}

/** What is in the file stays until there is something else to write. @throws UsageError */
async function prepareFile(option: string, path: string): Promise<void> {
  try {
    await (await open(path, "a")).close();
  } catch (error) {
    throw new UsageError(`${option}: "${path}" cannot be written: ${messageOf(error)}`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function writeReport(folder: string, document: BenchDocument): Promise<void> {
  await writeFile(join(folder, "results.json"), `${JSON.stringify(document, undefined, 2)}\n`);
  await writeFile(join(folder, "index.html"), drawReport(document));
  for (const { name, svg } of drawCharts(document.results)) await writeFile(join(folder, `${name}.svg`), svg);
  process.stdout.write(`${join(folder, "index.html")}\n`);
}

/** @throws UsageError when the file holds something else. */
async function readDocument(file: string): Promise<BenchDocument> {
  let document: unknown;
  try {
    document = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new UsageError(`--from: "${file}" cannot be read: ${messageOf(error)}`);
  }
  if (!isDocument(document)) throw new UsageError(`--from: "${file}" was not written by --json`);
  return document;
}

/** Whether it looks like one; somebody may have been at it. */
function isDocument(value: unknown): value is BenchDocument {
  if (typeof value !== "object" || value === null) return false;
  const { format, machine, results, skipped } = value as Partial<Record<keyof BenchDocument, unknown>>;
  const isMachine = typeof machine === "object" && machine !== null && "versions" in machine;
  return format === 1 && isMachine && Array.isArray(results) && Array.isArray(skipped);
}

/** @throws UsageError when a name is none. */
function select(names: readonly string[]): readonly Bench[] {
  if (names.length === 0) return BENCHES;
  for (const name of names) {
    if (BENCHES.some((bench) => bench.name === name)) continue;
    throw new UsageError(`there is no benchmark "${name}"; there are ${BENCHES.map((one) => one.name).join(", ")}`);
  }
  return BENCHES.filter(({ name }) => names.includes(name));
}
