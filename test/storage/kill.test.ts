import type { Worker } from "node:worker_threads";
import { expect, it } from "vitest";
import { type Random, seededRandom } from "../../src/raft/random.ts";
import { GateState, takeGate } from "../../src/storage/gate.ts";
import { LmdbStore, noGate } from "../../src/storage/index.ts";
import type { KilledCompactorData } from "./fixtures/killed-compactor.ts";
import type { KilledPeerData } from "./fixtures/killed-peer.ts";
import { OPTIONS } from "./fixtures/options.ts";
import { temporaryFolder } from "./fixtures/stores.ts";
import { withTables } from "./fixtures/tables.ts";
import { startThread } from "./fixtures/thread.ts";

const LONG = 30_000;
/** Stores that are killed side by side, as those of a cluster are. */
const LANES = 4;
const KILLS_A_LANE = 25;

/** Resolves when `reached` says so, rejects when the thread fails. */
function until(thread: Worker, reached: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    thread.once("error", reject);
    const poll = () => (reached() ? resolve() : setTimeout(poll, 1));
    poll();
  });
}

/** Lets a thread write some more entries, kills it, starts the next; each checks all that the ones before wrote. */
async function killAgainAndAgain(path: string, random: Random): Promise<number> {
  const gates = new Int32Array(new SharedArrayBuffer(4 * KILLS_A_LANE)).fill(GateState.held);
  let acknowledged = 1;
  for (let life = 0; life < KILLS_A_LANE; life++) {
    const report = new Int32Array(new SharedArrayBuffer(12));
    const data: KilledPeerData = { path, gates, gate: life, report };
    const thread = startThread("killed-peer", data);
    const enough = acknowledged + 1 + Math.floor(random() * 60);
    await until(thread, () => Atomics.load(report, 0) >= enough);
    expect(await takeGate(gates, life, LONG)).toBe(true);
    await thread.terminate();
    const [acknowledgedNow = 0, found = 0, incarnation] = report;
    expect(incarnation).toBe(life + 1);
    // A save of three that was done but not yet acknowledged may be there as well.
    expect([acknowledged, acknowledged + 3]).toContain(found);
    acknowledged = acknowledgedNow;
  }
  return acknowledged;
}

it(`loses no acknowledged entry in ${LANES * KILLS_A_LANE} kills of threads that write and read through their gates`, async () => {
  const folders = Array.from({ length: LANES }, temporaryFolder);
  try {
    const ends = await Promise.all(folders.map(({ path }, lane) => killAgainAndAgain(path, seededRandom(lane))));
    for (const end of ends) expect(end).toBeGreaterThan(KILLS_A_LANE);
  } finally {
    for (const folder of folders) folder.remove();
  }
}, 180_000);

const COMPACTOR_LANES = 3;
const KILLS_A_COMPACTOR = 10;
/** Of the words in which a compactor reports. */
const REPORT_WORDS = 8;

/** Like `killAgainAndAgain`, with snapshots, compactions, installations and sweeps among the saves. */
async function killCompactors(path: string, random: Random): Promise<void> {
  const gates = new Int32Array(new SharedArrayBuffer(4 * KILLS_A_COMPACTOR)).fill(GateState.held);
  /** Where the log and the snapshot may end: as acknowledged, or as in the save that was under way. */
  let possible = [[1, 0]];
  for (let life = 0; life < KILLS_A_COMPACTOR; life++) {
    const report = new Int32Array(new SharedArrayBuffer(4 * REPORT_WORDS));
    const data: KilledCompactorData = { path, gates, gate: life, report };
    const thread = startThread("killed-compactor", data);
    const enough = 1 + Math.floor(random() * 80);
    await until(thread, () => Atomics.load(report, 7) >= enough);
    expect(await takeGate(gates, life, LONG)).toBe(true);
    await thread.terminate();
    const [acknowledged = 0, covered = 0, begun = 0, begunCovered = 0, foundLast, foundCovered, incarnation] = report;
    expect(incarnation).toBe(life + 1);
    expect(possible).toContainEqual([foundLast, foundCovered]);
    possible = [
      [acknowledged, covered],
      [begun, begunCovered],
    ];
  }
}

/** Sweeps the store, and compares its records with what it says it holds. */
async function expectSwept(path: string): Promise<void> {
  const store = await LmdbStore.open({ ...OPTIONS, path, born: true, durability: "disk", gate: noGate });
  const { firstIndex, lastIndex, terms, snapshot } = store.state;
  const batches = lastIndex < firstIndex ? [] : store.read(firstIndex, Number.POSITIVE_INFINITY);
  while (store.sweep());
  await store.close();
  const counts = await withTables(path, ({ log, terms, snapshot }) =>
    [log, terms, snapshot].map((t) => t.getKeysCount()),
  );
  expect(counts).toEqual([batches.length, terms.length, snapshot?.chunks ?? 0]);
}

it(`recovers what was acknowledged, and all that is left over, in ${COMPACTOR_LANES * KILLS_A_COMPACTOR} kills amid snapshots and compactions`, async () => {
  const folders = Array.from({ length: COMPACTOR_LANES }, temporaryFolder);
  try {
    await Promise.all(folders.map(({ path }, lane) => killCompactors(path, seededRandom(lane))));
    for (const { path } of folders) await expectSwept(path);
  } finally {
    for (const folder of folders) folder.remove();
  }
}, 180_000);
