import { setTimeout as delay } from "node:timers/promises";
import type { LinkRule } from "../actors/faults.ts";
import type { Supervisor } from "../actors/supervisor.ts";
import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { majority } from "../raft/quorum.ts";
import { type Random, seededRandom } from "../raft/random.ts";

/**
 * How a partition divides the peers: about in the middle; one from the others; a minority from the others; two halves with
 * one peer in both; each peer with its neighbours on a ring, so that everybody sees a majority and no two the same.
 */
export type PartitionShape = "halves" | "one" | "minority" | "bridge" | "ring";

/** One thing that is done to a cluster. All but `crash` stay in force until they are undone or replaced. */
export type NemesisFault =
  | {
      readonly kind: "partition";
      readonly shape: PartitionShape;
      readonly groups: readonly (readonly PeerId[])[];
    }
  /** Nothing passes from these to those; the other direction stays as it is. */
  | { readonly kind: "one-way"; readonly from: readonly PeerId[]; readonly to: readonly PeerId[] }
  /** A rule for all links between peers. */
  | { readonly kind: "lossy" | "slow" | "duplicating" | "reordering"; readonly rule: LinkRule }
  /** What stands between a client and the peers. */
  | { readonly kind: "client"; readonly client: string; readonly reach: readonly PeerId[] | LinkRule }
  /** All of them at once. */
  | { readonly kind: "crash" | "pause" | "resume"; readonly peers: readonly PeerId[] }
  /** Ends all faults of the network, those of clients too; not pauses. */
  | { readonly kind: "heal" };

/** A fault, and when it comes, in milliseconds from the beginning. */
export interface NemesisStep {
  readonly atMs: number;
  readonly fault: NemesisFault;
}

/** What {@link drawNemesis} draws from. */
export interface NemesisOptions {
  /** The same seed and options give the same schedule. */
  readonly seed: number;
  readonly peers: readonly PeerId[];
  /** The clients that are cut off or disturbed now and then. Default: none. */
  readonly clients?: readonly string[];
  /** How long the schedule is, in milliseconds. */
  readonly forMs: number;
  /** The shortest and the longest time between two faults, in milliseconds. Default [50, 800]. */
  readonly gapMs?: readonly [min: number, max: number];
}

/** How long a pause lasts, in milliseconds: shorter than a heartbeat, or longer than several elections. */
const PAUSE_MS = [20, 1_500] as const;

/** How often each kind is drawn, in relation to the others. `heal` is frequent, or little would ever be agreed upon. */
const WEIGHTS = {
  ...{ heal: 6, partition: 4, "one-way": 2, crash: 4, pause: 3, client: 3 },
  ...{ lossy: 1, slow: 1, duplicating: 1, reordering: 1 },
} as const satisfies Partial<Record<NemesisFault["kind"], number>>;

type Drawn = keyof typeof WEIGHTS;

/** Draws a schedule of faults of all kinds, in the order of time. They overlap: only `heal` ends those of the network. */
export function drawNemesis({
  seed,
  peers,
  clients = [],
  forMs,
  gapMs = [50, 800],
}: NemesisOptions): readonly NemesisStep[] {
  const random = seededRandom(seed);
  const steps: NemesisStep[] = [];
  for (let atMs = between(random, gapMs); atMs < forMs; atMs += between(random, gapMs)) {
    const fault = drawFault(random, drawKind(random), peers, clients);
    if (fault === undefined) continue;
    steps.push({ atMs, fault });
    if (fault.kind === "pause") {
      steps.push({ atMs: atMs + between(random, PAUSE_MS), fault: { kind: "resume", peers: fault.peers } });
    }
  }
  return steps.sort((one, other) => one.atMs - other.atMs);
}

/**
 * Does to a cluster what a schedule says, each fault at its time or, when those before it took longer, as soon as they are
 * done. In the end, whatever happens, the network is healed and nobody is paused.
 *
 * Crashed peers are started again by the cluster's restart policy only.
 * @param signal ends it early.
 * @param onFault is called with each fault when it is in force.
 * @throws what the supervisor's calls throw, but for a pause of a peer that is down.
 */
export async function runNemesis(
  supervisor: Pick<Supervisor, "faults" | "peer" | "peers">,
  steps: readonly NemesisStep[],
  { signal, onFault }: { readonly signal?: AbortSignal; readonly onFault?: (fault: NemesisFault) => void } = {},
): Promise<void> {
  const from = performance.now();
  try {
    for (const { atMs, fault } of steps) {
      const wait = atMs - (performance.now() - from);
      if (wait > 0) await delay(wait, undefined, { signal }).catch(() => {});
      if (signal?.aborted) break;
      await inflict(supervisor, fault);
      onFault?.(fault);
    }
  } finally {
    await supervisor.faults.heal();
    await Promise.all(supervisor.peers.map((peer) => peer.resume()));
  }
}

async function inflict(supervisor: Pick<Supervisor, "faults" | "peer">, fault: NemesisFault): Promise<void> {
  const { faults } = supervisor;
  switch (fault.kind) {
    case "partition":
      return faults.partition(...fault.groups);
    case "one-way":
      for (const from of fault.from) {
        for (const to of fault.to) await faults.link(from, to, { blocked: true });
      }
      return;
    case "lossy":
    case "slow":
    case "duplicating":
    case "reordering":
      return faults.all(fault.rule);
    case "client":
      return faults.client(fault.client, fault.reach);
    case "heal":
      return faults.heal();
    case "pause":
      await Promise.all(fault.peers.map((id) => supervisor.peer(id).pause().catch(unlessDown)));
      return;
    case "crash":
    case "resume": {
      const { kind } = fault;
      await Promise.all(fault.peers.map((id) => supervisor.peer(id)[kind]()));
      return;
    }
    default:
      fault satisfies never;
  }
}

function unlessDown(error: unknown): void {
  if (!(error instanceof RaftError) || error.code !== "ERR_PEER_DOWN") throw error;
}

function drawKind(random: Random): Drawn {
  const kinds = Object.keys(WEIGHTS) as Drawn[];
  let ticket = random() * kinds.reduce((sum, kind) => sum + WEIGHTS[kind], 0);
  for (const kind of kinds) {
    ticket -= WEIGHTS[kind];
    if (ticket < 0) return kind;
  }
  return "heal";
}

/** @returns undefined when there is nobody to do it to. */
function drawFault(
  random: Random,
  kind: Drawn,
  peers: readonly PeerId[],
  clients: readonly string[],
): NemesisFault | undefined {
  const shuffled = shuffle(random, peers);
  const some = (most: number) => shuffled.slice(0, 1 + Math.floor(random() * most));
  switch (kind) {
    case "partition":
      return drawPartition(random, shuffled);
    case "one-way": {
      const from = some(peers.length - 1);
      return { kind, from, to: shuffled.slice(from.length) };
    }
    // Now and then all at once: what they were saying is then on their disks only.
    case "crash":
      return { kind, peers: random() < 0.5 ? some(1) : some(peers.length) };
    case "pause":
      return { kind, peers: random() < 0.5 ? some(1) : some(peers.length) };
    case "lossy":
      return { kind, rule: { drop: 0.05 + random() * 0.3 } };
    case "slow":
      return { kind, rule: { delayMs: [0, 5 + random() * 100] } };
    case "duplicating":
      return { kind, rule: { duplicate: 0.5, delayMs: [0, 20] } };
    case "reordering":
      return { kind, rule: { reorder: 0.1 + random() * 0.4 } };
    case "client": {
      const client = clients[Math.floor(random() * clients.length)];
      if (client === undefined) return undefined;
      const rule = { drop: random() * 0.3, delayMs: [0, random() * 100], duplicate: random() * 0.5 } as const;
      return { kind, client, reach: random() < 0.5 ? shuffled.slice(0, Math.floor(random() * peers.length)) : rule };
    }
    case "heal":
      return { kind };
  }
}

/** @param peers in an order that was drawn. @returns undefined when they are too few. */
function drawPartition(random: Random, peers: readonly PeerId[]): NemesisFault | undefined {
  const most = majority(peers.length);
  const shapes: readonly PartitionShape[] = ["halves", "one", "minority", "bridge", "ring"];
  // With fewer than three peers a bridge cuts nothing, with fewer than four a ring does not.
  const possible = Math.max(3, Math.min(shapes.length, peers.length + 1));
  const shape = shapes[Math.floor(random() * possible)] ?? "halves";
  const cut = (first: number, second = first): NemesisFault | undefined => {
    if (peers.length < 2) return undefined;
    return { kind: "partition", shape, groups: [peers.slice(0, first), peers.slice(second)] };
  };
  switch (shape) {
    case "halves":
      return cut(Math.floor(peers.length / 2));
    case "one":
      return cut(1);
    case "minority":
      return cut(Math.max(1, Math.floor(random() * (peers.length - most)) + 1));
    case "bridge":
      return cut(most, most - 1);
    case "ring": {
      const span = Math.ceil((most - 1) / 2) + 1;
      const twice = [...peers, ...peers];
      return { kind: "partition", shape, groups: peers.map((_, at) => twice.slice(at, at + span)) };
    }
  }
}

function shuffle<T>(random: Random, values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, order: random() }))
    .sort((one, other) => one.order - other.order)
    .map(({ value }) => value);
}

function between(random: Random, [min, max]: readonly [number, number]): number {
  return min + random() * (max - min);
}
