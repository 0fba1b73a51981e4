import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";

/** What a rival's process is started with. */
interface ProcessOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A process of a rival, until it is stopped. */
export interface RivalProcess {
  readonly pid: number;
  /** What it has printed so far, the end of it. */
  output(): string;
  /** Resolves with the exit code when it has ended by itself. */
  readonly ended: Promise<number | null>;
  stop(): Promise<void>;
}

const KEPT = 4_000;
const PATIENCE_MS = 5_000;

/** Starts a program. What it prints is kept for when it fails. */
export function startProcess(
  command: string,
  args: readonly string[],
  { env, cwd }: ProcessOptions = {},
): RivalProcess {
  const child: ChildProcess = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  let kept = "";
  const keep = (chunk: Buffer) => {
    kept = (kept + chunk.toString()).slice(-KEPT);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  // An app that ends leaves nothing behind.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const ended = new Promise<number | null>((resolve) => {
    child.once("error", (error) => {
      keep(Buffer.from(error.message));
      resolve(null);
    });
    child.once("close", (code) => resolve(code));
  });
  ended.then(() => process.off("exit", kill));
  return {
    pid: child.pid ?? 0,
    output: () => kept,
    ended,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const timer = setTimeout(kill, PATIENCE_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Where a program is that can be run; undefined: nowhere in the path. */
export function findProgram(name: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Linux's clock ticks, in which it counts the CPU of processes. */
const TICKS_A_SECOND = 100;

/** What processes have used so far, in seconds of one core; undefined where the system does not say. */
export function cpuSecondsOf(pids: readonly number[]): number | undefined {
  try {
    let ticks = 0;
    for (const pid of pids) {
      // The name, in brackets, may have spaces in it.
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
      ticks += Number(fields[11]) + Number(fields[12]);
    }
    return ticks / TICKS_A_SECOND;
  } catch {
    return undefined;
  }
}

/** TCP ports of this machine that nobody uses, as far as can be known. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
