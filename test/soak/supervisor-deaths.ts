import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { seededRandom } from "../../src/raft/random.ts";
import { supervisorKiller } from "./apps/program.ts";
import { distribution, isNoMore, type Resources, resources } from "./figures.ts";
import { audit, type History, Load, sleep, until } from "./load.ts";
import { loadFlotilla, runAsScript, type SoakOptions } from "./script.ts";

const CLIENTS = 64;
/** A fresh directory now and then, since a start applies all that is in the log. */
const DEATHS_PER_DIRECTORY = 5;
const LIMIT_MS = 4_000;

/**
 * The supervisor's thread dies under load: every pending call settles, and the directory opens again in this process.
 * In the end all that was acknowledged is there.
 */
export async function supervisorDeaths({ times, seed, dist }: SoakOptions) {
  const { Supervisor } = await loadFlotilla(dist);
  const random = seededRandom(seed);
  const machine = supervisorKiller();
  // As the first death leaves it: the process and its loader have opened by then what they keep.
  let before: Resources | undefined;
  const took: number[] = [];
  let acknowledged = 0;
  for (let done = 0; done < times; done += DEATHS_PER_DIRECTORY) {
    const directory = mkdtempSync(join(tmpdir(), "flotilla-deaths-"));
    const histories: History[] = [];
    try {
      for (let time = done + 1; time <= Math.min(times, done + DEATHS_PER_DIRECTORY); time++) {
        const supervisor = await Supervisor.start({ directory, machine });
        const load = new Load(supervisor, { name: `death${time}`, clients: CLIENTS });
        await until("the load has begun", () => load.acknowledged > CLIENTS);
        await sleep(random() * 100);
        const others = [
          // Nobody reaches the first one's answer; the second waits for a thread that is gone.
          supervisor.peers[0]?.query({ op: "kill-supervisor" }, { consistency: "local" }),
          supervisor.counters(),
          ends(supervisor.events()),
        ];
        const from = performance.now();
        await settled(Promise.all([load.stopped, Promise.allSettled(others)]));
        // What stop() waits for: the directory is free.
        await settled(supervisor.stop());
        took.push(performance.now() - from);
        for (const peer of supervisor.peers) {
          const { state } = await peer.status();
          if (state !== "down") throw new Error(`${peer.id} is ${state} without a supervisor`);
        }
        histories.push(...load.histories);
        before ??= resources();
      }
      const last = await Supervisor.start({ directory, machine });
      await audit(last, histories).finally(() => last.stop());
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
    acknowledged += histories.reduce((sum, history) => sum + history.acknowledged.length, 0);
  }
  await until(`threads and files are as before: ${JSON.stringify(before)}`, () => isNoMore(resources(), before));
  return { deaths: times, "acknowledged, and there": acknowledged, "death to all settled": distribution(took) };
}

async function ends(events: AsyncIterable<unknown>): Promise<void> {
  for await (const _event of events);
}

/** @throws Error when it takes longer than anything may that waits for a dead thread. */
async function settled(what: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`something was not settled within ${LIMIT_MS} ms`)), LIMIT_MS);
  });
  await Promise.race([what, late]).finally(() => clearTimeout(timer));
}

await runAsScript(import.meta, 100, supervisorDeaths);
