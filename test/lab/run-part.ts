import { randomInt } from "node:crypto";
import { describe, test } from "vitest";
import { runScenario, type Scenario, scenarios } from "../../src/testing/lab/index.ts";

/** FLOTILLA_LAB_SEED runs what failed again with the seed that the failure names. */
const { FLOTILLA_LAB_SEED: SEED } = process.env;

/** A little more than the scenario's own limit, which says more. */
const TIMEOUT_MS = 150_000;

/**
 * Declares a part of the lab, or those of its tests that are chosen, as tests that run side by side, as most of their time is
 * waiting.
 */
export function declarePart(part: Scenario["part"], isChosen = (_name: string) => true): void {
  describe.concurrent(`The lab's part ${part}`, { timeout: TIMEOUT_MS }, () => {
    for (const scenario of scenarios) {
      if (scenario.part !== part || !isChosen(scenario.name)) continue;
      test(`${scenario.name}: ${scenario.title}`, async () => {
        await runScenario(scenario, { seed: SEED === undefined ? randomInt(2 ** 32) : Number(SEED) });
      });
    }
  });
}
