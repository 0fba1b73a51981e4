import { performance } from "node:perf_hooks";
import { seededRandom } from "../../src/raft/random.ts";
import { distribution, isNoMore, type Resources, resources } from "./figures.ts";
import { audit, Load, sleep, until } from "./load.ts";
import { loadFlotilla, runAsScript, type SoakOptions } from "./script.ts";

const PEERS = 5;
/** The longest that is waited between two crashes, at random. */
const MAX_GAP_MS = 150;
/** Few enough commands that a restart, which applies them all again, takes no longer in the end than in the beginning. */
const CLIENTS = 8;
const PAUSE_MS = 10;

/**
 * Crashes random peers under load, several at once now and then. In the end every acknowledged command is on each peer
 * once, and there are as many threads and files as in the beginning.
 */
export async function crashes({ times, seed, dist }: SoakOptions) {
  const { Supervisor } = await loadFlotilla(dist);
  const random = seededRandom(seed);
  // The first cluster leaves what the process and its loader keep open.
  await (await Supervisor.start({ peers: 1 })).stop();
  const idle = resources();
  const supervisor = await Supervisor.start({
    peers: PEERS,
    seed,
    restart: { intensity: Number.POSITIVE_INFINITY, periodMs: 500, backoffMs: [10, 50] },
  });
  const isUp = async () => {
    const statuses = await Promise.all(supervisor.peers.map((peer) => peer.status()));
    return statuses.every(({ state }) => state === "up");
  };
  await until("all peers are up", isUp);
  const outages: number[] = [];
  let outage: { readonly from: number; readonly term: number } | undefined;
  const load = new Load(supervisor, {
    name: "crash",
    clients: CLIENTS,
    pauseMs: PAUSE_MS,
    onAcknowledged: (_key, _number, term) => {
      if (outage === undefined || term <= outage.term) return;
      outages.push(performance.now() - outage.from);
      outage = undefined;
    },
  });
  await until("the load has begun", () => load.acknowledged > 50);
  const before = resources();
  let warm: Resources = before;
  const from = performance.now();
  for (let time = 1; time <= times; time++) {
    const victim = supervisor.peers[Math.floor(random() * PEERS)];
    if (victim === undefined) continue;
    const { role, currentTerm, state } = await victim.status();
    await victim.crash();
    if (role === "leader" && state === "up") outage ??= { from: performance.now(), term: currentTerm };
    await sleep(random() * MAX_GAP_MS);
    if (time === Math.ceil(times / 10)) {
      await until("all peers are up", isUp);
      warm = resources();
    }
  }
  const seconds = (performance.now() - from) / 1_000;
  await until("all peers are up", isUp);
  await load.stop();
  await audit(supervisor, load.histories);
  await until(`threads and files are as before: ${JSON.stringify(before)}`, () => isNoMore(resources(), before));
  const after = resources();
  await supervisor.stop();
  await until(`threads and files are as before: ${JSON.stringify(idle)}`, () => isNoMore(resources(), idle));
  const stopped = resources();
  return {
    crashes: times,
    seconds: seconds.toFixed(1),
    acknowledged: load.acknowledged,
    "outcome unknown": load.unknown,
    "threads, before and after": `${before.threads} ${after.threads}`,
    "open files, before and after": `${before.files} ${after.files}`,
    "RSS in MiB, before, after a tenth, after": `${before.rssMb} ${warm.rssMb} ${after.rssMb}`,
    "RSS in MiB without a cluster, before and after": `${idle.rssMb} ${stopped.rssMb}`,
    "leader crashed to next acknowledgement": distribution(outages),
  };
}

await runAsScript(import.meta, 1_000, crashes);
