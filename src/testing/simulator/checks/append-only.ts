import type { Save } from "../../../raft/effects.ts";
import { nameOf, type Subject } from "./subject.ts";
import { expectThat } from "./violation.ts";

/** Leader Append-Only (Figure 3, §5.3): a leader never overwrites or deletes entries in its log. */
export function checkAppendOnly(subject: Subject, { resetTo, truncateFrom, hardState }: Save): void {
  // One that has just been elected, by this very save, may have cut its log as a follower before.
  if (subject.raft.role !== "leader" || hardState !== undefined) return;
  expectThat(resetTo === undefined && truncateFrom === undefined, "leader append-only", () => {
    return `${nameOf(subject)} leads in term ${subject.raft.currentTerm}, and drops entries from ${truncateFrom ?? "its first"} on`;
  });
}
