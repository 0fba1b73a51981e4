import DurableKeyValueMap from "../../machine/durable-key-value.ts";
import type { AnyStateMachine } from "../../machine/state-machine.ts";
import { RaftError } from "../../raft/errors.ts";
import type { Operation } from "../history.ts";
import { checkLinearizable } from "../linearizability/check.ts";
import { explain } from "../linearizability/explain.ts";
import type { KeyValueInput } from "../linearizability/key-value.ts";
import { keyValueModel } from "../linearizability/key-value.ts";
import { type CheckName, Violation } from "./checks/violation.ts";
import type { Plan } from "./plan.ts";
import type { SimPeer } from "./sim-peer.ts";
import { customSteps, keyValueSteps, type Workload } from "./workload.ts";
import type { Watcher } from "./world.ts";
import { World, type WorldOptions } from "./world.ts";

/**
 * Within so many of the longest election timeout a sound majority must have elected a leader and committed, and all that
 * are well must have all, however the others disturb: restarts and promises of the time before take a few, and split votes
 * some more. What takes longer, since there is much to send through a small window, must have got on in each such time.
 */
const RECOVER_WITHIN = 40;
/** So often at most: one who elects a leader for ever, or begins anew, gets on too. */
const MOST_TIMES = 30;
const AFTER = `after ${RECOVER_WITHIN} election timeouts`;
/** More steps than any history of a run needs; what is not decided by then counts as wrong. */
const MAX_STEPS = 20_000_000;

/** What a run came to. */
export interface RunResult {
  readonly seed: number;
  /** Equal for two runs that did the same. */
  readonly hash: string;
  /** In virtual time. */
  readonly seconds: number;
  readonly turns: number;
  readonly packets: number;
  readonly completed: number;
  readonly committed: number;
  /** How often a process died at a point in a role. */
  readonly deaths: Readonly<Record<string, number>>;
  /** The first thing that was wrong. */
  readonly violation: { readonly check: CheckName; readonly message: string; readonly atMs: number } | undefined;
}

/** The machine that is simulated. */
export interface Simulated {
  readonly createMachine: () => AnyStateMachine;
  /** Default: the key-value map is what is simulated. */
  readonly workload: Workload | undefined;
}

/** Plays a plan, with all checks, and says what came of it. */
export async function runPlan(
  plan: Plan,
  { createMachine, workload }: Simulated,
  more: Pick<WorldOptions, "createRaft" | "watcher" | "ambush"> = {},
): Promise<RunResult> {
  const next = workload === undefined ? keyValueSteps(plan) : customSteps(workload);
  const isDurableMap = workload === undefined && plan.durable;
  const create = isDurableMap ? (): AnyStateMachine => new DurableKeyValueMap() : createMachine;
  const world = new World({ plan, createMachine: create, next, ...more });
  let violation: RunResult["violation"];
  try {
    live(world);
    recover(world);
    if (workload?.check !== undefined) world.checkMachines(workload.check);
    if (workload === undefined) await checkHistory(world);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = { check: error.check, message: error.message, atMs: world.queue.now };
    note(more.watcher, world, violation.message);
  }
  return {
    seed: plan.seed,
    hash: world.hash.hex,
    seconds: world.queue.now / 1_000,
    turns: world.turns,
    packets: world.network.sent,
    completed: world.clients.completed,
    committed: world.checker.commits.lastIndex,
    deaths: Object.fromEntries(world.deaths),
    violation,
  };
}

function note(watcher: Watcher | undefined, world: World, text: string): void {
  watcher?.note(undefined, world.queue.now, `!! ${text}`);
}

function live(world: World): void {
  world.run(world.plan.forMs);
}

/**
 * Liveness, as TigerBeetle's simulator has it: faults outside a majority stay for good, inside they are healed, and the
 * majority must go on; then all are healed, and all must come to the same.
 */
function recover(world: World): void {
  const { plan, checker } = world;
  const longest = plan.electionMs[1] + 4 * plan.saveMs[1];
  const inside = world.drawMajority();
  const names = inside.map(({ id }) => id).join(" ");
  world.heal(inside);
  const before = checker.commits.lastIndex;
  const hasCommitted = () => checker.commits.lastIndex > before;
  goOn(world, longest, inside, hasCommitted, () => {
    return new Violation("liveness", `${names} are well, and have committed nothing more ${AFTER}`);
  });

  world.clients.stop();
  const sound = world.giveUpDamaged();
  world.heal(sound);
  const isEqual = () => {
    const last = checker.commits.lastIndex;
    return sound.every(({ process }) => process?.lastApplied === last && process.raft.log.lastIndex === last);
  };
  goOn(world, longest, sound, isEqual, () => {
    const applied = sound.map(
      ({ id, process }) =>
        `${id} ${process === undefined ? "is down" : `${process.lastApplied} of ${process.raft.log.lastIndex}`}`,
    );
    const message = `all are well, ${checker.commits.lastIndex} are committed; applied: ${applied.join(", ")}, ${AFTER}`;
    return new Violation("catching up", message);
  });
  for (const { process } of sound) if (process !== undefined) checker.compareAtEnd(process.machine);
  const hasAnswered = () => world.hasAnswered;
  goOn(world, longest, sound, hasAnswered, () => new Violation("liveness", `a call is not answered, ${AFTER}`));
  checker.checkRefused();
}

/** Lets time pass until `isDone`, as long as the logs of these peers get on. */
function goOn(
  world: World,
  longest: number,
  peers: readonly SimPeer[],
  isDone: () => boolean,
  violation: () => Violation,
): void {
  const progress = () =>
    peers.reduce(
      (sum, { process, image }) => sum + (process?.lastApplied ?? 0) + image.lastIndex,
      world.checker.commits.lastIndex,
    );
  for (let times = 0; !isDone(); times++) {
    if (times === MOST_TIMES) throw violation();
    const before = progress();
    world.run(world.queue.now + RECOVER_WITHIN * longest, isDone);
    if (!isDone() && progress() === before) throw violation();
  }
}

async function checkHistory(world: World): Promise<void> {
  const operations = world.history.operations as readonly Operation<KeyValueInput, unknown>[];
  const result = await checkLinearizable(operations, keyValueModel, { threads: 0, maxSteps: MAX_STEPS }).catch(
    (error: unknown) => {
      // A result that no such call can have: it is another's.
      if (!(error instanceof RaftError) || error.code !== "ERR_INVALID_HISTORY") throw error;
      throw new Violation("linearizability", error.message);
    },
  );
  if (result.verdict === "ok") return;
  if (result.verdict === "undecided") throw new Violation("linearizability", "the history could not be decided");
  const [first] = result.violations;
  throw new Violation("linearizability", first === undefined ? "" : explain(first, keyValueModel));
}
