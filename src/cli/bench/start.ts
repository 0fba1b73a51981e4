import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { asModule, isSource, loaderForThreads } from "../../actors/loader.ts";
import { type Bench, type BenchContext, repeat } from "./bench.ts";
import type { BenchResult } from "./document.ts";
import { figures } from "./figures.ts";

/** How long a program may take before it is given up. */
const PATIENCE_MS = 60_000;
const INDEX = new URL(`../../index.${isSource ? "ts" : "js"}`, import.meta.url);

/** How long an app waits. */
export const start: Bench = {
  name: "start",
  summary: "from the start of a program on the command line to its first commit",
  options: {
    peers: { default: "3", quick: "3", help: "number of peers" },
    durability: { default: "disk", quick: "disk", help: "disk, process or both" },
    runs: { default: "10", quick: "2", help: "of each, of which the median and the spread are given" },
  },
  prepare(options) {
    const peers = options.peers();
    const durabilities = options.durabilities();
    const runs = options.integer("runs");
    return async function* (context) {
      for (const durability of durabilities) yield* measure(context, peers, durability, runs);
    };
  },
};

async function* measure(
  context: BenchContext,
  peers: number,
  durability: "disk" | "process",
  count: number,
): AsyncGenerator<BenchResult> {
  const all = await repeat(context, `start: ${peers} peers, ${durability}`, count, async () => {
    const directory = await mkdtemp(join(context.folder, "start-"));
    try {
      const program = join(directory, "program.mjs");
      await writeFile(program, programOf(peers, durability, join(directory, "data")));
      return { new: await firstCommit(context, program), used: await firstCommit(context, program) };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
  for (const directory of ["new", "used"] as const) {
    yield {
      bench: "start",
      series: "flotilla",
      parameters: { package: isSource ? "source, with tsx" : "built", directory, peers, durability },
      figures: figures(all.map((run) => ({ "first commit ms": run[directory] }))),
      notes: [
        "Counted from when Node is started until the program has the answer to its first command. A directory that was used before is verified first. From the source all threads compile TypeScript: what counts is the built package.",
      ],
    };
  }
}

function programOf(peers: number, durability: string, directory: string): string {
  return `
const { Supervisor } = await import(${JSON.stringify(INDEX.href)});
const supervisor = await Supervisor.start(${JSON.stringify({ peers, durability, directory })});
await supervisor.propose({ op: "put", key: "key", value: "value" });
process.stdout.write("committed");
await supervisor.stop();
`;
}

/** Runs a program to its end. @returns the ms until it has printed something. */
async function firstCommit({ signal }: BenchContext, program: string): Promise<number> {
  const loader = loaderForThreads();
  const args = loader === undefined ? [] : ["--import", asModule(loader).href];
  const from = performance.now();
  const child = spawn(process.execPath, [...args, program], {
    stdio: ["ignore", "pipe", "pipe"],
    signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]),
    killSignal: "SIGKILL",
  });
  let committedMs: number | undefined;
  let errors = "";
  child.stdout.once("data", () => {
    committedMs = performance.now() - from;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  // It is waited for even when it is killed: its folder is removed then.
  const code = await new Promise<number | null>((resolve) => {
    child.once("error", (error) => {
      errors += `${error.message}\n`;
      if (child.pid === undefined) resolve(null);
    });
    child.once("close", resolve);
  });
  signal.throwIfAborted();
  if (code === 0 && committedMs !== undefined) return committedMs;
  const late = performance.now() - from >= PATIENCE_MS ? ` after ${PATIENCE_MS / 1_000} s` : "";
  throw new Error(`the program ended with exit code ${code}${late}, and has not committed: ${errors}`);
}
