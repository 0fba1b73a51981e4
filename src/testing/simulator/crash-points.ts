import type { Save } from "../../raft/effects.ts";
import type { Role } from "../../raft/state.ts";

/** What a save is about, the rarest thing in it. */
export const SAVE_KINDS = ["state", "entries", "truncation", "chunk", "snapshot", "compaction", "install"] as const;
export type SaveKind = (typeof SAVE_KINDS)[number];

/**
 * Where a peer may die: wherever the shell hands something over to somebody. `mail` is between the inbox and the turn;
 * `commit` is a transaction of the disk, of which a save or a sweep takes one; `reply` is what clients are told; `freeze` the machine's view for a snapshot; `idle` between two turns.
 */
export const CRASH_POINTS = [
  ...["idle", "mail", "before sending", "while sending", "after sending"],
  ...SAVE_KINDS.flatMap((kind) => [`before save: ${kind}`, `after save: ${kind}`]),
  ...["before sweep", "after sweep", "before apply", "after apply", "before reply", "after reply"],
  ...["before commit", "freeze", "restore", "before opening", "after opening"],
] as readonly CrashPoint[];

export type CrashPoint =
  | `${"before" | "after"} ${`save: ${SaveKind}` | "sweep" | "apply" | "reply" | "opening" | "sending"}`
  | "before commit"
  | "while sending"
  | "idle"
  | "mail"
  | "freeze"
  | "restore";

export const ROLES: readonly Role[] = ["follower", "pre-candidate", "candidate", "leader"];

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
