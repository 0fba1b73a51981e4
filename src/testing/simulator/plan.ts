import { DEFAULT_LIMITS } from "../../raft/options.ts";
import { drawAmbush } from "./ambush.ts";
import { Draw } from "./draw.ts";
import { drawFaults, drawLastFault, type PlannedFault } from "./faults.ts";

/** What befalls the messages of a link. Probabilities are for each packet; times are in milliseconds. */
export interface LinkNoise {
  readonly delayMs: readonly [min: number, max: number];
  readonly loss: number;
  readonly duplicate: number;
  /** Held back for `heldMs`, so that later ones overtake it. */
  readonly hold: number;
  readonly heldMs: readonly [min: number, max: number];
  /** A copy comes once more, after up to half a minute: of an election, a leader, a life that is long over. */
  readonly ghost: number;
}

/** All that a seed decides before a run begins. What comes of it is decided by it too. */
export interface Plan {
  readonly seed: number;
  readonly peers: number;
  /** How long the faults last. What is checked afterwards takes longer. */
  readonly forMs: number;
  readonly heartbeatMs: number;
  readonly electionMs: readonly [number, number];
  /** The most by which a peer's clock runs faster or slower, as a part of 1; leases allow for it. */
  readonly maxClockDrift: number;
  /** How fast each peer's clock runs. */
  readonly clockRates: readonly number[];
  readonly leases: boolean;
  /** Whether the key-value map is the one whose entries are in the stores. */
  readonly durable: boolean;
  /** Whether snapshots that two peers make of one state differ in their bytes. */
  readonly ownBytes: boolean;
  /** How much of a durable map is written at a time when another takes its place. */
  readonly replaceBytes: number;
  readonly snapshotEvery: number;
  readonly chunkBytes: number;
  readonly limits: {
    readonly maxMessageBytes: number;
    readonly maxInflightMessages: number;
    readonly maxInflightBytes: number;
    readonly cacheBytes: number;
  };
  readonly maxPendingBytes: number;
  readonly noise: LinkNoise;
  /** Whether packets that are not for the process that runs, or not from it, are dropped on the way. */
  readonly fenced: boolean;
  /** Whether senders are told of packets that are lost, as in the network of the lab. */
  readonly tellsLoss: boolean;
  /** Whether peers are told of the death of others. */
  readonly news: boolean;
  /** How long a save takes. */
  readonly saveMs: readonly [number, number];
  /** How long after its mail a peer's turn begins, and by how much its clock goes on each time it looks at it. */
  readonly wakeMs: readonly [number, number];
  readonly stepMs: number;
  readonly clients: number;
  readonly commandsPerSecond: number;
  readonly keys: number;
  /** Of the operations, how many are queries. */
  readonly queries: number;
  /** How long a client waits before it sends again, and before it gives up. */
  readonly retryMs: number;
  readonly giveUpMs: number;
  readonly faults: readonly PlannedFault[];
}

/** What a user may say of a run; the rest is drawn. */
export interface PlanOptions {
  readonly peers?: number | undefined;
  readonly forMs: number;
}

/** Draws a run: each kind of trouble is there or not, at a rate of its own (swarm testing, Groce et al., 2012). */
export function drawPlan(seed: number, { peers: wanted, forMs }: PlanOptions): Plan {
  const draw = new Draw(seed, "plan");
  const peers = wanted ?? draw.pick([1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7]);
  const isUsual = draw.chance(0.5);
  const shortest = isUsual ? 150 : draw.between([60, 400]);
  const timing = {
    heartbeatMs: isUsual ? 50 : shortest * draw.between([0.1, 0.4]),
    // Where all peers have about the same patience, and messages take about as long, elections are close.
    electionMs: [shortest, isUsual ? 300 : shortest * draw.between([1.02, 3])] as const,
  };
  const sometimes = (range: readonly [number, number], otherwise = 0) =>
    draw.chance(0.5) ? draw.skewed(range) : otherwise;
  const maxClockDrift = draw.pick([0, 0.001, 0.05, 0.1]);
  const leases = draw.chance(0.5);
  const snapshotEvery = draw.pick([10, 10, 30, 30, 100, 300, 1_000]);
  const options = { peers, forMs, electionMs: timing.electionMs, mayJump: !leases };
  return {
    seed,
    peers,
    forMs,
    ...timing,
    maxClockDrift,
    clockRates: Array.from({ length: peers }, () => 1 + draw.between([-maxClockDrift, maxClockDrift])),
    leases,
    durable: new Draw(seed, "durable").chance(0.3),
    ownBytes: new Draw(seed, "own bytes").chance(0.4),
    replaceBytes: new Draw(seed, "replacements").pick([1, 1, 300, 1 << 20]),
    snapshotEvery,
    chunkBytes: draw.pick([200, 1_000, 4_096, 128 << 10]),
    limits: draw.chance(0.3)
      ? DEFAULT_LIMITS
      : {
          maxMessageBytes: draw.pick([1, 1, 200, 1_000, 1 << 20]),
          maxInflightMessages: draw.pick([1, 2, 8, 64]),
          maxInflightBytes: draw.pick([100, 2_000, 8 << 20]),
          cacheBytes: draw.pick([0, 300, 3_000, 16 << 20]),
        },
    maxPendingBytes: draw.chance(0.2) ? draw.integer(100, 2_000) : 64 << 20,
    noise: {
      delayMs: [
        draw.between([0.01, 1]),
        draw.chance(0.7) ? draw.between([1, 10]) : shortest * draw.between([0.05, 0.3]),
      ],
      loss: sometimes([0, 0.3]),
      duplicate: sometimes([0, 0.3]),
      hold: sometimes([0, 0.2]),
      heldMs: [5, timing.electionMs[1] * draw.between([0.1, 2])],
      ghost: sometimes([0, 0.3]),
    },
    fenced: draw.chance(0.6),
    tellsLoss: draw.chance(0.15),
    news: draw.chance(0.7),
    saveMs: draw.pick([[0.02, 0.5] as const, [0.02, 0.5] as const, [1, 15] as const]),
    wakeMs: [0.005, draw.pick([0.02, 0.02, 0.5, 5])],
    stepMs: draw.pick([0, 0, 0, 0.01, 0.05]),
    clients: draw.integer(2, 6),
    commandsPerSecond: 20,
    keys: draw.integer(1, 8),
    queries: draw.between([0, 0.7]),
    retryMs: draw.between([30, 1_000]),
    giveUpMs: draw.between([1_000, 10_000]),
    faults: [
      ...drawFaults(new Draw(seed, "faults"), options),
      ...drawLastFault(new Draw(seed, "last"), options),
      ...drawAmbush(new Draw(seed, "ambush"), options),
    ],
  };
}
