import assert from "node:assert/strict";
import { EMPTY_SAVE } from "../../raft/effects.ts";
import { InvariantError } from "../../raft/errors.ts";
import { CHUNKS, takeSnapshot, withLog } from "./snapshot-steps.ts";
import { type CaseBody, crashAndCheck, dataOf, type Subject } from "./subject.ts";

/** A save that must not be: it throws, and nothing of it is found later. The snapshot is of entry 10, the log 8..13. */
function refusal(name: string, attempt: (subject: Subject) => void): CaseBody {
  return {
    name,
    async body(fixture) {
      const subject = await withLog(fixture);
      takeSnapshot(subject, 10, 7);
      assert.throws(() => attempt(subject), InvariantError);
      await crashAndCheck(fixture, subject);
    },
  };
}

/** Saves after which the snapshot and the log would not fit together. */
export const refusalCases: readonly CaseBody[] = [
  refusal("refuses a chunk that is not the next", (subject) => {
    subject.store.save({ ...EMPTY_SAVE, chunks: subject.numbered(CHUNKS, 1) });
  }),
  refusal("refuses a chunk behind those of the snapshot in force", (subject) => {
    subject.store.save({ ...EMPTY_SAVE, chunks: subject.numbered([dataOf(1, 1)], CHUNKS.length) });
  }),
  refusal("refuses a snapshot of more chunks than are set aside", (subject) => {
    const chunks = subject.numbered(CHUNKS.slice(1));
    subject.store.save({ ...EMPTY_SAVE, chunks, snapshot: subject.infoOf(CHUNKS) });
  }),
  refusal("refuses a snapshot of other bytes than are set aside", (subject) => {
    const chunks = subject.numbered(CHUNKS);
    const snapshot = subject.infoOf(CHUNKS);
    subject.store.save({ ...EMPTY_SAVE, chunks, snapshot: { ...snapshot, bytes: snapshot.bytes + 1 } });
  }),
  refusal("refuses a snapshot of nothing", (subject) => {
    subject.store.save({ ...EMPTY_SAVE, snapshot: subject.infoOf([]) });
  }),
  refusal("refuses an older snapshot", (subject) => {
    subject.store.save({ ...EMPTY_SAVE, chunks: subject.numbered(CHUNKS), snapshot: subject.infoOf(CHUNKS, 9) });
  }),
  refusal("refuses a snapshot behind the end of the log", (subject) => {
    const snapshot = { ...subject.infoOf(CHUNKS), index: 14 };
    subject.store.save({ ...EMPTY_SAVE, chunks: subject.numbered(CHUNKS), snapshot });
  }),
  refusal("refuses a snapshot of another term than its entry has", (subject) => {
    const snapshot = { ...subject.infoOf(CHUNKS), term: 9 };
    subject.store.save({ ...EMPTY_SAVE, chunks: subject.numbered(CHUNKS), snapshot });
  }),
  refusal("refuses to compact what the snapshot does not cover", (subject) => {
    subject.store.save({ ...EMPTY_SAVE, compactTo: 13 });
  }),
  refusal("refuses to compact to the middle of a batch", (subject) => {
    subject.store.save({ ...EMPTY_SAVE, compactTo: 9 });
  }),
  refusal("refuses to drop entries that the snapshot covers", (subject) => {
    subject.store.save({ ...EMPTY_SAVE, truncateFrom: 10 });
  }),
  refusal("refuses to begin the log behind another entry than the snapshot's", (subject) => {
    subject.store.save({ ...EMPTY_SAVE, resetTo: subject.infoOf(CHUNKS, 13) });
  }),
];
