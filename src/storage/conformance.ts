import { compactionCases } from "./conformance/compaction.ts";
import { logCases } from "./conformance/log.ts";
import { machineCases } from "./conformance/machine.ts";
import { openingCases } from "./conformance/opening.ts";
import { randomCases } from "./conformance/random.ts";
import { refusalCases } from "./conformance/refusals.ts";
import { snapshotCases } from "./conformance/snapshot.ts";
import type { ConformanceCase, StoreFactory } from "./conformance/subject.ts";

/**
 * What every {@link Store} must do, as tests for any runner: the author of a store registers each with `it(name, run)`
 * or the like. The tests share nothing, use `node:assert`, and need no order.
 *
 *     for (const { name, run } of storeConformance(factory)) it(name, run);
 *
 * The longest takes as long as 5,000 saves do, so a store on a slow disk needs a generous time limit.
 */
export function storeConformance(factory: StoreFactory): readonly ConformanceCase[] {
  return [
    ...openingCases,
    ...logCases,
    ...snapshotCases,
    ...compactionCases,
    ...machineCases,
    ...refusalCases,
    ...randomCases,
  ].map(({ name, body }) => ({
    name,
    async run() {
      const fixture = await factory.create();
      try {
        await body(fixture);
      } finally {
        await fixture.destroy();
      }
    },
  }));
}

export type { ConformanceCase, StoreFactory, StoreFixture } from "./conformance/subject.ts";
