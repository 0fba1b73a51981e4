import type { Role } from "../../raft/state.ts";
import { type CrashPoint, RARE_POINTS } from "./crash-points.ts";
import type { Draw } from "./draw.ts";
import type { PlannedFault } from "./faults.ts";
import type { Taken } from "./stall.ts";

/** Of the places at which it might, an ambush lies in wait at so many: to come to some a peer has to get by many others. */
const SHARE = 0.4;
/** At this one always: it takes a durable state, a snapshot of many records, and nobody who has died before. */
const FARTHEST: CrashPoint = "between commits";

/**
 * Lies in wait at places of a run that peers seldom come by, and lets nobody die twice at the same: each that has had its
 * death leaves more to those that have not.
 */
export class Ambush {
  readonly #draw: Draw;
  /** By place: whether somebody is still to die there. */
  readonly #waiting = new Map<string, boolean>();
  #chance = 0;

  constructor(draw: Draw) {
    this.#draw = draw;
  }

  get isLaid(): boolean {
    return this.#chance > 0;
  }

  /** @param chance that somebody dies who comes by. */
  lay(chance: number): void {
    this.#chance = chance;
  }

  lift(): void {
    this.#chance = 0;
  }

  /** A process comes by. @returns whether it dies. */
  springs(point: CrashPoint, role: Role): boolean {
    if (!isSeldom(point, role)) return false;
    const place = `${point} / ${role}`;
    const isWaiting = this.#waiting.get(place) ?? (point === FARTHEST || this.#draw.chance(SHARE));
    const springs = isWaiting && this.#draw.chance(this.#chance);
    this.#waiting.set(place, isWaiting && !springs);
    return springs;
  }
}

const RARE: ReadonlySet<CrashPoint> = new Set(RARE_POINTS);

function isSeldom(point: CrashPoint, role: Role): boolean {
  return role === "pre-candidate" || role === "candidate" || RARE.has(point);
}

interface AmbushOptions {
  readonly peers: number;
  readonly forMs: number;
  readonly electionMs: readonly [number, number];
}

/** What peers are brought to such places by, and how often, in relation to the others. */
const WEIGHTS = { stall: 2, backlog: 3, "left behind": 5, deposed: 2, "dead leader": 1 } as const;

/**
 * Draws an ambush, for some runs, and what brings peers to where it lies: elections while there is much to apply, snapshots
 * for those who were left behind, and stalls that outlast a follower's patience in the middle of its work.
 */
export function drawAmbush(draw: Draw, { peers, forMs, electionMs }: AmbushOptions): readonly PlannedFault[] {
  if (!draw.chance(0.5)) return [];
  const [, longest] = electionMs;
  const all = Array.from({ length: peers }, (_, at) => at);
  const begin = draw.between([0, 0.5 * forMs]);
  const faults: PlannedFault[] = [
    { atMs: begin, kind: "ambush", chance: draw.between([0.1, 0.7]), forMs: draw.between([0.5, 1]) * forMs },
  ];
  const stall = (atMs: number, having: Taken): PlannedFault => {
    return { atMs, kind: "stall", victims: all, having, forMs: draw.between([1, 2]) * longest };
  };
  const death = (atMs: number): PlannedFault => {
    const where = { victims: ["leader"], point: "idle", role: undefined, skip: 0 } as const;
    return { atMs, kind: "crash", ...where, downMs: draw.between([5, 2 * longest]), lingerMs: 0, newsLateMs: 0 };
  };
  const gapMs = draw.between([longest, 8 * longest]);
  for (let atMs = begin; atMs < forMs; atMs += draw.between([0, 2 * gapMs])) {
    switch (draw.weighted(WEIGHTS)) {
      case "stall":
        faults.push(stall(atMs, draw.pick<Taken>(["mail", "entries"])));
        break;
      case "backlog": {
        const takes = { applyMs: draw.between([2, 60]), forMs: draw.between([2, 12]) * longest };
        faults.push({ atMs, kind: "slow machine", victims: all, ...takes });
        const commands = { commands: draw.integer(10, 40), bytes: draw.integer(1, 100), together: draw.chance(0.5) };
        faults.push({ atMs: atMs + draw.between([0, 50]), kind: "burst", ...commands });
        faults.push(death(atMs + draw.between([50, longest])));
        break;
      }
      case "left behind": {
        const cut = { shape: "one", order: draw.shuffled(all), forMs: draw.between([1, 8]) * longest } as const;
        faults.push({ atMs, kind: "cut", ...cut });
        // What it lacks is gone from the leader's log when it is back.
        const endMs = atMs + cut.forMs;
        faults.push({ atMs: endMs - draw.between([0, longest]), kind: "snapshot", victim: "leader" });
        if (draw.chance(0.75)) faults.push(stall(endMs, "install"));
        break;
      }
      case "deposed": {
        const cut = { lateMs: 0, muteAfterMs: 0, forMs: draw.between([1, 4]) * longest } as const;
        const asked = { pauseMs: 0, crashes: 0, pressMs: draw.between([10, 50]) } as const;
        faults.push({ atMs, kind: "strand", victim: "leader", ...cut, ...asked }, stall(atMs, "truncation"));
        break;
      }
      case "dead leader":
        faults.push(death(atMs));
    }
  }
  return faults.sort((one, other) => one.atMs - other.atMs);
}
