import { type Lab, T } from "./lab.ts";
import type { Scenario } from "./scenario.ts";

/** Part 3C, first half: what outlives the thread, while threads die and come back. */
export const persistence: readonly Scenario[] = [
  {
    name: "Persist13C",
    title: "basic persistence",
    part: "3C",
    peers: 3,
    unreliable: false,
    mit: { seconds: 5.0, rpcs: 86, bytes: 22_849, commands: 6 },
    async run(lab) {
      await lab.cluster.one(11, 3, { retry: true });
      lab.step("crash all, start all again");
      await lab.restart(...lab.ids);
      await lab.cluster.one(12, 3, { retry: true });
      lab.step("crash the leader, start it again");
      await lab.restart(await lab.leader());
      await lab.cluster.one(13, 3, { retry: true });
      lab.step("cut off the leader, and start it again later");
      const leader2 = await lab.leader();
      await lab.disconnect(leader2);
      const index = await lab.cluster.one(14, 2, { retry: true });
      await lab.restart(leader2);
      await lab.cluster.wait(index, 3);
      lab.step("cut off a follower, and start it again later");
      const follower = lab.after(await lab.leader(), 1);
      await lab.disconnect(follower);
      await lab.cluster.one(15, 2, { retry: true });
      await lab.restart(follower);
      await lab.cluster.one(16, 3, { retry: true });
    },
  },
  {
    name: "Persist23C",
    title: "more persistence",
    part: "3C",
    peers: 5,
    unreliable: false,
    mit: { seconds: 17.6, rpcs: 952, bytes: 218_854, commands: 16 },
    async run(lab) {
      let command = 10;
      for (let round = 1; round <= 5; round++) {
        lab.step(`round ${round}: cut off two followers, then the other three`);
        await lab.cluster.one(++command, 5, { retry: true });
        const leader = await lab.leader();
        const [first, second] = [lab.after(leader, 1), lab.after(leader, 2)];
        const [third, fourth] = [lab.after(leader, 3), lab.after(leader, 4)];
        await lab.disconnect(first, second);
        await lab.cluster.one(++command, 3, { retry: true });
        await lab.disconnect(leader, third, fourth);
        lab.step(`round ${round}: start the two again, and one that has what they lack`);
        await lab.restart(first, second);
        await lab.sleep(T);
        await lab.restart(third);
        await lab.cluster.one(++command, 3, { retry: true });
        await lab.connect(fourth, leader);
      }
      lab.step("all together");
      await lab.cluster.one(1_000, 5, { retry: true });
    },
  },
  {
    name: "Persist33C",
    title: "partitioned leader and one follower crash, leader restarts",
    part: "3C",
    peers: 3,
    unreliable: false,
    mit: { seconds: 2.0, rpcs: 34, bytes: 8_937, commands: 4 },
    async run(lab) {
      await lab.cluster.one(101, 3, { retry: true });
      lab.step("cut off a follower: the others commit");
      const leader = await lab.leader();
      const [follower, behind] = [lab.after(leader, 1), lab.after(leader, 2)];
      await lab.disconnect(behind);
      await lab.cluster.one(102, 2, { retry: true });
      lab.step("crash these two, and start one again beside the one that is behind");
      await lab.cluster.crash(leader);
      await lab.cluster.crash(follower);
      await lab.connect(behind);
      await lab.restart(leader);
      await lab.cluster.one(103, 2, { retry: true });
      lab.step("all together");
      await lab.restart(follower);
      await lab.cluster.one(104, 3, { retry: true });
    },
  },
  {
    name: "Figure83C",
    title: "Figure 8",
    part: "3C",
    peers: 5,
    unreliable: false,
    mit: { seconds: 31.2, rpcs: 580, bytes: 130_675, commands: 32 },
    async run(lab) {
      await lab.cluster.one(lab.number(), 1, { retry: true });
      const down = new Set<string>();
      const starts: Promise<void>[] = [];
      // A start takes no time in the lab. Here a thread needs some, and the rounds go on meanwhile.
      const start = (id: string) => {
        down.delete(id);
        const started = lab.restart(id);
        started.catch(() => {});
        starts.push(started);
      };
      for (let round = 1; round <= 1_000; round++) {
        lab.step(`round ${round} of 1000: crash whoever has taken a command, often before it is committed`);
        const leader = (await lab.beginEverywhere(() => lab.number())).at(-1)?.id;
        await shortSleep(lab);
        if (leader !== undefined) {
          await lab.cluster.crash(leader);
          down.add(leader);
        }
        const lucky = lab.randomPeer();
        if (lab.ids.length - down.size < 3 && down.has(lucky)) start(lucky);
      }
      lab.step("start all again");
      for (const id of down) start(id);
      await Promise.all(starts);
      await lab.cluster.one(lab.number(), 5, { retry: true });
    },
  },
  {
    name: "Figure8Unreliable3C",
    title: "Figure 8 (unreliable)",
    part: "3C",
    peers: 5,
    unreliable: true,
    mit: { seconds: 33.6, rpcs: 10_700, bytes: 33_695_245, commands: 308 },
    async run(lab) {
      const command = () => lab.below(10_000);
      await lab.cluster.one(command(), 1, { retry: true });
      let connected = lab.ids.length;
      for (let round = 1; round <= 1_000; round++) {
        lab.step(`round ${round} of 1000: cut off whoever has taken a command, every other time`);
        if (round === 201) await lab.network({ unreliable: true, longReordering: true });
        const took = await lab.beginEverywhere(command);
        const leader = took.findLast(({ id }) => lab.cluster.connected.has(id))?.id;
        await shortSleep(lab);
        if (leader !== undefined && lab.happens(0.5)) {
          await lab.disconnect(leader);
          connected--;
        }
        const lucky = lab.randomPeer();
        if (connected < 3 && !lab.cluster.connected.has(lucky)) {
          await lab.connect(lucky);
          connected++;
        }
      }
      lab.step("connect all, on a network that still drops and holds back messages");
      await lab.connect(...lab.ids);
      await lab.cluster.one(command(), 5, { retry: true });
    },
  },
];

/** Mostly too short for a commit by a slow network, now and then long enough for an election. */
async function shortSleep(lab: Lab): Promise<void> {
  await lab.sleep(lab.happens(0.1) ? lab.below(T / 2) : lab.below(13));
}
