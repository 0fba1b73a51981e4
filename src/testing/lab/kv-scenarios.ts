import { performance } from "node:perf_hooks";
import { KvClients } from "./kv-clients.ts";
import { expectShortLogs, genericTest, type KvTest } from "./kv-generic.ts";
import { versionedPuts } from "./kv-versions.ts";
import { expect, type Lab, T } from "./lab.ts";
import type { LabColumns, Scenario } from "./scenario.ts";

/** Few enough for logs of some thousand bytes. */
const SNAPSHOT_EVERY = 20;

/** At least three commands within 100 ms. */
const MAX_MS_PER_COMMAND = 100 / 3;
/** Of a few keys. */
const MAX_SNAPSHOT_BYTES = 500;

const PLAIN: KvTest = {
  clients: 1,
  unreliable: false,
  crash: false,
  partitions: false,
  snapshots: false,
  randomKeys: false,
};

type Figures = readonly [seconds: number, rpcs: number, commands: number];

function mit([seconds, rpcs, commands]: Figures): Partial<LabColumns> {
  return { seconds, rpcs, commands };
}

function generic(name: string, title: string, peers: number, varied: Partial<KvTest>, figures: Figures): Scenario {
  const test = { ...PLAIN, ...varied };
  return {
    ...{ name, title, peers, unreliable: test.unreliable, machine: "key-value", mit: mit(figures) },
    part: test.snapshots ? "4B" : "4A",
    ...(test.snapshots ? { snapshotEvery: SNAPSHOT_EVERY } : {}),
    run: (lab) => genericTest(lab, test),
  };
}

const bad = { unreliable: true };
const crash = { crash: true };
const partitions = { partitions: true };
const snapshots = { snapshots: true };
const random = { randomKeys: true, clients: 15 };

/** Parts 4A and 4B: the key-value service, with the figures of MIT's handout of 2022. */
export const keyValue: readonly Scenario[] = [
  generic("Basic4A", "one client", 5, {}, [15.5, 4_576, 903]),
  speed("Speed4A", "4A", [15.7, 3_022, 0]),
  generic("Concurrent4A", "many clients", 5, { clients: 5 }, [15.9, 5_884, 1_160]),
  generic("Unreliable4A", "unreliable net, many clients", 5, { ...bad, clients: 5 }, [19.2, 3_083, 441]),
  {
    ...{ name: "UnreliableOneKey4A", title: "concurrent appends to same key, unreliable", part: "4A", peers: 3 },
    ...{ unreliable: true, machine: "key-value", mit: mit([2.5, 218, 52]) },
    run: appendToOneKey,
  },
  {
    ...{ name: "OnePartition4A", title: "progress in majority, none in minority", part: "4A", peers: 5 },
    ...{ unreliable: false, machine: "key-value", mit: mit([3.9, 275, 8]) },
    run: onePartition,
  },
  generic("ManyPartitionsOneClient4A", "partitions, one client", 5, partitions, [23.8, 4_501, 765]),
  generic(
    "ManyPartitionsManyClients4A",
    "partitions, many clients",
    5,
    { ...partitions, clients: 5 },
    [23.5, 5_692, 974],
  ),
  generic("PersistOneClient4A", "restarts, one client", 5, crash, [22.2, 4_721, 908]),
  generic("PersistConcurrent4A", "restarts, many clients", 5, { ...crash, clients: 5 }, [22.5, 5_490, 1_033]),
  generic(
    "PersistConcurrentUnreliable4A",
    "unreliable net, restarts, many clients",
    5,
    { ...crash, ...bad, clients: 5 },
    [26.5, 3_532, 474],
  ),
  generic(
    "PersistPartition4A",
    "restarts, partitions, many clients",
    5,
    { ...crash, ...partitions, clients: 5 },
    [29.7, 6_122, 1_060],
  ),
  generic(
    "PersistPartitionUnreliable4A",
    "unreliable net, restarts, partitions, many clients",
    5,
    { ...crash, ...partitions, ...bad, clients: 5 },
    [32.9, 2_967, 317],
  ),
  generic(
    "PersistPartitionUnreliableLinearizable4A",
    "unreliable net, restarts, partitions, random keys, many clients",
    7,
    { ...crash, ...partitions, ...bad, ...random },
    [35.0, 8_249, 746],
  ),
  versioned("VersionedPutReliable4A", "puts with versions, many clients (2025)", { clients: 5 }),
  versioned("VersionedPutUnreliable4A", "puts with versions, unreliable net, many clients (2025)", {
    ...bad,
    clients: 5,
  }),
  versioned("VersionedPut4A", "puts with versions, restarts, many clients (2025)", { ...crash, clients: 5 }),
  {
    ...{ name: "SnapshotRPC4B", title: "InstallSnapshot RPC", part: "4B", peers: 3, snapshotEvery: SNAPSHOT_EVERY },
    ...{ unreliable: false, machine: "key-value", mit: mit([4.0, 289, 63]) },
    run: snapshotRpc,
  },
  {
    ...{ name: "SnapshotSize4B", title: "snapshot size is reasonable", part: "4B", peers: 3 },
    ...{ unreliable: false, machine: "key-value", snapshotEvery: SNAPSHOT_EVERY, mit: mit([2.6, 2_418, 800]) },
    run: snapshotSize,
  },
  { ...speed("Speed4B", "4B", [3.2, 3_025, 0]), snapshotEvery: SNAPSHOT_EVERY },
  generic("SnapshotRecover4B", "restarts, snapshots, one client", 5, { ...crash, ...snapshots }, [21.9, 29_266, 5_820]),
  generic(
    "SnapshotRecoverManyClients4B",
    "restarts, snapshots, many clients",
    5,
    { ...crash, ...snapshots, clients: 20 },
    [21.5, 33_115, 6_420],
  ),
  generic(
    "SnapshotUnreliable4B",
    "unreliable net, snapshots, many clients",
    5,
    { ...bad, ...snapshots, clients: 5 },
    [17.4, 3_233, 482],
  ),
  generic(
    "SnapshotUnreliableRecover4B",
    "unreliable net, restarts, snapshots, many clients",
    5,
    { ...bad, ...crash, ...snapshots, clients: 5 },
    [22.7, 3_337, 471],
  ),
  generic(
    "SnapshotUnreliableRecoverConcurrentPartition4B",
    "unreliable net, restarts, partitions, snapshots, many clients",
    5,
    { ...bad, ...crash, ...partitions, ...snapshots, clients: 5 },
    [30.4, 2_725, 274],
  ),
  generic(
    "SnapshotUnreliableRecoverConcurrentPartitionLinearizable4B",
    "unreliable net, restarts, partitions, snapshots, random keys, many clients",
    7,
    { ...bad, ...crash, ...partitions, ...snapshots, ...random },
    [37.7, 8_378, 681],
  ),
];

function versioned(name: string, title: string, varied: Partial<KvTest>): Scenario {
  const test = { ...PLAIN, ...varied };
  return {
    ...{ name, title, part: "4A", peers: 5, unreliable: test.unreliable, machine: "key-value", mit: undefined },
    run: (lab) => versionedPuts(lab, test),
  };
}

function speed(name: string, part: "4A" | "4B", figures: Figures): Scenario {
  return {
    ...{ name, title: "ops complete fast enough", part, peers: 3, unreliable: false, machine: "key-value" },
    mit: mit(figures),
    async run(lab) {
      const clients = new KvClients(lab, false);
      const caller = await clients.make();
      await caller.put("x", "");
      lab.step("1,000 appends, one after the other");
      const began = performance.now();
      let written = "";
      for (let at = 0; at < 1_000; at++) {
        await caller.append("x", `x 0 ${at} y`);
        written += `x 0 ${at} y`;
      }
      const ms = (performance.now() - began) / 1_000;
      expect(ms <= MAX_MS_PER_COMMAND, () => `An append took ${ms.toFixed(1)} ms, and may take ${MAX_MS_PER_COMMAND}.`);
      expect((await caller.get("x")) === written, () => "The value is not what was appended.");
      await clients.check();
    },
  };
}

async function appendToOneKey(lab: Lab): Promise<void> {
  const clients = new KvClients(lab, true);
  const first = await clients.make();
  await first.put("k", "");
  lab.step("five clients append ten times each to one key");
  await Promise.all(
    Array.from({ length: 5 }, async (_, me) => {
      const caller = await clients.make();
      for (let at = 0; at < 10; at++) await caller.append("k", `x ${me} ${at} y`);
    }),
  );
  const value = await first.get("k");
  for (let me = 0; me < 5; me++) {
    const found = [...value.matchAll(new RegExp(`x ${me} (\\d+) y`, "g"))].map(([, at]) => Number(at));
    expect(found.join() === "0,1,2,3,4,5,6,7,8,9", () => `Of client ${me} there are the appends ${found.join()}.`);
  }
  await clients.check();
}

/** The leader is left with one other; what is asked there must wait, and be done when the partition heals. */
async function onePartition(lab: Lab): Promise<void> {
  const clients = new KvClients(lab, false);
  const first = await clients.make();
  await first.put("1", "13");
  const leader = await lab.leader();
  const minority = [leader, lab.after(leader, 1)];
  const majority = lab.ids.filter((id) => !minority.includes(id));
  await lab.cluster.faults.partition(majority, minority);
  lab.step("a majority goes on");
  const inMajority = await clients.make(majority);
  await inMajority.put("1", "14");
  expect((await inMajority.get("1")) === "14", () => "The majority does not read what it wrote.");
  lab.step("a minority does not");
  const [putter, getter] = await Promise.all([clients.make(minority), clients.make(minority)]);
  const settled: string[] = [];
  const put = putter.put("1", "15").then(() => settled.push("put"));
  const get = getter.get("1").then(() => settled.push("get"));
  // They are waited for below.
  for (const call of [put, get]) call.catch(() => {});
  await lab.sleep(T);
  expect(settled.length === 0, () => `In a minority a ${settled.join(" and a ")} was carried out.`);
  expect((await inMajority.get("1")) === "14", () => "The majority sees what was put in the minority.");
  lab.step("the partition heals");
  await lab.cluster.faults.partition();
  for (const { name } of [inMajority, putter, getter]) await lab.cluster.faults.client(name, {});
  const late = lab.sleep(30 * 100 + T).then(() => Promise.reject(new Error("The put did not complete after 4 s.")));
  await Promise.race([Promise.all([put, get]), late]);
  late.catch(() => {});
  expect((await first.get("1")) === "15", () => "What was put in the minority is not there in the end.");
  await clients.check();
}

/** A peer that missed so much that the others have compacted it away is brought up to date, and serves then. */
async function snapshotRpc(lab: Lab): Promise<void> {
  const clients = new KvClients(lab, false);
  const all = await clients.make();
  await all.put("a", "A");
  const [one, two, three] = lab.ids;
  if (one === undefined || two === undefined || three === undefined) throw new RangeError("three peers are needed");
  lab.step("two of three write much");
  await lab.cluster.faults.partition([one, two], [three]);
  const most = await clients.make([one, two]);
  for (let at = 0; at < 50; at++) await most.put(String(at), String(at));
  await lab.sleep(T);
  await most.put("b", "B");
  await expectShortLogs(lab);
  lab.step("the third is needed now");
  await lab.cluster.faults.partition([one, three], [two]);
  const others = await clients.make([one, three]);
  await others.put("c", "C");
  await others.put("d", "D");
  for (const [key, value] of Object.entries({ a: "A", b: "B", 1: "1", 49: "49" })) {
    const found = await others.get(key);
    expect(found === value, () => `"${key}" was to be "${value}", and is "${found}".`);
  }
  await lab.cluster.faults.partition();
  await all.put("e", "E");
  for (const [key, value] of Object.entries({ c: "C", e: "E", 1: "1" })) {
    const found = await all.get(key);
    expect(found === value, () => `"${key}" was to be "${value}", and is "${found}".`);
  }
  await clients.check();
}

async function snapshotSize(lab: Lab): Promise<void> {
  const clients = new KvClients(lab, false);
  const caller = await clients.make();
  const over = new AbortController();
  const sizes: number[] = [];
  const watching = (async () => {
    for await (const event of lab.cluster.events({ signal: over.signal })) {
      if (event.type === "snapshot") sizes.push(event.bytes);
    }
  })();
  lab.step("write and read one key over and over");
  for (let at = 0; at < 200; at++) {
    await caller.put("x", "0");
    expect((await caller.get("x")) === "0", () => "It is not what was written.");
    await caller.put("x", "1");
    expect((await caller.get("x")) === "1", () => "It is not what was written.");
  }
  await expectShortLogs(lab);
  over.abort();
  await watching;
  const largest = Math.max(...sizes);
  expect(sizes.length > 0, () => "No snapshot was taken.");
  expect(
    largest <= MAX_SNAPSHOT_BYTES,
    () => `A snapshot may have ${MAX_SNAPSHOT_BYTES} bytes, and one has ${largest}.`,
  );
  await clients.check();
}
