import type { Save } from "../../raft/effects.ts";
import type { Role } from "../../raft/state.ts";

/** What a save is about, the rarest thing in it. */
export const SAVE_KINDS = ["state", "entries", "truncation", "chunk", "snapshot", "compaction", "install"] as const;
export type SaveKind = (typeof SAVE_KINDS)[number];

/**
 * Where a peer may die: wherever the shell hands something over to somebody. `mail` is between the inbox and the turn;
 * `commit` is a transaction of the disk, of which a save or a sweep takes one, and a durable machine's new state some: then
 * there is `between commits` too. `reply` is what clients are told; `freeze` the machine's view for a snapshot; `idle` between
 * two turns.
 */
export const CRASH_POINTS = [
  ...["idle", "mail", "before sending", "while sending", "after sending"],
  ...SAVE_KINDS.flatMap((kind) => [`before save: ${kind}`, `after save: ${kind}`]),
  ...["before sweep", "after sweep", "before apply", "after apply", "before reply", "after reply"],
  ...["before commit", "between commits", "freeze", "restore", "before opening", "after opening"],
] as readonly CrashPoint[];

export type CrashPoint =
  | `${"before" | "after"} ${`save: ${SaveKind}` | "sweep" | "apply" | "reply" | "opening" | "sending"}`
  | "before commit"
  | "between commits"
  | "while sending"
  | "idle"
  | "mail"
  | "freeze"
  | "restore";

export const ROLES: readonly Role[] = ["follower", "pre-candidate", "candidate", "leader"];

/** A process begins as a follower, and so it opens its disk. */
const OPENING: readonly CrashPoint[] = ["before opening", "after opening"];

/**
 * What a leader's entries and snapshots come to. Whoever accepts them is a follower from then on, and saves them in the
 * same turn. Between the two it may campaign, when it stands still for an election timeout behind its inbox, or hears next
 * in it that this leader is dead. But it is no candidate before others have granted it their pre-votes, of which the mail
 * of a later turn tells; and no leader before it was that. One who needs nobody's votes has no leader to accept anything
 * from.
 */
const OF_LEADERS: readonly CrashPoint[] = [
  ...(["restore", "between commits", "before save: install", "after save: install"] as const),
  ...(["before save: truncation", "after save: truncation"] as const),
];

/** The roles in which a process can be at that point; the simulator reaches each. */
export function rolesAt(point: CrashPoint): readonly [Role, ...Role[]] {
  if (OPENING.includes(point)) return ["follower"];
  if (OF_LEADERS.includes(point)) return ["follower", "pre-candidate"];
  // No candidate, as above: what was proposed to one who led before was saved in the turn in which it stepped down.
  if (point.endsWith("save: entries")) return ["follower", "pre-candidate", "leader"];
  return ["follower", "pre-candidate", "candidate", "leader"];
}

/** Those that are seldom passed. */
export const RARE_POINTS: readonly [CrashPoint, ...CrashPoint[]] = [
  ...(["restore", "between commits", "freeze", "before sweep", "after sweep"] as const),
  ...(["truncation", "chunk", "snapshot", "compaction", "install"] as const).flatMap(
    (kind) => [`before save: ${kind}`, `after save: ${kind}`] as const,
  ),
];

export function saveKind({ snapshot, resetTo, compactTo, truncateFrom, chunks, batches }: Save): SaveKind {
  if (resetTo !== undefined) return "install";
  if (compactTo !== undefined) return "compaction";
  if (snapshot !== undefined) return "snapshot";
  if (truncateFrom !== undefined) return "truncation";
  if (chunks.length > 0) return "chunk";
  return batches.length > 0 ? "entries" : "state";
}

/** Thrown where a peer's process ends. */
export class Killed extends Error {
  override readonly name = "Killed";
  readonly point: CrashPoint;

  constructor(point: CrashPoint) {
    super(point);
    this.point = point;
  }
}
