import { begin, crashAndCheck, dataOf, type StoreFixture, type Subject } from "./subject.ts";

/** Chunks of different lengths, an empty one among them. */
export const CHUNKS = [dataOf(1, 3_000), dataOf(2, 0), dataOf(3, 5_000), dataOf(4, 1)];

/** A log of entries 2..13 in batches of three, two of term 1 and two of term 2. */
export async function withLog(fixture: StoreFixture): Promise<Subject> {
  const subject = await begin(fixture);
  for (const term of [1, 1, 2, 2]) subject.append([[dataOf(term, 20), dataOf(5, 9), dataOf(6, 11)]], { term });
  return subject;
}

/** Saves a snapshot of entry `index` in one save, and compacts the log to `compactTo`. */
export function takeSnapshot(subject: Subject, index: number, compactTo?: number, chunks = CHUNKS): void {
  const snapshot = subject.infoOf(chunks, index);
  subject.append([], { chunks: subject.numbered(chunks, 0), snapshot, compactTo });
}

/** Saves a snapshot of another peer, of an entry that need not be in the log. */
export function install(subject: Subject, index: number, term: number, data: Uint8Array[][] = []): void {
  const snapshot = { ...subject.infoOf(CHUNKS), index, term, time: 9_000 };
  subject.append(data, { chunks: subject.numbered(CHUNKS, 0), snapshot, resetTo: snapshot });
}

/** Looks at it as it is, after a crash, when all is swept, and after another crash. */
export async function checkThoroughly(fixture: StoreFixture, subject: Subject): Promise<void> {
  subject.check({ fresh: false });
  await crashAndCheck(fixture, subject);
  subject.sweep();
  subject.check({ fresh: false });
  await crashAndCheck(fixture, subject);
}
