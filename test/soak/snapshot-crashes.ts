import { performance } from "node:perf_hooks";
import type { Peer } from "../../src/actors/peer-handle.ts";
import type { Supervisor } from "../../src/actors/supervisor.ts";
import { seededRandom } from "../../src/raft/random.ts";
import { audit, Load, sleep, until } from "./load.ts";
import { loadFlotilla, runAsScript, type SoakOptions } from "./script.ts";

const CLIENTS = 4;
const PAUSE_MS = 5;
/** So few that a peer hardly ever is without a snapshot in the making. */
const SNAPSHOT_EVERY = 20;
/** What the state holds beside what the clients write: some ten chunks, so that there are moments in between. */
const BULK_KEYS = 40;
const BULK_BYTES = 64 << 10;
/** In this part of the rounds a follower falls behind first, and has to be sent a snapshot. */
const BEHIND_PART = 0.5;
/** The longest that is waited before a crash, at random: about what a snapshot takes to be saved or installed. */
const MAX_DELAY_MS = 120;
const PATIENT = { timeoutMs: 60_000 };

/**
 * Crashes peers while they save snapshots, install them and compact their logs, all the time under load. In the end
 * every acknowledged command is on each peer once, and all of them hold the same.
 */
export async function snapshotCrashes({ times, seed, dist }: SoakOptions) {
  const flotilla = await loadFlotilla(dist);
  const random = seededRandom(seed);
  const supervisor = await flotilla.Supervisor.start({
    peers: 3,
    seed,
    snapshotEvery: SNAPSHOT_EVERY,
    restart: { intensity: Number.POSITIVE_INFINITY, periodMs: 500, backoffMs: [5, 50] },
  });
  try {
    const counts = count(supervisor);
    for (let key = 0; key < BULK_KEYS; key++) {
      await supervisor.propose({ op: "put", key: `bulk${key}`, value: randomText(random) }, PATIENT);
    }
    const load = new Load(supervisor, { name: "snapshot", clients: CLIENTS, pauseMs: PAUSE_MS });
    const from = performance.now();
    let behind = 0;
    for (let round = 1; round <= times; round++) {
      // A peer that is down takes no snapshots, and without a majority there is nothing to take them of.
      await until("all peers are up", async () => {
        const statuses = await Promise.all(supervisor.peers.map((peer) => peer.status()));
        return statuses.every(({ state }) => state === "up");
      });
      const victim = pick(supervisor.peers, random);
      if (random() < BEHIND_PART) {
        behind++;
        await fallBehind(supervisor, victim);
        await sleep(random() * MAX_DELAY_MS);
        // The one who sends is as good a victim as the one who is sent to.
        const { leader } = await victim.status();
        const sender = leader === undefined ? victim : supervisor.peer(leader);
        await (random() < 0.3 ? sender : victim).crash();
      } else {
        await sleep(random() * MAX_DELAY_MS);
        await victim.crash();
      }
      // What is left of it is found, and must not be taken for more than it is.
      if (random() < 0.3) {
        await sleep((random() * MAX_DELAY_MS) / 2);
        await victim.crash();
      }
    }
    const seconds = (performance.now() - from) / 1_000;
    await load.stop();
    await audit(supervisor, load.histories);
    return {
      crashes: counts.crashes,
      "followers that fell behind": behind,
      "snapshots taken": counts.taken,
      "snapshots installed": counts.installed,
      seconds: seconds.toFixed(1),
      acknowledged: load.acknowledged,
      "outcome unknown": load.unknown,
    };
  } finally {
    await supervisor.stop();
  }
}

/** Cuts a peer off until the log of the leader begins behind all that it has. */
async function fallBehind(supervisor: Supervisor, victim: Peer): Promise<void> {
  await supervisor.faults.isolate(victim.id);
  await until(`${victim.id} is too far behind for the log`, async () => {
    const statuses = await Promise.all(supervisor.peers.map((peer) => peer.status()));
    const { lastIndex } = await victim.status();
    return statuses.some(({ id, role, firstIndex }) => {
      return id !== victim.id && role === "leader" && firstIndex > lastIndex + 1;
    });
  });
  await supervisor.faults.heal();
}

/** What happens from now on, as the events tell it; none of it may be a peer that is not restarted. */
function count(supervisor: Supervisor) {
  const counts = { crashes: 0, taken: 0, installed: 0 };
  const follow = async () => {
    for await (const event of supervisor.events()) {
      if (event.type === "crash") counts.crashes++;
      else if (event.type === "snapshot" && event.installed) counts.installed++;
      else if (event.type === "snapshot") counts.taken++;
      // One that dies by itself has met something that it could not go on with.
      if (event.type === "crash" && !event.requested) throw new Error(`${event.peer} died`, { cause: event.error });
      if (event.type === "snapshot-failed" || event.type === "given-up") throw event.error;
    }
  };
  // An error here ends the whole run, as it should.
  void follow();
  return counts;
}

function pick(peers: readonly Peer[], random: () => number): Peer {
  const peer = peers[Math.floor(random() * peers.length)];
  if (peer === undefined) throw new Error("there are no peers");
  return peer;
}

/** Text that no two peers could have made by different histories. */
function randomText(random: () => number): string {
  let text = "";
  while (text.length < BULK_BYTES) text += random().toString(36);
  return text.slice(0, BULK_BYTES);
}

await runAsScript(import.meta, 300, snapshotCrashes);
