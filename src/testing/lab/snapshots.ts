import { isDeepStrictEqual } from "node:util";
import { inspectShort } from "../inspect-short.ts";
import { expect, type Lab } from "./lab.ts";
import type { Applied } from "./log-machine.ts";
import type { Scenario } from "./scenario.ts";

/** The lab's SnapShotInterval: so many entries are applied between two snapshots. */
const SNAPSHOT_EVERY = 10;

/** The lab's MAXLOGSIZE, in bytes: what any peer's log may take beside its snapshot. */
const MAX_LOG_BYTES = 2_000;

/** A snapshot is saved in the background, right after the entry that makes it due; so long may that take at most. */
const SAVING_LIMIT_MS = 2_000;

const ITERATIONS = 30;

const retry = { retry: true };

/** Part 3D: snapshots in the place of the log's beginning. */
export const snapshots: readonly Scenario[] = [
  {
    name: "SnapshotBasic3D",
    title: "snapshots basic",
    part: "3D",
    peers: 3,
    unreliable: false,
    snapshotEvery: SNAPSHOT_EVERY,
    mit: { seconds: 11.6, rpcs: 176, bytes: 61_716, commands: 192 },
    run: (lab) => manySnapshots(lab, undefined),
  },
  {
    name: "SnapshotInstall3D",
    title: "install snapshots (disconnect)",
    part: "3D",
    peers: 3,
    unreliable: false,
    snapshotEvery: SNAPSHOT_EVERY,
    mit: { seconds: 64.2, rpcs: 878, bytes: 320_610, commands: 336 },
    run: (lab) => manySnapshots(lab, "cut off"),
  },
  {
    name: "SnapshotInstallUnreliable3D",
    title: "install snapshots (disconnect+unreliable)",
    part: "3D",
    peers: 3,
    unreliable: true,
    snapshotEvery: SNAPSHOT_EVERY,
    mit: { seconds: 81.1, rpcs: 1_059, bytes: 375_850, commands: 341 },
    run: (lab) => manySnapshots(lab, "cut off"),
  },
  {
    name: "SnapshotInstallCrash3D",
    title: "install snapshots (crash)",
    part: "3D",
    peers: 3,
    unreliable: false,
    snapshotEvery: SNAPSHOT_EVERY,
    mit: { seconds: 53.5, rpcs: 601, bytes: 256_638, commands: 339 },
    run: (lab) => manySnapshots(lab, "crash"),
  },
  {
    name: "SnapshotInstallUnCrash3D",
    title: "install snapshots (unreliable+crash)",
    part: "3D",
    peers: 3,
    unreliable: true,
    snapshotEvery: SNAPSHOT_EVERY,
    mit: { seconds: 63.5, rpcs: 687, bytes: 288_294, commands: 336 },
    run: (lab) => manySnapshots(lab, "crash"),
  },
  {
    name: "SnapshotAllCrash3D",
    title: "crash and restart all servers",
    part: "3D",
    peers: 3,
    unreliable: false,
    snapshotEvery: SNAPSHOT_EVERY,
    mit: { seconds: 19.5, rpcs: 268, bytes: 81_352, commands: 58 },
    async run(lab) {
      await lab.cluster.one(lab.number(), 3, retry);
      for (let round = 1; round <= 5; round++) {
        lab.step(`round ${round} of 5: a few commands`);
        await commit(lab, aFew(lab));
        const before = await lab.cluster.one(lab.number(), 3, retry);
        lab.step(`round ${round} of 5: crash all, start all again`);
        await crashAndRestartAll(lab);
        const after = await lab.cluster.one(lab.number(), 3, retry);
        expect(after > before, () => `A command came to stand at ${after}, and one before the crash at ${before}.`);
      }
      await expectSameState(lab);
    },
  },
  {
    name: "SnapshotInit3D",
    title: "snapshot initialization after crash",
    part: "3D",
    peers: 3,
    unreliable: false,
    snapshotEvery: SNAPSHOT_EVERY,
    mit: undefined,
    async run(lab) {
      lab.step("enough commands for a snapshot");
      await commit(lab, 1 + SNAPSHOT_EVERY + 1);
      for (const time of ["once", "twice"]) {
        lab.step(`crash all, start all again, ${time}, with one command that is written beside the snapshot`);
        await crashAndRestartAll(lab);
        await lab.cluster.one(lab.number(), 3, retry);
      }
      await expectSameState(lab);
    },
  },
];

/** The victim, a follower or now and then the leader, misses so much that the others have compacted it away. */
async function manySnapshots(lab: Lab, trouble: "cut off" | "crash" | undefined): Promise<void> {
  await lab.cluster.one(lab.number(), 3, retry);
  let leader = await lab.leader();
  for (let round = 0; round < ITERATIONS; round++) {
    const follower = lab.after(leader, 1);
    const [victim, sender] = round % 3 === 1 ? [leader, follower] : [follower, leader];
    lab.step(`round ${round + 1} of ${ITERATIONS}: ${trouble ?? "spare"} ${victim}, and hand commands to ${sender}`);
    if (trouble === "cut off") await lab.disconnect(victim);
    if (trouble === "crash") await lab.cluster.crash(victim);
    if (trouble !== undefined) await lab.cluster.one(lab.number(), 2, retry);
    await Promise.all(Array.from({ length: aFew(lab) }, () => lab.cluster.begin(sender, lab.number())));
    await lab.cluster.one(lab.number(), trouble === undefined ? 3 : 2, retry);
    await expectShortLogs(lab);
    if (trouble === undefined) continue;
    lab.step(`round ${round + 1} of ${ITERATIONS}: ${victim} comes back`);
    if (trouble === "cut off") await lab.connect(victim);
    else await lab.restart(victim);
    await lab.cluster.one(lab.number(), 3, retry);
    leader = await lab.leader();
  }
  await expectSameState(lab);
}

/** As often as not enough for a snapshot. */
function aFew(lab: Lab): number {
  return SNAPSHOT_EVERY / 2 + lab.below(SNAPSHOT_EVERY);
}

/** Commands one after the other, each by all peers. */
async function commit(lab: Lab, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await lab.cluster.one(lab.number(), 3, retry);
}

async function crashAndRestartAll(lab: Lab): Promise<void> {
  for (const id of lab.ids) await lab.cluster.crash(id);
  await lab.restart(...lab.ids);
}

/** Of all peers, those that are cut off or dead too. */
async function expectShortLogs(lab: Lab): Promise<void> {
  const limit = performance.now() + SAVING_LIMIT_MS;
  for (;;) {
    const statuses = await Promise.all(lab.cluster.peers.map((peer) => peer.status()));
    const long = statuses.filter(({ logBytes }) => logBytes >= MAX_LOG_BYTES);
    if (long.length === 0) return;
    const sizes = long.map(({ id, logBytes }) => `${id}'s has ${logBytes}`).join(", ");
    expect(performance.now() < limit, () => `A log may have ${MAX_LOG_BYTES} bytes, and ${sizes}.`);
    await lab.sleep(10);
  }
}

/**
 * The state of every peer, by way of whatever snapshots, must be what applying the whole log comes to: each command
 * once, at its place.
 */
async function expectSameState(lab: Lab): Promise<void> {
  lab.step("compare the states of all peers with the log");
  for (const peer of lab.cluster.peers) {
    const state = await peer.query<readonly Applied[]>(undefined, { consistency: "local" });
    // What was applied is heard of a moment later than the state can be seen.
    for (const [index] of state) await lab.cluster.wait(index, 1);
    const log: Applied[] = [];
    for (let index = 1; index <= (state.at(-1)?.[0] ?? 0); index++) {
      const { command } = await lab.cluster.committed(index);
      if (command !== undefined) log.push([index, command]);
    }
    const differing = log.findIndex((one, at) => !isDeepStrictEqual(one, state[at]));
    expect(
      differing === -1 && state.length === log.length,
      () =>
        `${peer.id} was to have ${log.length} commands and has ${state.length}; the first that differs was to be ` +
        `${inspectShort(log[differing])}, and is ${inspectShort(state[differing])}.`,
    );
  }
}
