import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Peer } from "../src/actors/peer-handle.ts";
import { Supervisor } from "../src/actors/supervisor.ts";
import { durableKeyValueMap } from "../src/machine/durable-key-value.ts";

/*
 * What a snapshot of a large state costs those who write meanwhile: commands come at a steady rate, whether or not the
 * ones before are answered, and their latencies count from when they were due. All peers take their snapshots at once,
 * as they do when they come to the same entry.
 *
 *     npx tsx bench/snapshot-under-load.ts --mb 500 --rate 1000 --seconds 10 --durability disk
 *
 * With `--durable` the map is the one whose entries are in the stores. At the end each peer crashes, and it is told how long it
 * takes until it is up again and has applied all.
 */
const { values: args } = parseArgs({
  options: {
    /** Of state, as it is in a snapshot. */
    mb: { type: "string", default: "500" },
    /** Commands a second. */
    rate: { type: "string", default: "1000" },
    /** Before and after the snapshot. */
    seconds: { type: "string", default: "10" },
    "value-bytes": { type: "string", default: "1024" },
    durability: { type: "string", default: "disk" },
    durable: { type: "boolean", default: false },
  },
});
const rate = Number(args.rate);
const seconds = Number(args.seconds);
const valueBytes = Number(args["value-bytes"]);
const keys = Math.ceil((Number(args.mb) * 1e6) / (valueBytes + 16));
const durability = args.durability === "process" ? "process" : "disk";
const PATIENT = { timeoutMs: 120_000 };
/** How much is on its way at a time while the state is made. */
const LOADING_BYTES = 8 << 20;

interface Phase {
  readonly latencies: number[];
  failures: number;
}

/** Commands at a steady rate; those of a phase are those that were due in it. */
class OpenLoop {
  #phase: Phase = { latencies: [], failures: 0 };
  readonly #supervisor: Supervisor;
  readonly #waiting = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;

  constructor(supervisor: Supervisor) {
    this.#supervisor = supervisor;
    let due = performance.now();
    this.#timer = setInterval(() => {
      for (const now = performance.now(); due <= now; due += 1_000 / rate) this.#propose(due);
    }, 1);
  }

  /** Ends one phase and begins the next. */
  next(): Phase {
    const before = this.#phase;
    this.#phase = { latencies: [], failures: 0 };
    return before;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#waiting);
  }

  #propose(due: number): void {
    const phase = this.#phase;
    const key = `key${Math.floor(Math.random() * keys)}`;
    const proposal = this.#supervisor.propose({ op: "put", key, value: text() }, PATIENT).then(
      () => void phase.latencies.push(performance.now() - due),
      () => void phase.failures++,
    );
    this.#waiting.add(proposal);
    proposal.finally(() => this.#waiting.delete(proposal));
  }
}

/** Not the same each time, or it would be one string in memory. */
function text(): string {
  return Math.random().toString(36).slice(2, 10).padEnd(valueBytes, "0123456789abcdef");
}

async function load(supervisor: Supervisor): Promise<void> {
  const atOnce = Math.max(1, Math.floor(LOADING_BYTES / valueBytes));
  for (let done = 0; done < keys; done += atOnce) {
    const count = Math.min(atOnce, keys - done);
    await Promise.all(
      Array.from({ length: count }, (_, at) =>
        // One that was lost in an election is one value less.
        supervisor.propose({ op: "put", key: `key${done + at}`, value: text() }, PATIENT).catch(() => {}),
      ),
    );
  }
}

function print(name: string, { latencies, failures }: Phase): void {
  const sorted = latencies.sort((one, other) => one - other);
  const at = (part: number) => (sorted[Math.floor(part * sorted.length)] ?? Number.NaN).toFixed(1).padStart(8);
  const max = (sorted.at(-1) ?? Number.NaN).toFixed(1).padStart(8);
  const figures = `p50 ${at(0.5)}   p99 ${at(0.99)}   p99.9 ${at(0.999)}   max ${max} ms`;
  console.log(`${name.padEnd(8)} ${figures}   ${sorted.length} commands, ${failures} failures`);
}

/** Crashes a peer. @returns the seconds until it has all that was committed before. */
async function restart(peer: Peer): Promise<string> {
  const { commitIndex, incarnation } = await peer.status();
  const from = performance.now();
  await peer.crash();
  for (;;) {
    const status = await peer.status();
    if (status.incarnation > incarnation && status.lastApplied >= commitIndex) break;
    await sleep(2);
  }
  return ((performance.now() - from) / 1_000).toFixed(2);
}

const supervisor = await Supervisor.start({
  snapshotEvery: 0,
  durability,
  ...(args.durable ? { machine: durableKeyValueMap } : {}),
});
try {
  const leader = await supervisor.leader();
  const startedAt = performance.now();
  await load(supervisor);
  // What the loading left to the garbage collectors is not what is to be measured.
  await sleep(5_000);
  console.log(`${keys} values of ${valueBytes} B, made in ${((performance.now() - startedAt) / 1_000).toFixed(0)} s`);
  const { currentTerm } = await leader.status();
  const loop = new OpenLoop(supervisor);
  await sleep(2_000);
  loop.next();
  await sleep(seconds * 1_000);
  const before = loop.next();
  const from = performance.now();
  const took = await Promise.all(
    supervisor.peers.map(async (peer) => {
      await peer.snapshot();
      return ((performance.now() - from) / 1_000).toFixed(1);
    }),
  );
  const during = loop.next();
  await sleep(seconds * 1_000);
  const after = loop.next();
  await loop.stop();
  print("before", before);
  print("during", during);
  print("after", after);
  const statuses = await Promise.all(supervisor.peers.map((peer) => peer.status()));
  const elections = Math.max(...statuses.map((status) => status.currentTerm)) - currentTerm;
  const rss = (process.memoryUsage.rss() / 2 ** 30).toFixed(1);
  console.log(`snapshots took ${took.join(", ")} s; elections meanwhile: ${elections}; RSS ${rss} GiB at the end`);
  const restarts: string[] = [];
  for (const peer of supervisor.peers) restarts.push(await restart(peer));
  console.log(`restarts took ${restarts.join(", ")} s`);
} finally {
  await supervisor.stop();
}
