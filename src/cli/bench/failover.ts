import { setMaxListeners } from "node:events";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { Supervisor } from "../../actors/supervisor.ts";
import { type Bench, type BenchContext, repeat } from "./bench.ts";
import { startCluster, until } from "./cluster.ts";
import type { BenchResult } from "./document.ts";
import { figure, figures } from "./figures.ts";
import { Latencies } from "./latencies.ts";

const ELECTION_MS: readonly [number, number] = [150, 300];
/** How often a client tries, while it is waited for the next commit. */
const PROBE_MS = 1;
const PROBE = { timeoutMs: 20_000 };
/** So many parts of the trials are called runs, so that there is a spread of medians. */
const PORTIONS = 5;

type Fault = "crash" | "pause" | "partition";

/** How each fault strikes the leader, and how it is undone. */
const FAULTS: Readonly<
  Record<
    Fault,
    {
      strike(supervisor: Supervisor, id: string): Promise<void>;
      undo(supervisor: Supervisor, id: string): Promise<void>;
    }
  >
> = {
  // The restart policy starts it again.
  crash: { strike: (supervisor, id) => supervisor.peer(id).crash(), undo: async () => {} },
  pause: {
    strike: (supervisor, id) => supervisor.peer(id).pause(),
    undo: (supervisor, id) => supervisor.peer(id).resume(),
  },
  partition: {
    strike: (supervisor, id) => supervisor.faults.isolate(id),
    undo: (supervisor) => supervisor.faults.heal(),
  },
};

/** The leader is struck, again and again. */
export const failover: Bench = {
  name: "failover",
  summary: "from a leader's crash, pause or partition to the next commit",
  options: {
    faults: { default: "crash,pause,partition", quick: "crash,pause,partition", help: "what strikes the leader" },
    trials: { default: "300", quick: "10", help: "of each" },
    peers: { default: "3", quick: "3", help: "number of peers" },
    "election-ms": { default: "150", quick: "150", help: "the shortest election timeout; the longest is twice that" },
  },
  prepare(options) {
    const peers = options.peers(3);
    const trials = options.integer("trials", 1, 1e6);
    const shortest = options.integer("election-ms", 20, 60_000);
    const faults = options.choices("faults", ["crash", "pause", "partition"]);
    return async function* (context) {
      for (const fault of faults) yield await measure(context, { fault, peers, shortest, trials });
    };
  },
};

interface Trial {
  /** Until another leads, as clients hear of it. */
  readonly electedMs: number;
  /** How long it took the fault to be in force, which counts in none of the others. */
  readonly strikeMs: number;
  readonly commitMs: number;
  readonly terms: number;
}

async function measure(
  context: BenchContext,
  setting: { readonly fault: Fault; readonly peers: number; readonly shortest: number; readonly trials: number },
): Promise<BenchResult> {
  const { fault, peers, shortest, trials } = setting;
  await using cluster = await startCluster(context, {
    peers,
    electionMs: [shortest, shortest * (ELECTION_MS[1] / ELECTION_MS[0])],
    heartbeatMs: Math.min(50, shortest / 3),
    restart: { intensity: Number.POSITIVE_INFINITY, periodMs: 100, backoffMs: [10, 10] },
  });
  const latencies = new Latencies();
  let splits = 0;
  const portions = Math.min(PORTIONS, trials);
  let left = trials;
  const all = await repeat(context, `failover: ${fault}, ${trials} trials`, portions, async (portion) => {
    const count = Math.ceil(left / (portions - portion + 1));
    left -= count;
    const elected = new Latencies();
    const committed = new Latencies();
    const strikes = new Latencies();
    for (let at = 0; at < count; at++) {
      const { electedMs, commitMs, strikeMs, terms } = await strikeOnce(context, cluster.supervisor, fault, shortest);
      elected.record(electedMs);
      committed.record(commitMs);
      strikes.record(strikeMs);
      if (terms > 1) splits++;
    }
    latencies.add(committed);
    return {
      "p50 ms": committed.quantile(0.5),
      "elected p50 ms": elected.quantile(0.5),
      "strike p50 ms": strikes.quantile(0.5),
    };
  });
  return {
    bench: "failover",
    series: "flotilla",
    parameters: { fault, peers, "election ms": `${shortest}–${shortest * 2}`, trials },
    figures: {
      ...figures(all),
      // Of all trials: parts of them have too few for it.
      "p90 ms": figure([latencies.quantile(0.9)]),
      "p99 ms": figure([latencies.quantile(0.99)]),
      "max ms": figure([latencies.quantile(1)]),
      "took more than one term": figure([splits]),
    },
    distribution: latencies.distribution(),
    notes: [
      "Counted from when the fault is in force (the thread has ended, the loop stands still, the links are cut) until a client has the answer to a command that another leader committed. What it took the fault to be in force, from the order on, is the strike, and is not counted: a crash waits until the thread is outside native code, and others may hear of its end a moment before this clock starts. The client tries every millisecond. Medians are those of five parts of the trials, all else is of all of them.",
    ],
  };
}

async function strikeOnce(
  context: BenchContext,
  supervisor: Supervisor,
  fault: Fault,
  shortest: number,
): Promise<Trial> {
  await settle(context, supervisor);
  // Who was started again votes only when its old promises have run out; and the timers are to be anywhere.
  await sleep(shortest + Math.random() * 100, undefined, { signal: context.signal });
  const { id } = await supervisor.leader();
  const { currentTerm } = await supervisor.peer(id).status();
  const orderedAt = performance.now();
  await FAULTS[fault].strike(supervisor, id);
  const from = performance.now();
  try {
    return { ...(await nextCommit(supervisor, id, currentTerm, from)), strikeMs: from - orderedAt };
  } finally {
    await FAULTS[fault].undo(supervisor, id);
  }
}

/** All are up, reach each other, and have what is committed. */
async function settle(context: BenchContext, supervisor: Supervisor): Promise<void> {
  await until(context, "all peers are up and have all entries", async () => {
    const statuses = await Promise.all(supervisor.peers.map((peer) => peer.status()));
    const leaders = new Set(statuses.map(({ leader }) => leader));
    const most = Math.max(...statuses.map(({ commitIndex }) => commitIndex));
    return (
      leaders.size === 1 &&
      !leaders.has(undefined) &&
      statuses.every(({ state, lastApplied }) => state === "up" && lastApplied >= most)
    );
  });
}

/** Proposes again and again, until one that was committed in a later term is answered. */
function nextCommit(supervisor: Supervisor, old: string, term: number, from: number): Promise<Omit<Trial, "strikeMs">> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      end();
      reject(error);
    };
    let electedMs: number | undefined;
    const controller = new AbortController();
    // Each try listens to it.
    setMaxListeners(0, controller.signal);
    const options = { ...PROBE, signal: controller.signal };
    const isOld = async () => {
      for (const peer of supervisor.peers) {
        if (peer.id === old) continue;
        const { role, currentTerm } = await peer.status();
        if (role === "leader" && currentTerm > term) return false;
      }
      return true;
    };
    const probe = () => {
      if (electedMs === undefined) {
        isOld().then((old) => {
          if (!old) electedMs ??= performance.now() - from;
        }, fail);
      }
      supervisor.propose({ op: "put", key: "failover", value: 1 }, options).then(
        (done) => {
          // Those of the old leader may be answered late.
          if (done.term <= term || controller.signal.aborted) return;
          const commitMs = performance.now() - from;
          end();
          resolve({ electedMs: Math.min(electedMs ?? commitMs, commitMs), commitMs, terms: done.term - term });
        },
        () => {},
      );
      if (performance.now() - from > PROBE.timeoutMs) {
        fail(new Error(`nothing was committed for ${PROBE.timeoutMs} ms`));
      }
    };
    const timer = setInterval(probe, PROBE_MS);
    const end = () => {
      clearInterval(timer);
      controller.abort();
    };
    probe();
  });
}
