import type { LabHelpers } from "../lab-helpers.ts";
import { expect, type Lab, T } from "./lab.ts";
import type { Scenario } from "./scenario.ts";

/** Part 3C, second half: clients that do not wait for the network. */
export const churn: readonly Scenario[] = [
  {
    name: "UnreliableAgree3C",
    title: "unreliable agreement",
    part: "3C",
    peers: 5,
    unreliable: true,
    mit: { seconds: 1.7, rpcs: 1_044, bytes: 366_392, commands: 246 },
    async run(lab) {
      lab.step("245 commands, five at a time");
      const retry = { retry: true };
      const others: Promise<unknown>[] = [];
      for (let round = 1; round < 50; round++) {
        for (let i = 0; i < 4; i++) {
          const other = lab.cluster.one(100 * round + i, 1, retry);
          // It is waited for below, unless something else fails before.
          other.catch(() => {});
          others.push(other);
        }
        await lab.cluster.one(round, 1, retry);
      }
      await lab.network({ unreliable: false });
      await Promise.all(others);
      lab.step("one more, on a reliable network");
      await lab.cluster.one(100, 5, retry);
    },
  },
  {
    name: "ReliableChurn3C",
    title: "churn",
    part: "3C",
    peers: 5,
    unreliable: false,
    mit: { seconds: 16.1, rpcs: 8_864, bytes: 44_771_259, commands: 1_544 },
    run: churning,
  },
  {
    name: "UnreliableChurn3C",
    title: "unreliable churn",
    part: "3C",
    peers: 5,
    unreliable: true,
    mit: { seconds: 16.5, rpcs: 4_220, bytes: 6_414_632, commands: 906 },
    run: churning,
  },
];

/** Clients hand in commands and note what they see committed, while peers are cut off, crash and come back. */
async function churning(lab: Lab): Promise<void> {
  let stopped = false;
  const clients = [0, 1, 2].map((me) => client(lab, me, () => stopped));
  // Whatever goes wrong first is reported; a client that follows it into failure must not be the loudest.
  const values = Promise.all(clients);
  values.catch(() => {});
  try {
    for (let round = 1; round <= 20; round++) {
      lab.step(`round ${round} of 20: cut off, start and crash peers by chance`);
      await Promise.all([lab.sleep(0.7 * T), disturb(lab)]);
    }
    lab.step("bring all back");
    await lab.sleep(T);
    await lab.network({ unreliable: false });
    await Promise.all(lab.ids.map((id) => bringBack(lab, id)));
  } finally {
    stopped = true;
  }
  const seen = (await values).flat();
  await lab.sleep(T);
  const last = await lab.cluster.one(lab.number(), 5, { retry: true });
  lab.step("look for what the clients saw committed");
  const log = new Set(await readLog(lab.cluster, last));
  for (const value of seen) expect(log.has(value), () => `${value} was committed, and is not in the log.`);
}

async function disturb(lab: Lab): Promise<void> {
  if (lab.happens(0.2)) await lab.disconnect(lab.randomPeer());
  if (lab.happens(0.5)) await bringBack(lab, lab.randomPeer());
  if (lab.happens(0.2)) await lab.cluster.crash(lab.randomPeer());
}

/** Returns the commands that it has seen committed. */
async function client(lab: Lab, me: number, isStopped: () => boolean): Promise<readonly number[]> {
  const values: number[] = [];
  while (!isStopped()) {
    const command = lab.number();
    const at = (await lab.beginEverywhere(() => command)).at(-1);
    if (at === undefined) {
      await lab.sleep(79 + me * 17);
      continue;
    }
    for (const ms of [10, 20, 50, 100, 200]) {
      const committed = await lab.cluster.committed(at.index);
      if (committed.count > 0) {
        if (committed.command === command) values.push(command);
        break;
      }
      await lab.sleep(ms);
    }
  }
  return values;
}

async function bringBack(lab: Lab, id: string): Promise<void> {
  if (await lab.isUp(id)) await lab.connect(id);
  else await lab.restart(id);
}

/** The commands of the log, each held by all five peers. */
async function readLog(cluster: LabHelpers, last: number): Promise<readonly unknown[]> {
  const commands: unknown[] = [];
  for (let index = 1; index <= last; index++) commands.push((await cluster.wait(index, 5))?.command);
  return commands;
}
