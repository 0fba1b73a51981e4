import { expect, type Lab, T, TRIES } from "./lab.ts";
import type { Scenario } from "./scenario.ts";

const PAUSE_MS = 3_000;

/** Part 3B, second half: many commands at once, and what they cost. */
export const economy: readonly Scenario[] = [
  {
    name: "ConcurrentStarts3B",
    title: "concurrent Start()s",
    part: "3B",
    peers: 3,
    unreliable: false,
    mit: { seconds: 1.1, rpcs: 24, bytes: 7_379, commands: 6 },
    run: (lab) => inOneTerm(lab, concurrentStarts),
  },
  {
    name: "Backup3B",
    title: "leader backs up quickly over incorrect follower logs",
    part: "3B",
    peers: 5,
    unreliable: false,
    mit: { seconds: 17.2, rpcs: 2_080, bytes: 1_587_388, commands: 102 },
    async run(lab) {
      await lab.cluster.one(lab.number(), 5, { retry: true });
      lab.step("leave the leader with one follower: 50 commands that cannot be committed");
      const leader1 = await lab.leader();
      const minority = [leader1, lab.after(leader1, 1)];
      const [first, second] = [lab.after(leader1, 2), lab.after(leader1, 3)];
      const majority = [first, second, lab.after(leader1, 4)];
      await lab.disconnect(...majority);
      await beginMany(lab, leader1);
      await lab.sleep(T / 2);
      lab.step("exchange the sides: 50 commands that are committed");
      await lab.disconnect(...minority);
      await lab.connect(...majority);
      await commitMany(lab);
      lab.step("cut off one of these three, and its leader takes 50 more that cannot be committed");
      const leader2 = await lab.leader();
      const other = leader2 === first ? second : first;
      await lab.disconnect(other);
      await beginMany(lab, leader2);
      await lab.sleep(T / 2);
      lab.step("join the first minority with the one that was cut off: 50 commands that are committed");
      await lab.disconnect(...lab.ids);
      await lab.connect(...minority, other);
      await commitMany(lab);
      lab.step("all together");
      await lab.connect(...lab.ids);
      await lab.cluster.one(lab.number(), 5, { retry: true });
    },
  },
  {
    name: "Count3B",
    title: "RPC counts aren't too high",
    part: "3B",
    peers: 3,
    unreliable: false,
    mit: { seconds: 2.2, rpcs: 60, bytes: 20_119, commands: 12 },
    async run(lab) {
      lab.step("elect a leader");
      await lab.leader();
      const elected = await lab.cluster.rpcCount();
      expect(1 <= elected && elected <= 30, () => `${elected} requests for an election, where 1 to 30 are right.`);
      await inOneTerm(lab, countedStarts);
      lab.step("nothing to do");
      const before = await lab.cluster.rpcCount();
      await lab.sleep(T);
      const idle = (await lab.cluster.rpcCount()) - before;
      const allowed = 3 * 20;
      expect(idle <= allowed, () => `${idle} requests in an idle second, where ${allowed} are allowed.`);
    },
  },
];

/** Runs what needs a leader that stays, again if it did not; `attempt` resolves with false then. */
async function inOneTerm(lab: Lab, attempt: (lab: Lab) => Promise<boolean>): Promise<void> {
  for (let tries = 1; tries <= TRIES; tries++) {
    if (tries > 1) await lab.sleep(PAUSE_MS);
    if (await attempt(lab)) return;
  }
  expect(false, () => `The term changed in each of ${TRIES} tries.`);
}

/** Whether all peers are still in the term. */
async function isStillIn(lab: Lab, term: number): Promise<boolean> {
  const statuses = await Promise.all(lab.cluster.peers.map((peer) => peer.status()));
  return statuses.every(({ currentTerm }) => currentTerm === term);
}

async function concurrentStarts(lab: Lab): Promise<boolean> {
  lab.step("five commands at once");
  const leader = await lab.leader();
  const first = await lab.cluster.begin(leader, 1);
  if (first === undefined) return false;
  const commands = [100, 101, 102, 103, 104];
  const began = await Promise.all(commands.map((command) => lab.cluster.begin(leader, command)));
  if (!(await isStillIn(lab, first.term))) return false;
  const committed: unknown[] = [];
  for (const at of began) {
    // A leader that hears of no majority steps down without a later term (dissertation 6.2).
    if (at?.term !== first.term) return false;
    const entry = await lab.cluster.wait(at.index, 3, first.term);
    if (entry === undefined) return false;
    committed.push(entry.command);
  }
  for (const command of commands) {
    expect(committed.includes(command), () => `${command} is missing among what was committed: ${committed}.`);
  }
  return true;
}

async function countedStarts(lab: Lab): Promise<boolean> {
  const iterations = 10;
  lab.step(`${iterations} commands and two more, none of which waits for another`);
  const leader = await lab.leader();
  const before = await lab.cluster.rpcCount();
  const commands = [1, ...Array.from({ length: iterations + 1 }, () => lab.number())];
  const [first, ...others] = await Promise.all(commands.map((command) => lab.cluster.begin(leader, command)));
  if (first === undefined || others.some((at) => at?.term !== first.term)) return false;
  for (const [i, at] of others.entries()) {
    const expected = first.index + 1 + i;
    expect(
      at?.index === expected,
      () => `A command was to stand at ${expected} in one term, and does at ${at?.index}.`,
    );
  }
  for (const [i, command] of commands.slice(0, iterations + 1).entries()) {
    const entry = await lab.cluster.wait(first.index + i, 3, first.term);
    if (entry === undefined) return false;
    expect(entry.command === command, () => `${command} was agreed on, and ${String(entry.command)} stands there.`);
  }
  if (!(await isStillIn(lab, first.term))) return false;
  const used = (await lab.cluster.rpcCount()) - before;
  const allowed = (iterations + 1 + 3) * 3;
  expect(used <= allowed, () => `${used} requests for ${iterations} commands, where ${allowed} are allowed.`);
  return true;
}

/** 50 commands at once that nobody waits for. */
async function beginMany(lab: Lab, leader: string): Promise<void> {
  await Promise.all(Array.from({ length: 50 }, () => lab.cluster.begin(leader, lab.number())));
}

/** 50 commands, one after the other, each by three peers. */
async function commitMany(lab: Lab): Promise<void> {
  for (let i = 0; i < 50; i++) await lab.cluster.one(lab.number(), 3, { retry: true });
}
