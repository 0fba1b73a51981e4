import type { PeerId } from "../../../raft/message.ts";
import type { Raft } from "../../../raft/raft.ts";
import type { DiskImage } from "./disk-image.ts";

/** A process of a peer, as the checks see it. */
export interface Subject {
  readonly id: PeerId;
  readonly incarnation: number;
  readonly raft: Pick<Raft, "role" | "currentTerm" | "votedFor" | "leader" | "commitIndex" | "log" | "snapshot">;
  readonly lastApplied: number;
  /** The turn that is under way, or was last: when the first of its mail came in, by the process's clock. */
  readonly current: { readonly since: number };
  /** What time it is by that clock. */
  now(): number;
  /** Of its peer's disk; all processes of a peer have the same. */
  readonly image: DiskImage;
}

export function nameOf({ id, incarnation }: Pick<Subject, "id" | "incarnation">): string {
  return `${id} (life ${incarnation})`;
}
