import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withLogs } from "./demo/logs.ts";
import { report } from "./demo/report.ts";
import { type Run, run } from "./demo/run.ts";
import { judge } from "./demo/verdict.ts";
import { lineView, liveView, type View } from "./demo/view.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { parseInteger, parseNumber, parseOptions } from "./usage.ts";

const HELP = `flotilla demo: five durable peers under load and faults, and a check of all they promised

Options:
  --seconds <n>      how long the faults take (default 15)
  --clients <n>      clients, each with one command at a time (default 8)
  --seed <n>         which peers are struck, and what the network loses (default 1); threads keep their own time
  --directory <path> where the cluster lives, and stays (default: a temporary one, removed at the end)
  --help             this text

Exit codes: 0 every promise was kept, 1 one was not, 130 it was interrupted.
`;

/** The subcommand `demo`. @returns the exit code. @throws UsageError */
export async function demo(args: string[]): Promise<number> {
  const options = parseOptions(args, {
    seconds: { type: "string", default: "15" },
    clients: { type: "string", default: "8" },
    seed: { type: "string", default: "1" },
    directory: { type: "string" },
    help: { type: "boolean", default: false },
  });
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const seconds = parseNumber("seconds", options.seconds, 1, 3_600);
  const clients = parseInteger("clients", options.clients, 1, 1_000);
  const seed = parseInteger("seed", options.seed, 0, 2 ** 32 - 1);

  const interrupt = listenForInterrupt();

  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "flotilla-demo-")));
  try {
    const view = outputView();
    const result = await run({ directory, seconds, seed, clients, view, signal: interrupt.signal });
    return await check(result, directory);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    process.stderr.write("flotilla demo: ended early, nothing was checked\n");
    return interrupt.exitCode;
  } finally {
    interrupt.release();
    if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
  }
}

function outputView(): View {
  const { stdout } = process;
  return stdout.isTTY ? liveView(stdout, stdout.hasColors()) : lineView(stdout);
}

async function check({ evidence, figures, seconds, problems }: Run, directory: string): Promise<number> {
  const ids = evidence.peers.map(({ id }) => id);
  const broken = await withLogs(directory, ids, (logs) => judge({ ...evidence, logs }));
  const found = [...problems, ...broken];
  process.stdout.write(report(evidence, figures, seconds, found));
  return found.length === 0 ? 0 : 1;
}
