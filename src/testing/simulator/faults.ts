import type { MessageType } from "../../raft/message.ts";
import type { Role } from "../../raft/state.ts";
import { CRASH_POINTS, type CrashPoint, RARE_POINTS, rolesAt } from "./crash-points.ts";
import type { Draw } from "./draw.ts";
import { type CutShape, SHAPES } from "./shapes.ts";
import type { Taken } from "./stall.ts";

/** A peer by its number, or whoever leads at that time. */
export type Victim = number | "leader";

export type FaultAction =
  /**
   * The peers die, at the next passage of a point, in a role if one is given, or else after a while anyhow, and start again
   * `downMs` later. One that lingers has lost its disk, but goes on computing and sending until it asks for it.
   */
  | {
      readonly kind: "crash";
      readonly victims: readonly Victim[];
      readonly point: CrashPoint;
      readonly role: Role | undefined;
      /** How many passages go by before. */
      readonly skip: number;
      readonly downMs: number;
      readonly lingerMs: number;
      /** By how much the news of the death is late, for all. */
      readonly newsLateMs: number;
    }
  | { readonly kind: "pause"; readonly victims: readonly Victim[]; readonly forMs: number }
  /** @see SHAPES; the peers in the order that the shape goes by. */
  | { readonly kind: "cut"; readonly shape: CutShape; readonly order: readonly number[]; readonly forMs: number }
  /** More noise on all links, for packets with a message of one type alone, if one is given. */
  | {
      readonly kind: "storm";
      readonly of: MessageType | undefined;
      readonly loss: number;
      readonly delayMs: number;
      readonly forMs: number;
    }
  /**
   * The peer is left behind by the others, and not by its clients, who ask it all the while, and have the leader do something
   * before each question. What goes to it is late; what it sends may be lost from a time on; it stands still for a while, or
   * dies again and again, `crashes` times.
   */
  | {
      readonly kind: "strand";
      readonly victim: Victim;
      readonly lateMs: number;
      readonly muteAfterMs: number | undefined;
      readonly pauseMs: number;
      readonly crashes: number;
      readonly forMs: number;
      readonly pressMs: number;
    }
  /**
   * Who leads and another do not hear each other until that one loses its patience. Then all the rest, who heard the leader,
   * are started again, and do not hear it any more; its clients do, and have only asked meanwhile.
   */
  | {
      readonly kind: "usurp";
      readonly rival: number;
      readonly afterMs: number;
      readonly downMs: number;
      readonly forMs: number;
      readonly pressMs: number;
    }
  /** Clocks go forward by themselves: those of the timers, of all peers when their machine slept; or a wall clock, or back. */
  | { readonly kind: "clock"; readonly victims: readonly Victim[]; readonly jumpMs: number }
  | { readonly kind: "wall"; readonly victim: Victim; readonly jumpMs: number }
  | { readonly kind: "slow disk"; readonly victim: Victim; readonly saveMs: number; readonly forMs: number }
  | { readonly kind: "full disk"; readonly victim: Victim; readonly forMs: number }
  /** To apply a command takes a while. */
  | {
      readonly kind: "slow machine";
      readonly victims: readonly Victim[];
      readonly applyMs: number;
      readonly forMs: number;
    }
  /** The peers stand still between their inbox and all that follows from it, the next time they take such a thing from it. */
  | { readonly kind: "stall"; readonly victims: readonly Victim[]; readonly having: Taken; readonly forMs: number }
  /** @see Ambush */
  | { readonly kind: "ambush"; readonly chance: number; readonly forMs: number }
  /** A write fails: before it has done anything, or when all of it is done. */
  | { readonly kind: "failing disk"; readonly victim: Victim; readonly isDone: boolean; readonly downMs: number }
  /** Not survived: the peer is given up. Only as many as leave a majority. */
  | {
      readonly kind: "flipped bit";
      readonly victim: Victim;
      readonly table: FlippedTable;
      readonly place: number;
      /** Whether it is started again then, and reads what it has. */
      readonly isStarted: boolean;
    }
  | { readonly kind: "lost disk"; readonly victim: Victim; readonly downMs: number }
  /** Many commands at once, or a large one. */
  | { readonly kind: "burst"; readonly commands: number; readonly bytes: number; readonly together: boolean }
  | { readonly kind: "giant"; readonly bytes: number }
  | { readonly kind: "snapshot"; readonly victim: Victim };

/** In which tables bits are flipped. */
export const FLIPPED_TABLES = ["meta", "log", "log", "terms", "snapshot"] as const;
export type FlippedTable = (typeof FLIPPED_TABLES)[number];

export type PlannedFault = { readonly atMs: number } & FaultAction;
export type FaultKind = FaultAction["kind"];
export type Fault<Kind extends FaultKind> = Extract<PlannedFault, { readonly kind: Kind }>;

/** Those that alone may be lost or late in a storm; where entries do not arrive and votes do, logs go apart (Figure 8). */
const MESSAGE_TYPES = [
  ...["AppendEntries", "AppendEntries", "AppendEntriesReply", "InstallSnapshot", "InstallSnapshotReply"],
  ...["RequestVote", "RequestVoteReply", "PreVoteReply", "ReadIndexReply"],
] as unknown as readonly [MessageType, ...MessageType[]];

/** Those that come with an ambush. */
type AmbushKind = "slow machine" | "stall" | "ambush";
type DrawnKind = Exclude<FaultKind, AmbushKind>;

/** How often each kind is drawn, in relation to the others, where it is drawn at all. */
const WEIGHTS: Readonly<Record<DrawnKind, number>> = {
  ...{ crash: 10, pause: 4, cut: 8, storm: 4, strand: 3, usurp: 2, clock: 4, wall: 2, burst: 2, giant: 1, snapshot: 2 },
  ...{ "slow disk": 2, "full disk": 1, "failing disk": 2, "flipped bit": 0.5, "lost disk": 0.3 },
};

interface FaultOptions {
  readonly peers: number;
  readonly forMs: number;
  readonly electionMs: readonly [number, number];
  /** Whether clocks of timers may jump: no lease survives that. */
  readonly mayJump: boolean;
}

/** Draws which kinds of fault there are, how often, and then each of them, in the order of time. */
export function drawFaults(draw: Draw, options: FaultOptions): readonly PlannedFault[] {
  const weights = Object.fromEntries(
    Object.entries(WEIGHTS).map(([kind, weight]) => [kind, draw.chance(0.6) ? weight * draw.between([0.2, 1]) : 0]),
  ) as Record<DrawnKind, number>;
  if (!options.mayJump) weights.clock = 0;
  const gapMs = draw.skewed([120, 2_500]);
  const faults: PlannedFault[] = [];
  if (Object.values(weights).every((weight) => weight === 0) || draw.chance(0.03)) return faults;
  for (let atMs = draw.between([0, 2 * gapMs]); atMs < options.forMs; atMs += draw.between([0, 2 * gapMs])) {
    faults.push({ atMs, ...drawFault(draw, draw.weighted(weights), options, gapMs) });
  }
  return faults;
}

/** How often each kind is drawn of those that are under way when all is to be well again. */
const LAST_WEIGHTS = { strand: 4, cut: 3, crash: 2, storm: 2, pause: 1, usurp: 1 } as const;

/**
 * Sometimes one more, shortly before the end: what it leaves behind is there when a part of the peers is well again, and then
 * all, and nothing else has covered it by then.
 */
export function drawLastFault(draw: Draw, options: FaultOptions): readonly PlannedFault[] {
  const { forMs, electionMs } = options;
  if (!draw.chance(0.3)) return [];
  const atMs = Math.max(0, forMs - draw.between([0, 5 * electionMs[1]]));
  return [{ atMs, ...drawFault(draw, draw.weighted(LAST_WEIGHTS), options, electionMs[1]) }];
}

function drawFault(draw: Draw, kind: DrawnKind, { peers, electionMs }: FaultOptions, gapMs: number): FaultAction {
  const all = Array.from({ length: peers }, (_, at) => at);
  const victim = () => (draw.chance(0.4) ? "leader" : draw.integer(0, peers - 1));
  const victims = () => Array.from({ length: draw.chance(0.7) ? 1 : draw.integer(1, peers) }, victim);
  // Shorter than a heartbeat, or many elections; but where faults come fast they are short, or nothing would ever get done.
  const while_ = () => draw.skewed([5, Math.min(20 * electionMs[1], Math.max(3 * electionMs[1], 5 * gapMs))]);
  switch (kind) {
    case "crash": {
      const isRare = draw.chance(0.5);
      const point = draw.pick(isRare ? RARE_POINTS : (CRASH_POINTS as [CrashPoint, ...CrashPoint[]]));
      const role = draw.chance(0.4) ? draw.pick(rolesAt(point)) : undefined;
      // Where one of them comes to such a place at all, it is the one.
      const isUnlikely = isRare || role === "candidate" || role === "pre-candidate";
      return {
        ...{ kind, victims: isUnlikely && draw.chance(0.6) ? all : victims(), point, role },
        skip: draw.chance(isUnlikely ? 0.9 : 0.7) ? 0 : draw.integer(1, 20),
        downMs: draw.chance(0.6) ? draw.between([5, 100]) : while_(),
        lingerMs: draw.chance(0.2) ? draw.between([1, 2 * electionMs[1]]) : 0,
        newsLateMs: draw.chance(0.2) ? draw.between([0, 6 * electionMs[1]]) : 0,
      };
    }
    case "pause":
      return { kind, victims: victims(), forMs: while_() };
    case "cut": {
      const order = draw.shuffled(all);
      return { kind, shape: draw.pick(SHAPES), order, forMs: while_() };
    }
    case "storm": {
      // Longer than a leadership, when it is about one type alone: what was meant for the one before comes then.
      const of = draw.chance(0.5) ? draw.pick(MESSAGE_TYPES) : undefined;
      return {
        ...{ kind, of, loss: draw.chance(0.3) ? 0 : draw.between([0, 0.7]) },
        delayMs: of === undefined ? draw.skewed([1, 2 * electionMs[1]]) : draw.between([0, 5 * electionMs[1]]),
        forMs: of === undefined ? while_() : draw.between([0, 10 * electionMs[1]]),
      };
    }
    case "strand":
      return {
        ...{ kind, victim: draw.chance(0.5) ? "leader" : draw.integer(0, peers - 1) },
        lateMs: draw.chance(0.7) ? draw.between([0, 2 * electionMs[1]]) : 0,
        muteAfterMs: draw.chance(0.7) ? draw.skewed([0, electionMs[1]]) : undefined,
        pauseMs: draw.chance(0.4) ? draw.between([0, 3 * electionMs[1]]) : 0,
        crashes: draw.chance(0.4) ? draw.integer(1, 6) : 0,
        forMs: draw.between([electionMs[0], 5 * electionMs[1]]),
        pressMs: draw.between([5, 40]),
      };
    case "usurp":
      return {
        ...{
          kind,
          rival: draw.integer(0, peers - 1),
          afterMs: draw.between([0.8 * electionMs[0], 1.5 * electionMs[1]]),
        },
        ...{ downMs: draw.between([1, 20]), forMs: draw.between([0.5 * electionMs[0], 2 * electionMs[1]]) },
        pressMs: draw.between([5, 20]),
      };
    case "clock":
      return { kind, victims: draw.chance(0.5) ? [victim()] : all, jumpMs: while_() };
    case "wall":
      return { kind, victim: victim(), jumpMs: draw.between([-1, 1]) * draw.skewed([1, 1e8]) };
    case "slow disk":
      return { kind, victim: victim(), saveMs: draw.skewed([1, 3 * electionMs[1]]), forMs: while_() };
    case "full disk":
      return { kind, victim: victim(), forMs: while_() };
    case "failing disk":
      return { kind, victim: victim(), isDone: draw.chance(0.5), downMs: draw.between([5, 500]) };
    case "flipped bit": {
      const drawn = { victim: victim(), table: draw.pick(FLIPPED_TABLES), place: draw.random() } as const;
      // Near the end of a log, mostly: that could be taken for a write that was torn.
      const place = drawn.table === "log" ? Math.sqrt(Math.sqrt(drawn.place)) : drawn.place;
      return { kind, ...drawn, place, isStarted: draw.chance(0.7) };
    }
    case "lost disk":
      return { kind, victim: victim(), downMs: draw.between([5, 500]) };
    case "burst":
      return { kind, commands: draw.integer(2, 40), bytes: draw.integer(1, 100), together: draw.chance(0.5) };
    case "giant":
      return { kind, bytes: draw.integer(1_000, 20_000) };
    case "snapshot":
      return { kind, victim: victim() };
  }
}

/** A fault in a line, for people. */
export function describeFault({ atMs, ...fault }: PlannedFault): string {
  const { kind, ...rest } = fault;
  const details = Object.entries(rest)
    .filter(([, value]) => value !== undefined && value !== 0)
    .map(([name, value]) => `${name} ${formatDetail(name, value)}`);
  return `at ${(atMs / 1_000).toFixed(3)} s ${kind}: ${details.join(", ")}`;
}

function formatDetail(name: string, value: unknown): string {
  if (Array.isArray(value)) return value.map(formatPeer).join(" ");
  if (name === "victim") return formatPeer(value);
  return typeof value === "number" ? String(Math.round(value * 100) / 100) : String(value);
}

function formatPeer(value: unknown): string {
  return typeof value === "number" ? `p${value + 1}` : String(value);
}
