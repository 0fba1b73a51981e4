import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { RaftError } from "../raft/errors.ts";
import { type SimulateOptions, type SimulationReport, simulate } from "../testing/simulator/simulate.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { parseInteger, parseOptions, UsageError } from "./usage.ts";

const HELP = `flotilla simulate: clusters in virtual time under faults of all kinds, one for each seed, with all that must hold checked

Options:
  --seeds <a>..<b>    which seeds (default: 1..100)
  --machine <module>  a state machine to simulate, which exports a workload as "simulation" (default: the key-value map)
  --for <time>        how long the faults of each seed last, such as 500ms, 90s or 10m (default: 60s)
  --peers <n>         peers of the cluster, 1 to 7 (default: each seed decides)
  --threads <n>       threads to work in (default: one for each core)
  --conformance       have all that each peer did judged by the reference too
  --json              all that was found as one JSON document
  --help              this text

A seed that fails is printed as the command that plays it again, with what is left of it when it was shrunk:
  --keep <places>     only these of its faults, such as 0,4, or none
  --quiet             no noise on its links
  --until <time>      an end of its faults, earlier than --for says

Exit codes: 0 all holds, 1 something does not, 2 wrong usage, 130 it was interrupted.
`;

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const PROGRESS_EVERY_MS = 500;

/** The subcommand `simulate`. @returns the exit code. */
export async function simulateSeeds(args: string[]): Promise<number> {
  const values = parseOptions(args, {
    seeds: { type: "string", default: "1..100" },
    machine: { type: "string" },
    for: { type: "string", default: "60s" },
    peers: { type: "string" },
    threads: { type: "string" },
    conformance: { type: "boolean", default: false },
    keep: { type: "string" },
    quiet: { type: "boolean", default: false },
    until: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const seeds = parseSeeds(values.seeds);
  const count = seeds[1] - seeds[0] + 1;
  const { keep, quiet, until } = values;
  const isReduced = keep !== undefined || quiet || until !== undefined;
  const options: SimulateOptions = {
    seeds,
    forMs: parseTime("for", values.for),
    machine: values.machine === undefined ? undefined : moduleUrl(values.machine),
    peers: values.peers === undefined ? undefined : parseInteger("peers", values.peers, 1, 7),
    threads: values.threads === undefined ? undefined : parseInteger("threads", values.threads, 0, 1_024),
    conformance: values.conformance,
    reduction: isReduced
      ? {
          quiet,
          ...(keep !== undefined && { keep: parsePlaces(keep) }),
          ...(until !== undefined && { untilMs: parseTime("until", until) }),
        }
      : undefined,
  };
  const interrupt = listenForInterrupt();
  const began = performance.now();
  const progress = progressOn(process.stderr, count);
  try {
    const report = await simulate({ ...options, signal: interrupt.signal, onResult: progress.show });
    progress.end();
    const wallSeconds = (performance.now() - began) / 1_000;
    process.stdout.write(
      values.json
        ? `${JSON.stringify({ ...report, wallSeconds }, null, 2)}\n`
        : write(report, wallSeconds, values.machine),
    );
    return report.failures.length > 0 ? 1 : 0;
  } catch (error) {
    progress.end();
    if (interrupt.signal.aborted) return interrupt.exitCode;
    if (error instanceof RaftError && error.code === "ERR_INVALID_OPTION") throw new UsageError(error.message);
    throw error;
  } finally {
    interrupt.release();
  }
}

function write(report: SimulationReport, wallSeconds: number, machine: string | undefined): string {
  const lines: string[] = [];
  for (const { seed, result, replay, faults, trace } of report.failures) {
    const { check, message, atMs } = result.violation ?? { check: "", message: "", atMs: 0 };
    lines.push(...trace, "");
    if (faults.length > 0) lines.push("the faults that are left:", ...faults.map((fault) => `  ${fault}`), "");
    lines.push(`seed ${seed}: ${check}, after ${(atMs / 1_000).toFixed(3)} s`, `  ${message}`);
    lines.push(
      "to play it again:",
      `  flotilla simulate ${replay}${machine === undefined ? "" : ` --machine ${machine}`}`,
      "",
    );
  }
  const speed = Math.round(report.seconds / wallSeconds);
  const played = `${report.seeds} ${report.seeds === 1 ? "seed" : "seeds"}, ${Math.round(report.seconds)} simulated seconds`;
  const verdict = report.failures.length === 0 ? "all holds" : `${report.failures.length} failed`;
  lines.push(`${verdict}: ${played} in ${wallSeconds.toFixed(1)} s, ${speed} a second`);
  return `${lines.join("\n")}\n`;
}

/** How far it is, on a line that is written over; nothing where nobody watches. */
function progressOn(stream: NodeJS.WriteStream, count: number) {
  let shown = 0;
  return {
    show: (_result: unknown, played: number): void => {
      if (!stream.isTTY || performance.now() - shown < PROGRESS_EVERY_MS) return;
      shown = performance.now();
      stream.write(`\r${played} of ${count} seeds`);
    },
    end: (): void => {
      if (shown > 0) stream.write("\r\x1b[K");
    },
  };
}

function parseSeeds(text: string): readonly [number, number] {
  const match = /^(\d+)(?:\.\.(\d+))?$/.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  if (match === null) throw new UsageError(`--seeds: expected a range such as 1..100, got "${text}"`);
  if (last < first) throw new UsageError(`--seeds: there is no seed in "${text}"`);
  return [first, last];
}

function parseTime(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  if (match === null) throw new UsageError(`--${option}: expected a time such as 500ms, 90s or 10m, got "${text}"`);
  return Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
}

function parsePlaces(text: string): readonly number[] {
  if (text === "none") return [];
  if (!/^\d+(,\d+)*$/.test(text)) throw new UsageError(`--keep: expected places such as 0,4, or none, got "${text}"`);
  return text.split(",").map(Number);
}

function moduleUrl(path: string): URL {
  const file = resolve(path);
  if (!existsSync(file)) throw new UsageError(`--machine: there is no file "${path}"`);
  return pathToFileURL(file);
}
