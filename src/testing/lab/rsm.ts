import { performance } from "node:perf_hooks";
import { RaftError } from "../../raft/errors.ts";
import type { PeerId } from "../../raft/message.ts";
import { LabError } from "../lab-error.ts";
import type { CounterCommand } from "./counter-machine.ts";
import { expect, type Lab, T, TRIES } from "./lab.ts";
import type { Scenario } from "./scenario.ts";

/** How many commands the lab hands in at once to a leader that cannot commit them. */
const SUBMITTED = 100;
const INCREMENTS = 100;
/** How long one increment may take, with all its attempts. */
const ONE_LIMIT_MS = 10_000;
const ATTEMPT_MS = 2_000;
const NO_LEADER_PAUSE_MS = 50;
/** How long those that wait for a command may go on after the last peer has ended. */
const SHUTDOWN_LIMIT_MS = 11_000;
/** How long the peers may take to show a value: the lab looks 30 times, 10 ms apart and then ever later. */
const VALUE_LIMIT_MS = 30_000;

/** Entries between snapshots; the lab bounds the log in bytes instead, and puts up with twice as many. */
const SNAPSHOT_EVERY = 10;
const MAX_LOG_BYTES = 2 * 1_000;

function scenario(name: string, title: string, run: Scenario["run"]): Scenario {
  const common = { part: "4A", machine: "counter", peers: 3, unreliable: false, mit: undefined } as const;
  return { name, title, ...common, run };
}

/**
 * The tests of 2025 of the layer between Raft and a service, which its handout calls rsm: a command is submitted to one
 * peer, and who submitted it gets its result, or hears that there will be none. Every peer runs a counter.
 */
export const rsm: readonly Scenario[] = [
  scenario("RsmBasic4A", "every peer counts", async (lab) => {
    await new Counter(lab).countTo(10);
  }),
  scenario("RsmConcurrent4A", "concurrent submits", async (lab) => {
    const counter = new Counter(lab);
    lab.step("50 increments at once");
    await counter.incrementAtOnce(50);
    await counter.expectAt(3);
  }),
  scenario("RsmLeaderFailure4A", "the leader fails", async (lab) => {
    const counter = new Counter(lab);
    await counter.countTo(1);
    lab.step("cut off the leader: the others count on");
    const leader = await lab.leader();
    await lab.disconnect(leader);
    await counter.increment();
    await counter.expectAt(2);
    lab.step("it comes back, and has the same");
    await lab.connect(leader);
    await counter.expectAt(3);
  }),
  scenario("RsmLeaderPartition4A", "a leader in a minority commits nothing", leaderPartition),
  scenario("RsmRestartReplay4A", "a restart does not count again", async (lab) => {
    const counter = new Counter(lab);
    await counter.countTo(INCREMENTS);
    await restartAll(lab);
    await counter.increment();
    await lab.sleep(T);
    await counter.expectAt(3);
  }),
  scenario("RsmShutdown4A", "who waits hears of the end", async (lab) => {
    const counter = new Counter(lab);
    await counter.countTo(1);
    const submitted = await submitToIsolatedLeader(lab, counter);
    await crashAll(lab);
    await expectAllSettled(submitted, SHUTDOWN_LIMIT_MS);
  }),
  scenario("RsmRestartSubmit4A", "commands from before a restart are not taken for those behind it", restartSubmit),
  {
    ...scenario("RsmSnapshot4C", "snapshots keep the log short, and a restart begins with one", snapshot),
    part: "4C",
    snapshotEvery: SNAPSHOT_EVERY,
  },
];

/** What is submitted in a minority waits, gives way to what the majority commits, and is said to be without effect. */
async function leaderPartition(lab: Lab): Promise<void> {
  const counter = new Counter(lab);
  await counter.countTo(1);
  const submitted = await submitToIsolatedLeader(lab, counter);
  lab.step("the majority goes on, the minority does not");
  const [early] = await Promise.all([expectNoneSettled(lab, submitted), counter.increment()]);
  expect(early === 0, () => `In a minority ${early} of ${SUBMITTED} commands came to something within ${T} ms.`);
  await counter.expectAt(2);
  lab.step("the partition heals");
  await lab.connect(...lab.ids);
  const ends = await expectAllSettled(submitted, T);
  const wrong = ends.find((end) => end !== "not applied");
  expect(wrong === undefined, () => `A command that gave way to others was said to be ${wrong}.`);
  await counter.expectAt(3);
  await lab.expectNowhere("decrement" satisfies CounterCommand);
}

async function restartSubmit(lab: Lab): Promise<void> {
  const counter = new Counter(lab);
  await counter.countTo(INCREMENTS);
  await restartAll(lab);
  await counter.increment();
  await lab.sleep(T);
  const submitted = await submitToIsolatedLeader(lab, counter);
  await crashAll(lab);
  const ends = await expectAllSettled(submitted, SHUTDOWN_LIMIT_MS);
  const wrong = ends.find((end) => end !== "unknown");
  expect(wrong === undefined, () => `A command whose leader died was said to be ${wrong}.`);
  lab.step("start all again: their commands may be in a log, and count once at most");
  counter.mayFall(ends.length);
  await lab.restart(...lab.ids);
  await counter.increment();
  await counter.expectAt(3);
}

async function snapshot(lab: Lab): Promise<void> {
  const counter = new Counter(lab);
  for (let at = 0; at < INCREMENTS; at++) await counter.increment();
  await counter.expectAt(3);
  const statuses = await Promise.all(lab.cluster.peers.map((peer) => peer.status()));
  for (const { id, logBytes } of statuses) {
    expect(logBytes <= MAX_LOG_BYTES, () => `A log may have ${MAX_LOG_BYTES} bytes, and ${id}'s has ${logBytes}.`);
  }
  await restartAll(lab);
  await counter.increment();
  await counter.expectAt(3);
}

async function crashAll(lab: Lab): Promise<void> {
  lab.step("crash all");
  for (const id of lab.ids) await lab.cluster.crash(id);
}

async function restartAll(lab: Lab): Promise<void> {
  await crashAll(lab);
  await lab.sleep(T);
  lab.step("start all again");
  await lab.restart(...lab.ids);
}

/** What became of a command, as who submitted it is told. */
type End = "applied" | "not applied" | "unknown";

interface Submitted {
  readonly ends: readonly End[];
  readonly all: Promise<unknown>;
}

/**
 * Many decrements in the log of a leader that reaches nobody. One that was deposed just before it was cut off takes none
 * of them, and another leader is looked for.
 */
async function submitToIsolatedLeader(lab: Lab, counter: Counter): Promise<Submitted> {
  for (let tries = 1; tries <= TRIES; tries++) {
    const leader = await lab.leader();
    lab.step(`${SUBMITTED} commands on ${leader}, which is cut off`);
    await lab.disconnect(leader);
    const ends: End[] = [];
    let inLog = 0;
    const calls = Array.from({ length: SUBMITTED }, async () => {
      const { end } = await counter.submit(leader, "decrement", 60_000, () => inLog++);
      ends.push(end);
    });
    const all = Promise.all(calls);
    // It is waited for later, unless something else fails before.
    all.catch(() => {});
    while (inLog < SUBMITTED && ends.length < SUBMITTED) await lab.sleep(10);
    if (inLog === SUBMITTED) return { ends, all };
    expect(inLog === 0, () => `${leader} took ${inLog} of ${SUBMITTED} commands that came together.`);
    await lab.connect(leader);
  }
  throw new LabError(`In each of ${TRIES} tries the leader was another by the time that it was cut off.`);
}

/** @returns how many have come to an end within the lab's time for an election. */
async function expectNoneSettled(lab: Lab, { ends }: Submitted): Promise<number> {
  await lab.sleep(T);
  return ends.length;
}

async function expectAllSettled({ ends, all }: Submitted, limitMs: number): Promise<readonly End[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([all, late]);
  clearTimeout(timer);
  expect(
    ends.length === SUBMITTED,
    () => `After ${limitMs} ms ${SUBMITTED - ends.length} of ${SUBMITTED} commands have come to no end.`,
  );
  return ends;
}

/** Submits commands to whoever leads, and knows what the counter can stand at. */
class Counter {
  readonly #lab: Lab;
  /** What it stood at when that was last known for sure. */
  #value = 0;
  /** Commands whose outcome is unknown may have raised or lowered it since, or may yet. */
  #mayRise = 0;
  #mayFall = 0;

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  /** So many decrements are of unknown outcome. */
  mayFall(count: number): void {
    this.#mayFall += count;
  }

  /** One by one, each seen on all peers. */
  async countTo(value: number): Promise<void> {
    this.#lab.step(`count to ${value}`);
    while (this.#value < value) {
      await this.increment();
      await this.expectAt(this.#lab.ids.length);
    }
  }

  /** By one, more only for attempts that were not answered. */
  async increment(): Promise<void> {
    await this.incrementAtOnce(1);
  }

  async incrementAtOnce(count: number): Promise<void> {
    const results = await Promise.all(Array.from({ length: count }, () => this.#incrementSomewhere()));
    results.sort((one, other) => one - other);
    const [low, high] = [this.#value + 1 - this.#mayFall, this.#value + count + this.#mayRise];
    const isFit = (value: number, at: number) => low <= value && value <= high && value !== results[at - 1];
    expect(
      results.every(isFit),
      () => `${count} increments, from ${this.#value} on, have come to ${results}; each from ${low} to ${high}, once.`,
    );
    this.#value = results.at(-1) ?? this.#value;
  }

  /** @throws LabError when fewer peers than `count` come to stand at what was counted last. */
  async expectAt(count: number): Promise<void> {
    const { cluster } = this.#lab;
    const limit = performance.now() + VALUE_LIMIT_MS;
    for (let pause = 10; ; pause = Math.min(T, 2 * pause)) {
      const values = await Promise.all(cluster.peers.map((peer) => peer.query(undefined, { consistency: "local" })));
      if (values.filter((value) => value === this.#value).length >= count) return;
      expect(
        performance.now() < limit,
        () => `${count} peers were to count ${this.#value}, and they count ${values.join(", ")}.`,
      );
      await this.#lab.sleep(pause);
    }
  }

  /** The lab's Submit: a command for this very peer. */
  async submit(
    id: PeerId,
    command: CounterCommand,
    timeoutMs: number,
    onAppended?: () => void,
  ): Promise<{ readonly end: End; readonly result: number }> {
    const options = { timeoutMs, ...(onAppended && { onAppended }) };
    try {
      const { result } = await this.#lab.cluster.peer(id).propose<number>(command, options);
      return { end: "applied", result };
    } catch (error) {
      if (!(error instanceof RaftError) || error.outcome === "applied") throw error;
      return { end: error.outcome === "unknown" ? "unknown" : "not applied", result: Number.NaN };
    }
  }

  /** Asks one connected peer after the other until one leads. */
  async #incrementSomewhere(): Promise<number> {
    const { cluster } = this.#lab;
    const limit = performance.now() + ONE_LIMIT_MS;
    for (;;) {
      for (const id of cluster.connected) {
        const { end, result } = await this.submit(id, "increment", ATTEMPT_MS);
        if (end === "applied") return result;
        if (end === "unknown") this.#mayRise++;
      }
      const among = [...cluster.connected].join(", ");
      expect(performance.now() < limit, () => `No increment within ${ONE_LIMIT_MS} ms among ${among}.`);
      await this.#lab.sleep(NO_LEADER_PAUSE_MS);
    }
  }
}
