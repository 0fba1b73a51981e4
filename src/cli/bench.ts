import { mkdir, readFile, writeFile } from "node:fs/promises";
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
    await writeReport(report, await readDocument(from));
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
    return failed === 0 ? 0 : 1;
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    process.stderr.write("flotilla bench: ended early\n");
    return interrupt.exitCode;
  } finally {
    interrupt.release();
  }
}

async function writeReport(folder: string, document: BenchDocument): Promise<void> {
  await mkdir(folder, { recursive: true });
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
    throw new UsageError(`--from: ${error instanceof Error ? error.message : String(error)}`);
  }
  const isDocument = typeof document === "object" && document !== null && "format" in document && document.format === 1;
  if (!isDocument) throw new UsageError(`--from: "${file}" was not written by --json`);
  return document as BenchDocument;
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
