import assert from "node:assert/strict";
import type { Save } from "../../raft/effects.ts";
import { type Random, seededRandom } from "../../raft/random.ts";
import { BORN, begin, type CaseBody, crashAndCheck, dataOf, type StoreFixture, type Subject } from "./subject.ts";

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
const STEPS = 80;

/** What the saves are made of. */
interface Mixture {
  readonly what: string;
  readonly snapshots: boolean;
  /** The most bytes of an entry, and of a chunk. */
  readonly entryBytes: number;
  readonly chunkBytes: number;
}

const MIXTURES: readonly Mixture[] = [
  { what: "", snapshots: false, entryBytes: 300, chunkBytes: 0 },
  { what: " with snapshots", snapshots: true, entryBytes: 300, chunkBytes: 3_000 },
  { what: " with snapshots, some of them long", snapshots: true, entryBytes: 30_000, chunkBytes: 200_000 },
];

/** Any saves in any order, crashes and closes among them, against an array. */
export const randomCases: readonly CaseBody[] = MIXTURES.flatMap(({ what, snapshots, entryBytes, chunkBytes }) =>
  SEEDS.map((seed) => ({
    name: `agrees with an array over random saves${what}, seed ${seed}`,
    async body(fixture) {
      const random = seededRandom(seed);
      const subject = await begin(fixture);
      let hardState = subject.store.state.hardState;
      for (let step = 0; step < STEPS; step++) {
        if (random() < 0.1) {
          await restart(fixture, subject, random);
          assert.deepEqual(subject.store.state.hardState, hardState, "hardState");
          continue;
        }
        if (random() < 0.1) subject.store.sweep();
        const term = subject.lastTerm + (random() < 0.3 ? below(random, 3) : 0);
        const votes = random() < 0.3;
        if (votes) hardState = { currentTerm: term, votedFor: random() < 0.5 ? "b" : undefined };
        const change = snapshots ? randomSnapshot(subject, random, chunkBytes) : {};
        const truncateFrom = change.resetTo === undefined ? randomCut(subject, random, change) : undefined;
        subject.append(randomData(random, entryBytes), {
          ...change,
          truncateFrom,
          term: Math.max(term, change.resetTo?.term ?? 0),
          hardState: votes ? hardState : undefined,
        });
        checkSomeRead(subject, random);
      }
      subject.check({ fresh: false });
      await crashAndCheck(fixture, subject);
      subject.sweep();
      await crashAndCheck(fixture, subject);
    },
  })),
);

async function restart(fixture: StoreFixture, subject: Subject, random: Random): Promise<void> {
  if (random() < 0.5) return crashAndCheck(fixture, subject);
  await subject.store.close();
  subject.reopened(await fixture.open(BORN));
}

/** Something to set aside, a snapshot of that, and what it does to the log. */
function randomSnapshot(subject: Subject, random: Random, maxBytes: number): Partial<Omit<Save, "batches">> {
  const data = Array.from({ length: below(random, 4) }, () => dataOf(below(random, 256), below(random, maxBytes)));
  const from = random() < 0.2 ? 0 : subject.staged.length;
  const chunks = subject.numbered(data, from);
  const staged = from === 0 && chunks.length > 0 ? data : [...subject.staged, ...data];
  const covered = subject.info?.index ?? 0;
  const choice = random();
  if (staged.length > 0 && choice < 0.3 && subject.lastIndex > covered) {
    const index = covered + 1 + below(random, subject.lastIndex - covered);
    return { chunks, snapshot: subject.infoOf(staged, index), compactTo: randomEnd(subject, random, index) };
  }
  if (staged.length > 0 && choice < 0.4) {
    const index = covered + 1 + below(random, subject.lastIndex - covered + 10);
    const term = subject.lastTerm + below(random, 2);
    const snapshot = { ...subject.infoOf(staged), index, term, time: 5_000 };
    return { chunks, snapshot, resetTo: snapshot };
  }
  return { chunks, compactTo: choice < 0.6 ? randomEnd(subject, random, covered) : undefined };
}

/** The end of some batch, or of none, up to `index`. */
function randomEnd(subject: Subject, random: Random, index: number): number | undefined {
  const ends = subject.batches.map(({ lastIndex }) => lastIndex).filter((end) => end <= index);
  return ends[below(random, ends.length + 1)];
}

/** From behind the snapshot's entry on. */
function randomCut(
  subject: Subject,
  random: Random,
  { snapshot }: Pick<Partial<Save>, "snapshot">,
): number | undefined {
  const least = Math.max(1, snapshot?.index ?? subject.info?.index ?? 0) + 1;
  return random() < 0.3 && subject.lastIndex >= least
    ? least + below(random, subject.lastIndex - least + 1)
    : undefined;
}

/** Up to three batches of up to six entries. */
function randomData(random: Random, maxBytes: number): Uint8Array[][] {
  return Array.from({ length: below(random, 4) }, () =>
    Array.from({ length: 1 + below(random, 6) }, () => dataOf(below(random, 256), below(random, maxBytes))),
  );
}

/** A read from anywhere returns the batches that begin there, as far as the limit allows. */
function checkSomeRead(subject: Subject, random: Random): void {
  const { base, lastIndex: end } = subject;
  if (end === base.index) return;
  const from = base.index + 1 + below(random, end - base.index);
  const maxBytes = below(random, 4_000);
  const expected = [];
  let bytes = 0;
  for (const { firstIndex, lastIndex, bytes: encoded } of subject.batches) {
    if (lastIndex < from || (expected.length > 0 && bytes >= maxBytes)) continue;
    expected.push([firstIndex, lastIndex]);
    bytes += encoded.byteLength;
  }
  const read = subject.store.read(from, maxBytes).map(({ firstIndex, lastIndex }) => [firstIndex, lastIndex]);
  assert.deepEqual(read, expected, `reading ${maxBytes} bytes from ${from} on`);
}

function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}
