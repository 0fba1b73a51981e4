import { readFileSync } from "node:fs";
import { UsageError } from "./usage.ts";

/** A subcommand of `flotilla`. */
interface Command {
  readonly summary: string;
  /** @returns the exit code. @throws UsageError when the arguments make no sense. */
  readonly run: (args: string[]) => Promise<number>;
}

// Loaded when asked for, so that `--help` waits for nothing.
const COMMANDS: Readonly<Record<string, Command>> = {
  demo: {
    summary: "five durable peers under load and faults, and at the end a check of all they promised",
    run: async (args) => (await import("./demo.ts")).demo(args),
  },
  lab: {
    summary: "the tests of MIT's 6.5840 Raft lab, with what they use beside MIT's own figures",
    run: async (args) => (await import("./lab.ts")).lab(args),
  },
  simulate: {
    summary: "clusters in virtual time under faults of all kinds, a seed each, with all that must hold checked",
    run: async (args) => (await import("./simulate.ts")).simulateSeeds(args),
  },
  bench: {
    summary: "how fast it is here, beside what this machine allows and what others do",
    run: async (args) => (await import("./bench.ts")).bench(args),
  },
  inspect: {
    summary: "what is in the stores of a cluster, live, dead or broken, and whether they are sound",
    run: async (args) => (await import("./inspect.ts")).inspect(args),
  },
  check: {
    summary: "whether a history of what clients did and saw is linearizable",
    run: async (args) => (await import("./check.ts")).check(args),
  },
  rebuild: {
    summary: "new stores for peers that have lost theirs, from what the others have; the cluster is stopped",
    run: async (args) => (await import("./rebuild.ts")).rebuild(args),
  },
};

const HELP = `flotilla: a Raft runtime made of actors

Usage: flotilla <command> [options]

Commands:
${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`)
  .join("\n")}

Options:
  --help     this text; after a command, its options
  --version  the version

Exit codes: 0 all is well, 1 it is not, 2 wrong usage; check has its own.
`;

/**
 * Runs the command line. @returns the exit code.
 * @throws UsageError when the arguments make no sense.
 */
export async function flotilla([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined) throw new UsageError("a command is missing");
  if (name === "--help" || name === "-h") return print(HELP);
  if (name === "--version" || name === "-v") return print(`${version()}\n`);
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command !== undefined) return command.run(args);
  throw new UsageError(name.startsWith("-") ? `there is no option "${name}"` : `there is no command "${name}"`);
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return version;
}
