import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type BenchContext, CannotRun } from "../bench.ts";
import { Latencies } from "../latencies.ts";
import { findProgram, freePorts, type RivalProcess, startProcess } from "./process.ts";
import { RA_MODULE, RA_PROGRAM } from "./ra-program.ts";
import type { Contest, ContestRun, Rival } from "./rival.ts";

/** Where Debian's rabbitmq-server puts its libraries. */
const RABBITMQ = "/usr/lib/rabbitmq/lib";
/** What ra needs, of these. */
const LIBRARIES = ["ra", "aten", "gen_batch_server", "seshat"];
/** How long it may take to start, to load and to end, beside the time that is measured. */
const PATIENCE_MS = 90_000;

export type RaForm = "one" | "three";

interface Installed {
  readonly erl: string;
  readonly erlc: string;
  readonly epmd: string;
  readonly version: string;
  /** The folders with the compiled libraries. */
  readonly paths: readonly string[];
}

/** ra in one Erlang node or in three, if it is installed. @throws CannotRun */
export async function findRa(form: RaForm): Promise<Rival> {
  const installed = await findInstalled();
  const common = `The client is an Erlang process in the leader's node${form === "one" ? "" : ", so it has no hop to make either"}; commands are pipelined, reads are one a process.`;
  const differs =
    form === "one"
      ? `ra in one node: three members in one Erlang process, which share one write-ahead log and so one fsync; it does not survive the loss of that one file. ${common}`
      : `ra in three nodes: three Erlang processes on loopback, each with its data on this disk. ${common}`;
  return {
    name: `ra ${installed.version}, ${form === "one" ? "one node" : "three nodes"}`,
    differs,
    run: (context, contest) => run(context, contest, form, installed),
  };
}

async function findInstalled(): Promise<Installed> {
  const [erl, erlc, epmd] = [findProgram("erl"), findProgram("erlc"), findProgram("epmd")];
  if (erl === undefined || erlc === undefined || epmd === undefined || !existsSync(RABBITMQ)) {
    throw new CannotRun("ra is not installed (Debian: apt-get install rabbitmq-server)");
  }
  const paths: string[] = [];
  for (const server of await readdir(RABBITMQ)) {
    const plugins = join(RABBITMQ, server, "plugins");
    if (!existsSync(plugins)) continue;
    for (const name of await readdir(plugins)) {
      const ebin = join(plugins, name, "ebin");
      if (LIBRARIES.includes(name.replace(/-[\d.]+$/, "")) && existsSync(ebin)) paths.push(ebin);
    }
  }
  const version = /\/ra-([\d.]+)\/ebin$/m.exec(paths.join("\n"))?.[1];
  if (version === undefined || paths.length < LIBRARIES.length) {
    throw new CannotRun(`the libraries ${LIBRARIES.join(", ")} are not all below ${RABBITMQ}`);
  }
  return { erl, erlc, epmd, version, paths };
}

async function run(context: BenchContext, contest: Contest, form: RaForm, installed: Installed): Promise<ContestRun> {
  const folder = await mkdtemp(join(context.folder, "ra_"));
  const processes: RivalProcess[] = [];
  try {
    await compile(installed, folder);
    const [port = 0] = await freePorts(1);
    // Erlang nodes find each other by a daemon; one of its own is stopped at the end.
    const env = { ERL_EPMD_PORT: String(port), ERL_EPMD_ADDRESS: "127.0.0.1", HOME: folder };
    if (form === "three") processes.push(startProcess(installed.epmd, [], { env }));
    const program = startProcess(installed.erl, erlArguments(installed, folder, form, contest), { env, cwd: folder });
    processes.push(program);
    const deadline = AbortSignal.timeout(PATIENCE_MS + (contest.warmUpSeconds + contest.seconds) * 1_000);
    const code = await endOf(program, AbortSignal.any([context.signal, deadline]));
    const [, count, micros, runtime] = /^done (\d+) (\d+) (\d+)$/m.exec(program.output()) ?? [];
    if (code !== 0 || count === undefined) throw new Error(`ra ended with ${code}: ${program.output()}`);
    return {
      done: Number(count),
      seconds: Number(micros) / 1e6,
      failures: 0,
      failure: undefined,
      latencies: await readLatencies(join(folder, "latencies")),
      cpuSeconds: Number(runtime) / 1_000,
      // It is in the leader's node.
      clientCpuSeconds: undefined,
    };
  } finally {
    // In reverse, so that the daemon goes last.
    for (const process of processes.reverse()) await process.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function compile({ erlc, paths }: Installed, folder: string): Promise<void> {
  const source = join(folder, `${RA_MODULE}.erl`);
  await writeFile(source, RA_PROGRAM);
  const compiler = startProcess(erlc, [...withPaths(paths), "-o", folder, source], { cwd: folder });
  const code = await compiler.ended;
  if (code !== 0) throw new Error(`the program for ra was not compiled: ${compiler.output()}`);
}

function erlArguments({ paths }: Installed, folder: string, form: RaForm, contest: Contest): string[] {
  const { operation, outstanding, bytes, seconds, warmUpSeconds } = contest;
  const name = basename(folder);
  const isDistributed = form === "three" ? ["-sname", `${name}_a@localhost`, "-setcookie", name] : [];
  return [
    ...["-noshell", "-kernel", "logger_level", "error", ...isDistributed],
    ...withPaths([...paths, folder]),
    ...["-s", RA_MODULE, "main", "-extra", folder, form, operation],
    ...[outstanding, bytes, Math.round(warmUpSeconds * 1_000), Math.round(seconds * 1_000)].map(String),
  ];
}

function withPaths(paths: readonly string[]): string[] {
  return paths.flatMap((path) => ["-pa", path]);
}

async function endOf(process: RivalProcess, signal: AbortSignal): Promise<number | null> {
  signal.throwIfAborted();
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = () => reject(new Error(`ra took too long: ${process.output()}`, { cause: signal.reason }));
    signal.addEventListener("abort", onAbort, { once: true });
    process.ended.then(() => signal.removeEventListener("abort", onAbort));
  });
  return Promise.race([process.ended, aborted]);
}

async function readLatencies(file: string): Promise<Latencies> {
  const latencies = new Latencies();
  for (const line of (await readFile(file, "utf8")).split("\n")) {
    if (line !== "") latencies.record(Number(line) / 1_000);
  }
  return latencies;
}
