import { setTimeout as sleep } from "node:timers/promises";
import type { Peer } from "../../actors/peer-handle.ts";
import type { Supervisor } from "../../actors/supervisor.ts";
import type { Random } from "../../raft/random.ts";

/** What a step of the script plays on. */
export interface Stage {
  readonly supervisor: Supervisor;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Tells what is done. */
  readonly say: (text: string) => void;
}

/** One kind of bad luck. */
export interface Step {
  readonly title: string;
  /** Its part of the whole time, relative to the other steps. */
  readonly weight: number;
  /** Takes `ms` milliseconds, and leaves no fault behind but dead peers, which come back by themselves. */
  readonly run: (stage: Stage, ms: number) => Promise<void>;
}

const LEADER_KILLS = 4;
const MAX_WAIT_MS = 10_000;
const LOOK_AGAIN_MS = 10;

/** The bad luck of the demo, in order. */
export const STEPS: readonly Step[] = [
  { title: "calm", weight: 1, run: (stage, ms) => hold(stage, ms) },
  {
    title: "the leader's thread is killed",
    weight: 1,
    async run(stage, ms) {
      await killLeader(stage);
      await hold(stage, ms);
    },
  },
  {
    title: "partition: the leader is in the minority",
    weight: 2,
    async run(stage, ms) {
      const { leader, others } = await cast(stage);
      const minority = [leader.id, ...others.slice(0, 1)];
      const majority = others.slice(1);
      await stage.supervisor.faults.partition(minority, majority);
      stage.say(`partition: ${minority.join(" ")} | ${majority.join(" ")}`);
      await hold(stage, ms * 0.7);
      await heal(stage);
      await hold(stage, ms * 0.3);
    },
  },
  {
    title: "one-way partition: the leader is heard, and hears nobody",
    weight: 2,
    async run(stage, ms) {
      const { leader, others } = await cast(stage);
      const { faults } = stage.supervisor;
      await Promise.all(others.map((id) => faults.link(id, leader.id, { blocked: true })));
      stage.say(`nothing reaches ${leader.id}, the leader; what it sends arrives`);
      await hold(stage, ms * 0.7);
      await heal(stage);
      await hold(stage, ms * 0.3);
    },
  },
  {
    title: "a bad network",
    weight: 3,
    async run(stage, ms) {
      await stage.supervisor.faults.all({ drop: 0.1, delayMs: [0, 15], duplicate: 0.05 });
      stage.say("every link loses 10 % of the messages, delays the others by up to 15 ms, doubles 5 %");
      await hold(stage, ms * 0.8);
      await heal(stage);
      await hold(stage, ms * 0.2);
    },
  },
  {
    title: "a minority is killed at once, the leader with it",
    weight: 1.5,
    async run(stage, ms) {
      const { leader, others } = await cast(stage);
      const victims = [leader.id, ...others.slice(0, 1)];
      stage.say(`the threads of ${victims.join(" and ")} are killed`);
      await Promise.all(victims.map((id) => stage.supervisor.peer(id).crash()));
      await hold(stage, ms);
    },
  },
  {
    title: "the leader stands still",
    weight: 1.5,
    async run(stage, ms) {
      const { leader } = await cast(stage);
      await leader.pause();
      stage.say(`${leader.id}, the leader, stands still`);
      try {
        await hold(stage, ms * 0.6);
      } finally {
        await leader.resume();
      }
      stage.say(`${leader.id} goes on, with all the mail that came in`);
      await hold(stage, ms * 0.4);
    },
  },
  {
    title: "leader after leader is killed",
    weight: 2,
    async run(stage, ms) {
      for (let kills = 0; kills < LEADER_KILLS; kills++) {
        await untilAllAreUp(stage);
        await killLeader(stage);
        await hold(stage, ms / LEADER_KILLS);
      }
    },
  },
  {
    title: "all are killed at once",
    weight: 1,
    async run(stage, ms) {
      stage.say("the threads of all five are killed");
      await Promise.all(stage.supervisor.peers.map((peer) => peer.crash()));
      await hold(stage, ms);
    },
  },
  { title: "calm again", weight: 1, run: (stage, ms) => hold(stage, ms) },
];

/** Plays all steps in `ms` milliseconds, and what it takes dead peers to come back. @throws when the signal does. */
export async function play(stage: Stage, ms: number, onStep: (step: Step) => void): Promise<void> {
  const total = STEPS.reduce((sum, { weight }) => sum + weight, 0);
  for (const step of STEPS) {
    await untilAllAreUp(stage);
    onStep(step);
    await step.run(stage, (ms * step.weight) / total);
  }
}

/** Each kind of bad luck meets a whole cluster. One that does not become whole again is left to the verdict. */
async function untilAllAreUp({ supervisor, signal }: Stage): Promise<void> {
  for (let waitedMs = 0; waitedMs < MAX_WAIT_MS; waitedMs += LOOK_AGAIN_MS) {
    const statuses = await Promise.all(supervisor.peers.map((peer) => peer.status()));
    if (statuses.every(({ state }) => state === "up")) return;
    await sleep(LOOK_AGAIN_MS, undefined, { signal });
  }
}

async function hold({ signal }: Stage, ms: number): Promise<void> {
  await sleep(ms, undefined, { signal });
}

async function heal({ supervisor, say }: Stage): Promise<void> {
  await supervisor.faults.heal();
  say("the network is healed");
}

async function killLeader({ supervisor, signal, say }: Stage): Promise<void> {
  const leader = await supervisor.leader({ signal });
  say(`the thread of ${leader.id}, the leader, is killed`);
  await leader.crash();
}

/** Who leads, and the others in an order that is drawn. */
async function cast({ supervisor, signal, random }: Stage): Promise<{ leader: Peer; others: string[] }> {
  const leader = await supervisor.leader({ signal });
  const others = supervisor.peers.filter(({ id }) => id !== leader.id).map(({ id }) => ({ id, draw: random() }));
  return { leader, others: others.sort((one, other) => one.draw - other.draw).map(({ id }) => id) };
}
