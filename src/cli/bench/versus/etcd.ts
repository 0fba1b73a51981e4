import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type BenchContext, CannotRun } from "../bench.ts";
import { closedLoop } from "../loops.ts";
import { type EtcdClient, etcdClients } from "./etcd-client.ts";
import { cpuSecondsOf, findProgram, freePorts, type RivalProcess, startProcess } from "./process.ts";
import type { Contest, ContestRun, Rival } from "./rival.ts";

const MEMBERS = 3;
const KEYS = 1_000;
/** How long the members may take to elect one of them. */
const START_MS = 60_000;

/** etcd, if it is installed. @throws CannotRun */
export async function findEtcd(): Promise<Rival> {
  const program = findProgram("etcd");
  if (program === undefined) throw new CannotRun("etcd is not installed (Debian: apt-get install etcd-server)");
  const { stdout } = await promisify(execFile)(program, ["--version"]);
  const connect = await etcdClients();
  return {
    name: `etcd ${/etcd Version: (\S+)/.exec(stdout)?.[1] ?? ""}`.trim(),
    differs:
      "etcd: three processes on loopback, all with their data on this disk; one client in this process, which asks the leader over gRPC (HTTP/2, one connection) and takes its share of the cores. flotilla has no sockets between client and peers, nor between peers.",
    run: (context, contest) => run(context, contest, program, connect),
  };
}

async function run(
  context: BenchContext,
  { operation, outstanding, bytes, seconds, warmUpSeconds }: Contest,
  program: string,
  connect: (address: string) => EtcdClient,
): Promise<ContestRun> {
  const folder = await mkdtemp(join(context.folder, "etcd-"));
  const processes: RivalProcess[] = [];
  const clients: EtcdClient[] = [];
  try {
    const ports = await freePorts(2 * MEMBERS);
    const members = Array.from({ length: MEMBERS }, (_, at) => ({
      name: `m${at + 1}`,
      client: `http://127.0.0.1:${ports[2 * at]}`,
      peer: `http://127.0.0.1:${ports[2 * at + 1]}`,
    }));
    const cluster = members.map(({ name, peer }) => `${name}=${peer}`).join();
    for (const { name, client, peer } of members) {
      const args = [
        ...["--name", name, "--data-dir", join(folder, name), "--log-level", "error", "--logger", "zap"],
        ...["--listen-client-urls", client, "--advertise-client-urls", client],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
        ...["--initial-cluster", cluster, "--initial-cluster-token", folder],
      ];
      // On some machines, such as those with ARM processors, it wants to be told that that is meant.
      processes.push(startProcess(program, args, { cwd: folder, env: { ETCD_UNSUPPORTED_ARCH: process.arch } }));
    }
    clients.push(...members.map(({ client }) => connect(client.replace("http://", ""))));
    const leader = await findLeader(context, clients, processes);
    const value = Buffer.alloc(bytes, "x");
    const key = (client: number, round: number) => `k${(client * 31 + round) % KEYS}`;
    if (operation === "read") await Promise.all(Array.from({ length: KEYS }, (_, at) => leader.put(`k${at}`, value)));
    const pids = processes.map(({ pid }) => pid);
    let before: number | undefined;
    let after: number | undefined;
    const { span, done, failures, failure, latencies } = await closedLoop(
      (client, round) => (operation === "put" ? leader.put(key(client, round), value) : leader.get(key(client, round))),
      {
        outstanding,
        seconds,
        warmUpSeconds,
        signal: context.signal,
        onBegin: () => {
          before = cpuSecondsOf(pids);
        },
        onEnd: () => {
          after = cpuSecondsOf(pids);
        },
      },
    );
    const clientCpuSeconds = span.cpuSeconds;
    const cpuSeconds = before === undefined || after === undefined ? undefined : clientCpuSeconds + after - before;
    return { done, failures, failure, latencies, seconds: span.seconds, cpuSeconds, clientCpuSeconds };
  } finally {
    for (const client of clients) client.close();
    await Promise.all(processes.map((process) => process.stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Waits until one of them leads, and takes a write. */
async function findLeader(
  { signal }: BenchContext,
  clients: readonly EtcdClient[],
  processes: readonly RivalProcess[],
): Promise<EtcdClient> {
  const deadline = performance.now() + START_MS;
  let ended: RivalProcess | undefined;
  for (const process of processes) {
    process.ended.then(() => {
      ended ??= process;
    });
  }
  while (performance.now() < deadline && ended === undefined) {
    for (const client of clients) {
      const status = await client.status().catch(() => undefined);
      if (status === undefined || status.leader === "0" || status.leader !== status.header.member_id) continue;
      await client.put("first", Buffer.from("x"));
      return client;
    }
    await sleep(50, undefined, { signal });
  }
  const output = (ended ?? processes[0])?.output() ?? "";
  throw new Error(`etcd ${ended === undefined ? `has no leader after ${START_MS} ms` : "ended"}: ${output}`);
}
