import { performance } from "node:perf_hooks";
import { sleeps } from "./figures.ts";
import { sleep } from "./load.ts";
import { loadFlotilla, runAsScript, type SoakOptions } from "./script.ts";

const MARK_PERCENT = 3;
/** V8 cleans up after the start when a thread has had little to do for some seconds; idle is what comes after that. */
const SETTLE_MS = 20_000;

/** Five idle peers, one second for each of `times`: how much of one core they use, with all threads of this process. */
export async function idle({ times, seed, dist }: SoakOptions) {
  const { Supervisor } = await loadFlotilla(dist);
  const supervisor = await Supervisor.start({ peers: 5, seed });
  await supervisor.propose({ op: "put", key: "k", value: 1 });
  await sleep(SETTLE_MS);
  const from = performance.now();
  const sleepsBefore = sleeps();
  const rpcsBefore = (await supervisor.counters()).rpcs;
  const cpuBefore = process.cpuUsage();
  await sleep(times * 1_000);
  const { user, system } = process.cpuUsage(cpuBefore);
  const seconds = (performance.now() - from) / 1_000;
  const wakeups = sleeps() - sleepsBefore;
  const rpcs = (await supervisor.counters()).rpcs - rpcsBefore;
  await supervisor.stop();
  const percent = (user + system) / 1e4 / seconds;
  const figures = {
    "percent of one core": percent.toFixed(2),
    "of it in the system": (system / 1e4 / seconds).toFixed(2),
    "wakeups a second": (wakeups / seconds).toFixed(0),
    "RPCs a second": (rpcs / seconds).toFixed(0),
  };
  if (!(percent < MARK_PERCENT)) throw new Error(`five idle peers use too much: ${JSON.stringify(figures)}`);
  return figures;
}

await runAsScript(import.meta, 20, idle);
