import { performance } from "node:perf_hooks";
import type { ClusterEvent } from "../../src/actors/protocol.ts";
import { seededRandom } from "../../src/raft/random.ts";
import { distribution, quantile } from "./figures.ts";
import { Load, sleep, until } from "./load.ts";
import { loadFlotilla, runAsScript, type SoakOptions } from "./script.ts";

const PEERS = 3;
const ELECTION_MS: readonly [number, number] = [150, 300];
const CLIENTS = 4;
const PAUSE_MS = 10;
const MARK_MS = 50;

/**
 * Crashes the leader again and again, each time when all peers are up and may vote. Measures from the exit of the
 * leader's thread to the first commit of the next leader, its no-op; both as the app hears of them.
 */
export async function failover({ times, seed, dist }: SoakOptions) {
  const { Supervisor } = await loadFlotilla(dist);
  const random = seededRandom(seed);
  const supervisor = await Supervisor.start({
    peers: PEERS,
    electionMs: ELECTION_MS,
    seed,
    trace: "applied",
    restart: { intensity: Number.POSITIVE_INFINITY, periodMs: 100, backoffMs: [10, 10] },
  });
  let onEvent = (_event: ClusterEvent) => {};
  void (async () => {
    for await (const event of supervisor.events()) onEvent(event);
  })();
  const load = new Load(supervisor, { name: "failover", clients: CLIENTS, pauseMs: PAUSE_MS });
  const toElected: number[] = [];
  const toCommit: number[] = [];
  let split = 0;
  for (let time = 0; time < times; time++) {
    await until("all peers are up", async () => {
      const statuses = await Promise.all(supervisor.peers.map((peer) => peer.status()));
      return statuses.every(({ state }) => state === "up");
    });
    // One that was started again votes only when its old promises have run out.
    await sleep(ELECTION_MS[0] + random() * 100);
    const leader = await supervisor.leader();
    const { currentTerm } = await leader.status();
    let exitedAt = Number.NaN;
    // On a busy machine another may be elected just before the crash: then it is no failover.
    let isReplaced = false;
    const committed = new Promise<void>((resolve) => {
      onEvent = (event) => {
        if (event.type === "crash" && event.peer === leader.id) exitedAt = performance.now();
        else if (Number.isNaN(exitedAt)) isReplaced ||= event.type === "leader" && event.term > currentTerm;
        else if (isReplaced) resolve();
        else if (event.type === "leader" && event.term > currentTerm) {
          toElected.push(performance.now() - exitedAt);
          if (event.term > currentTerm + 1) split++;
        } else if (event.type === "applied" && (event.entries.at(-1)?.term ?? 0) > currentTerm) {
          toCommit.push(performance.now() - exitedAt);
          resolve();
        }
      };
    });
    await leader.crash();
    await committed;
    onEvent = () => {};
  }
  await load.stop();
  await supervisor.stop();
  const median = quantile(toCommit, 0.5);
  if (!(median < MARK_MS)) throw new Error(`the median is ${median.toFixed(1)} ms: ${distribution(toCommit)}`);
  return {
    "leader's exit to next leader elected": distribution(toElected),
    "leader's exit to its first commit": distribution(toCommit),
    "elections that needed more than one term": split,
  };
}

await runAsScript(import.meta, 300, failover);
