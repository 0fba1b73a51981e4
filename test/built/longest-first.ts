import { relative } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * The files that take longest, so that none of them is left over to run alone at the end. Those of the lab wait most of
 * the time and are apart from each other: beside what needs the processors they do no harm, and beside each other their
 * many clusters would be late for their own limits.
 */
const FIRST: readonly string[] = [
  "test/lab/snapshots.test.ts",
  "test/package/package.test.ts",
  "test/actors/supervisor.test.ts",
  "test/actors/verification.test.ts",
  "test/actors/exit.test.ts",
  "test/lab/persistence.test.ts",
  "test/examples.test.ts",
  "test/cli/bench/benches.test.ts",
  "test/actors/stuck.test.ts",
  "test/storage/kill.test.ts",
  "test/lab/agreement.test.ts",
  "test/storage/conformance.test.ts",
  "test/testing/cluster.test.ts",
  "test/lab/elections.test.ts",
  "test/actors/session.test.ts",
  "test/lab/key-value.test.ts",
];

/** The order in which files run when nobody says otherwise. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification) => {
      const at = FIRST.indexOf(relative(project.config.root, moduleId));
      return at < 0 ? FIRST.length : at;
    };
    const rest = await super.sort(files);
    return rest.toSorted((one, other) => rank(one) - rank(other));
  }
}
