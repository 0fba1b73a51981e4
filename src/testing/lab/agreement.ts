import { expect, type Lab, T } from "./lab.ts";
import type { Scenario } from "./scenario.ts";

/** Part 3B, first half: what is agreed on while peers are cut off and come back. */
export const agreement: readonly Scenario[] = [
  {
    name: "BasicAgree3B",
    title: "basic agreement",
    part: "3B",
    peers: 3,
    unreliable: false,
    mit: { seconds: 0.9, rpcs: 16, bytes: 4_572, commands: 3 },
    async run(lab) {
      let before: { readonly index: number; readonly term: number | undefined } | undefined;
      for (const command of [100, 200, 300]) {
        lab.step(`agree on ${command}`);
        await lab.expectNowhere(command);
        const index = await lab.agree(command, lab.ids.length);
        const { term } = await lab.cluster.committed(index);
        // Only a no-op of another term may stand between two commands.
        expect(
          before === undefined || before.term !== term || index === before.index + 1,
          () => `${command} was to follow index ${before?.index}, and stands at ${index} in the same term.`,
        );
        before = { index, term };
      }
    },
  },
  {
    name: "RPCBytes3B",
    title: "RPC byte count",
    part: "3B",
    peers: 3,
    unreliable: false,
    mit: { seconds: 1.7, rpcs: 48, bytes: 114_536, commands: 11 },
    async run(lab) {
      const length = 5_000;
      await lab.agree("99", lab.ids.length);
      const { bytes: before } = await lab.cluster.totals();
      lab.step("send each command to each peer once");
      for (let i = 0; i < 10; i++) {
        const command = `${i} ${lab.number()} `.padEnd(length, "x");
        await lab.agree(command, lab.ids.length);
      }
      const bytes = (await lab.cluster.totals()).bytes - before;
      const allowed = lab.ids.length * 10 * length + 50_000;
      expect(bytes <= allowed, () => `${bytes} bytes were sent for 10 commands of ${length}, and ${allowed} allowed.`);
    },
  },
  {
    name: "FollowerFailure3B",
    title: "progressive failure of followers",
    part: "3B",
    peers: 3,
    unreliable: false,
    mit: undefined,
    async run(lab) {
      await lab.agree(101, 3);
      lab.step("cut off a follower: the others go on");
      const leader1 = await lab.leader();
      await lab.disconnect(lab.after(leader1, 1));
      await lab.agree(102, 2);
      await lab.sleep(T);
      await lab.agree(103, 2);
      lab.step("cut off both followers: the leader takes a command that cannot be committed");
      const leader2 = await lab.leader();
      await lab.disconnect(lab.after(leader2, 1), lab.after(leader2, 2));
      await begin(lab, leader2, 104);
      await lab.sleep(2 * T);
      await lab.expectNowhere(104);
    },
  },
  {
    name: "LeaderFailure3B",
    title: "failure of leaders",
    part: "3B",
    peers: 3,
    unreliable: false,
    mit: undefined,
    async run(lab) {
      await lab.agree(101, 3);
      lab.step("cut off the leader: the others go on");
      await lab.disconnect(await lab.leader());
      await lab.agree(102, 2);
      await lab.sleep(T);
      await lab.agree(103, 2);
      lab.step("cut off the second leader too: nobody commits");
      await lab.disconnect(await lab.leader());
      await lab.beginEverywhere(() => 104);
      await lab.sleep(2 * T);
      await lab.expectNowhere(104);
    },
  },
  {
    name: "FailAgree3B",
    title: "agreement after follower reconnects",
    part: "3B",
    peers: 3,
    unreliable: false,
    mit: { seconds: 3.6, rpcs: 78, bytes: 22_131, commands: 7 },
    async run(lab) {
      await lab.agree(101, 3);
      lab.step("cut off a follower: the others go on");
      const cut = lab.after(await lab.leader(), 1);
      await lab.disconnect(cut);
      await lab.agree(102, 2);
      await lab.agree(103, 2);
      await lab.sleep(T);
      await lab.agree(104, 2);
      await lab.agree(105, 2);
      lab.step("the follower comes back and catches up");
      await lab.connect(cut);
      await lab.cluster.one(106, 3, { retry: true });
      await lab.sleep(T);
      await lab.cluster.one(107, 3, { retry: true });
    },
  },
  {
    name: "FailNoAgree3B",
    title: "no agreement if too many followers disconnect",
    part: "3B",
    peers: 5,
    unreliable: false,
    mit: { seconds: 3.8, rpcs: 172, bytes: 40_935, commands: 3 },
    async run(lab) {
      const agreed = await lab.agree(10, 5);
      lab.step("cut off three of four followers: nothing is committed");
      const leader1 = await lab.leader();
      const cut = [lab.after(leader1, 1), lab.after(leader1, 2), lab.after(leader1, 3)];
      await lab.disconnect(...cut);
      const lost = await begin(lab, leader1, 20);
      expect(lost.index > agreed, () => `20 stands at index ${lost.index}, and 10 before it at ${agreed}.`);
      await lab.sleep(2 * T);
      await lab.expectNowhere(20);
      lab.step("they come back: whether or not the next leader has the command, its own follows the agreed one");
      await lab.connect(...cut);
      const leader2 = await lab.leader();
      const next = await begin(lab, leader2, 30);
      const last = lost.index + 1 + next.term - lost.term;
      expect(
        agreed < next.index && next.index <= last,
        () =>
          `30 should stand between ${agreed} and ${last}, each term in between having a no-op, and does at ${next.index}.`,
      );
      await lab.cluster.one(1_000, 5, { retry: true });
    },
  },
  {
    name: "Rejoin3B",
    title: "rejoin of partitioned leader",
    part: "3B",
    peers: 3,
    unreliable: false,
    mit: { seconds: 5.1, rpcs: 152, bytes: 37_021, commands: 4 },
    async run(lab) {
      await lab.cluster.one(101, 3, { retry: true });
      lab.step("cut off the leader, which takes commands that cannot be committed");
      const leader1 = await lab.leader();
      await lab.disconnect(leader1);
      for (const command of [102, 103, 104]) await lab.cluster.begin(leader1, command);
      await lab.cluster.one(103, 2, { retry: true });
      lab.step("exchange it for the second leader: its tail is replaced");
      const leader2 = await lab.leader();
      await lab.disconnect(leader2);
      await lab.connect(leader1);
      await lab.cluster.one(104, 2, { retry: true });
      lab.step("all together");
      await lab.connect(leader2);
      await lab.cluster.one(105, 3, { retry: true });
      // The majority without the first leader has committed another entry in its place.
      await lab.expectNowhere(102);
    },
  },
];

/** Hands a command to a peer that has to take it. */
async function begin(lab: Lab, id: string, command: unknown) {
  const began = await lab.cluster.begin(id, command);
  expect(began !== undefined, () => `${id} was to take the command ${String(command)} as the leader, and did not.`);
  return began;
}
