import assert from "node:assert/strict";
import { type Random, seededRandom } from "../../raft/random.ts";
import { BORN, begin, type CaseBody, crashAndCheck, dataOf, type StoreFixture, type Subject } from "./subject.ts";

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
const STEPS = 60;

/** Any saves in any order, crashes and closes among them, against an array. */
export const randomCases: readonly CaseBody[] = SEEDS.map((seed) => ({
  name: `agrees with an array over random saves, seed ${seed}`,
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
      const term = subject.lastTerm + (random() < 0.3 ? below(random, 3) : 0);
      const votes = random() < 0.3;
      if (votes) hardState = { currentTerm: term, votedFor: random() < 0.5 ? "b" : undefined };
      const truncateFrom =
        random() < 0.3 && subject.lastIndex > 1 ? 2 + below(random, subject.lastIndex - 1) : undefined;
      subject.append(randomData(random), { truncateFrom, term, hardState: votes ? hardState : undefined });
      checkSomeRead(subject, random);
    }
    await crashAndCheck(fixture, subject);
  },
}));

async function restart(fixture: StoreFixture, subject: Subject, random: Random): Promise<void> {
  if (random() < 0.5) return crashAndCheck(fixture, subject);
  await subject.store.close();
  subject.store = await fixture.open(BORN);
  subject.check({ fresh: true });
}

/** Up to three batches of up to six entries. */
function randomData(random: Random): Uint8Array[][] {
  return Array.from({ length: below(random, 4) }, () =>
    Array.from({ length: 1 + below(random, 6) }, () => dataOf(below(random, 256), below(random, 300))),
  );
}

/** A read from anywhere returns the batches that begin there, as far as the limit allows. */
function checkSomeRead(subject: Subject, random: Random): void {
  const from = 1 + below(random, subject.lastIndex);
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
