import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import type { Supervisor } from "../../src/actors/supervisor.ts";
import type { RaftError } from "../../src/raft/errors.ts";
import { sleep } from "./load.ts";
import { type Figures, loadFlotilla, runForMinutes, type TimedSoakOptions } from "./script.ts";

// A client that asks for ten times what the cluster can do: what is too much is refused at once, memory stays bounded, and
// as much is done as before.
//
//     npx tsx test/soak/overload.ts [--minutes 1] [--dist]

/** Large, so that one thread can make ten times as many as three peers can write. */
const VALUE = "x".repeat(16 << 10);
const MAX_PENDING_BYTES = 8 << 20;
const TIMES_TOO_MUCH = 10;
const CALM_SECONDS = 5;
const PARTS = 6;
const MOST_AT_ONCE = 500;

/** What became of the commands of a stretch of time. */
interface Stretch {
  offered: number;
  acknowledged: number;
  refused: number;
}

async function overload({ minutes, seed, dist }: TimedSoakOptions): Promise<Figures> {
  const { Supervisor } = await loadFlotilla(dist);
  const supervisor = await Supervisor.start({ seed, maxPendingBytes: MAX_PENDING_BYTES });
  try {
    const calm = await closedLoop(supervisor, CALM_SECONDS);
    const stretches: Stretch[] = [];
    const memory: number[] = [];
    for (let part = 0; part < PARTS; part++) {
      stretches.push(await flood(supervisor, calm * TIMES_TOO_MUCH, (minutes * 60) / PARTS));
      memory.push(ownMemoryMb());
    }
    const seconds = (minutes * 60) / PARTS;
    const total = (key: keyof Stretch) => stretches.reduce((sum, stretch) => sum + stretch[key], 0);
    return {
      "commands of 16 KiB a second, 64 clients": Math.round(calm),
      "offered a second, times that": (total("offered") / (minutes * 60) / calm).toFixed(1),
      "acknowledged a second, in sixths of the time": stretches
        .map(({ acknowledged }) => Math.round(acknowledged / seconds))
        .join(" "),
      "refused at once, certainly not applied": total("refused"),
      "memory in MB at the end of each sixth": memory.join(" "),
      "a second, when it is over": Math.round(await closedLoop(supervisor, CALM_SECONDS)),
    };
  } finally {
    await supervisor.stop();
  }
}

/** Without the pages of the stores' files, which the system keeps in memory as long as there is room. */
function ownMemoryMb(): number {
  const status = readFileSync("/proc/self/status", "utf8");
  return Math.round(Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1_024);
}

function put(supervisor: Supervisor, number: number) {
  return supervisor.propose({ op: "put", key: `k${number % 100}`, value: VALUE });
}

/** @returns how many commands a second the cluster does for clients that wait. */
async function closedLoop(supervisor: Supervisor, seconds: number): Promise<number> {
  let done = 0;
  const until = performance.now() + seconds * 1_000;
  const client = async (): Promise<void> => {
    for (; performance.now() < until; done++) await put(supervisor, done);
  };
  await Promise.all(Array.from({ length: 64 }, client));
  return done / seconds;
}

/** Proposes so many commands a second, whatever becomes of them. */
async function flood(supervisor: Supervisor, rate: number, seconds: number): Promise<Stretch> {
  const stretch = { offered: 0, acknowledged: 0, refused: 0 };
  let failure: unknown;
  const from = performance.now();
  for (let elapsed = 0; elapsed < seconds; elapsed = (performance.now() - from) / 1_000) {
    // The answers are to be heard meanwhile.
    const due = Math.min(elapsed * rate, stretch.offered + MOST_AT_ONCE);
    for (; stretch.offered < due; stretch.offered++) {
      put(supervisor, stretch.offered).then(
        () => stretch.acknowledged++,
        (error: unknown) => {
          // Of the package that was built when that is run, so no class to go by.
          const { code, outcome } = error as RaftError;
          if (code === "ERR_OVERLOADED" && outcome === "not-applied") {
            stretch.refused++;
          } else failure ??= error;
        },
      );
    }
    await sleep(0);
    if (failure !== undefined) throw failure;
  }
  while (stretch.acknowledged + stretch.refused < stretch.offered && failure === undefined) await sleep(1);
  if (failure !== undefined) throw failure;
  return stretch;
}

await runForMinutes(import.meta, 1, overload);
