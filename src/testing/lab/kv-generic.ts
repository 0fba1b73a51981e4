import { performance } from "node:perf_hooks";
import { type KvCaller, KvClients } from "./kv-clients.ts";
import { expect, type Lab, T } from "./lab.ts";

/** What a test of the lab's key-value service varies. */
export interface KvTest {
  readonly clients: number;
  readonly unreliable: boolean;
  readonly crash: boolean;
  readonly partitions: boolean;
  /** Whether logs are bounded by snapshots. */
  readonly snapshots: boolean;
  /** Whether clients write to each other's keys. */
  readonly randomKeys: boolean;
}

const ITERATIONS = 3;
const ROUND_MS = 5_000;
/** The lab's maxraftstate is 1,000, and eight times as much is put up with. */
const MAX_LOG_BYTES = 8_000;
/** A snapshot is taken in the background, right after the entry that makes it due; so long may that take at most. */
const SAVING_LIMIT_MS = 2_000;

/** The lab's GenericTest: clients append and read while the network and the peers fail under them. */
export async function genericTest(lab: Lab, test: KvTest): Promise<void> {
  const clients = new KvClients(lab, test.unreliable);
  const callers = await Promise.all(Array.from({ length: test.clients }, () => clients.make()));
  for (let round = 1; round <= ITERATIONS; round++) {
    lab.step(`round ${round} of ${ITERATIONS}: clients append and read`);
    const over = { isOver: false };
    const working = Promise.all(callers.map((caller, me) => work(lab, caller, me, round, test, over)));
    // What fails first is reported.
    working.catch(() => {});
    if (test.partitions) await partition(lab, ROUND_MS);
    else await lab.sleep(ROUND_MS);
    over.isOver = true;
    if (test.partitions) {
      lab.step(`round ${round} of ${ITERATIONS}: heal the partition`);
      await lab.cluster.faults.partition();
      await lab.sleep(T);
    }
    if (test.crash) {
      lab.step(`round ${round} of ${ITERATIONS}: crash all, start all again`);
      for (const id of lab.ids) await lab.cluster.crash(id);
      await lab.sleep(T);
      await lab.restart(...lab.ids);
    }
    const written = await working;
    if (!test.randomKeys) {
      for (const [me, caller] of callers.entries()) {
        const value = await caller.get(keyOf(round, me));
        expect(value === written[me], () => `${caller.name} has written "${written[me]}", and reads "${value}".`);
      }
    }
    if (test.snapshots) await expectShortLogs(lab);
  }
  await clients.check();
}

/** A key of its own for each round keeps the histories short, which are checked key by key. */
function keyOf(round: number, client: number): string {
  return `${round}.${client}`;
}

/** @returns what the client has written to its own key. */
async function work(
  lab: Lab,
  caller: KvCaller,
  me: number,
  round: number,
  { clients, randomKeys }: KvTest,
  over: { readonly isOver: boolean },
): Promise<string> {
  let written = "";
  for (let at = 0; !over.isOver; at++) {
    const key = keyOf(round, randomKeys ? lab.below(clients) : me);
    const text = `x ${me} ${at} y`;
    if (lab.happens(0.5)) {
      await caller.append(key, text);
      written += text;
    } else if (randomKeys && lab.happens(0.1)) {
      await caller.put(key, text);
    } else {
      const value = await caller.get(key);
      expect(randomKeys || value === written, () => `${caller.name} has written "${written}", and reads "${value}".`);
    }
  }
  return written;
}

/** Calm for a second, then every now and then each peer on one side or the other by chance. */
async function partition(lab: Lab, ms: number): Promise<void> {
  const end = performance.now() + T + ms;
  await lab.sleep(T);
  while (performance.now() < end) {
    await lab.cluster.faults.partition(lab.ids.filter(() => lab.happens(0.5)));
    await lab.sleep(T + lab.below(200));
  }
}

/** Of all peers. @throws LabError */
export async function expectShortLogs(lab: Lab): Promise<void> {
  const limit = performance.now() + SAVING_LIMIT_MS;
  for (;;) {
    const statuses = await Promise.all(lab.cluster.peers.map((peer) => peer.status()));
    const long = statuses.filter(({ logBytes }) => logBytes > MAX_LOG_BYTES);
    if (long.length === 0) return;
    const sizes = long.map(({ id, logBytes }) => `${id}'s has ${logBytes}`).join(", ");
    expect(performance.now() < limit, () => `A log may have ${MAX_LOG_BYTES} bytes, and ${sizes}.`);
    await lab.sleep(10);
  }
}
