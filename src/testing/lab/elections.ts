import { expect, T } from "./lab.ts";
import type { Scenario } from "./scenario.ts";

/** Part 3A: leaders. */
export const elections: readonly Scenario[] = [
  {
    name: "InitialElection3A",
    title: "initial election",
    part: "3A",
    peers: 3,
    unreliable: false,
    mit: { seconds: 3.5, rpcs: 58, bytes: 16_840, commands: 0 },
    async run(lab) {
      lab.step("elect a leader");
      await lab.leader();
      await lab.sleep(50);
      const term = await lab.cluster.checkTerms();
      expect(term >= 1, () => `The term is ${term} although somebody was elected.`);
      lab.step("stay with it while nothing fails");
      await lab.sleep(2 * T);
      // The lab only warns when the term has moved on: a slow machine may have held the leader up.
      await lab.cluster.checkTerms();
      await lab.leader();
    },
  },
  {
    name: "ReElection3A",
    title: "election after network failure",
    part: "3A",
    peers: 3,
    unreliable: false,
    mit: { seconds: 5.4, rpcs: 118, bytes: 25_269, commands: 0 },
    async run(lab) {
      const leader1 = await lab.leader();
      lab.step("cut the leader off: the others elect one");
      await lab.disconnect(leader1);
      await lab.leader();
      lab.step("let the old leader come back: it disturbs nobody");
      await lab.connect(leader1);
      const leader2 = await lab.leader();
      lab.step("cut off the leader and another: nobody leads without a majority");
      const other = lab.after(leader2, 1);
      await lab.disconnect(leader2, other);
      await lab.sleep(2 * T);
      await lab.cluster.checkNoLeader();
      lab.step("a majority is back");
      await lab.connect(other);
      await lab.leader();
      lab.step("all are back");
      await lab.connect(leader2);
      await lab.leader();
    },
  },
  {
    name: "ManyElections3A",
    title: "multiple elections",
    part: "3A",
    peers: 7,
    unreliable: false,
    mit: { seconds: 7.3, rpcs: 624, bytes: 138_014, commands: 0 },
    async run(lab) {
      await lab.leader();
      for (let round = 1; round < 10; round++) {
        lab.step(`round ${round}: cut off up to three of seven, and let them come back`);
        const cut = [lab.randomPeer(), lab.randomPeer(), lab.randomPeer()];
        await lab.disconnect(...cut);
        await lab.leader();
        await lab.connect(...cut);
      }
      await lab.leader();
    },
  },
];
