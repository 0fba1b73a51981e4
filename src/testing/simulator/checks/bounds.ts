import { nameOf, type Subject } from "./subject.ts";
import { expectThat } from "./violation.ts";

/** A snapshot that is being sent may put off the next one for so many times `snapshotEvery` entries (see shell.ts). */
const MOST_POSTPONED = 10;
/** What is applied while a snapshot of many chunks is being taken. */
const SLACK = 2_000;

/** §7: the log does not grow without bound. What is applied is covered by a snapshot before long. */
export function checkBounds(subject: Subject, snapshotEvery: number): void {
  const { log } = subject.raft;
  const applied = subject.lastApplied - log.firstIndex;
  const most = (MOST_POSTPONED + 3) * snapshotEvery + SLACK;
  expectThat(applied <= most, "bounded memory", () => {
    return `${nameOf(subject)} keeps ${applied} applied entries, with a snapshot every ${snapshotEvery}`;
  });
}
