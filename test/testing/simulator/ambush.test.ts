import { expect, it } from "vitest";
import { KeyValueMap } from "../../../src/machine/key-value.ts";
import type { Role } from "../../../src/raft/state.ts";
import { Ambush } from "../../../src/testing/simulator/ambush.ts";
import { CRASH_POINTS, type CrashPoint, rolesAt } from "../../../src/testing/simulator/crash-points.ts";
import { Draw } from "../../../src/testing/simulator/draw.ts";
import { drawPlan } from "../../../src/testing/simulator/plan.ts";
import { runPlan } from "../../../src/testing/simulator/run.ts";

const MAP = { createMachine: () => new KeyValueMap(), workload: undefined };
/** Some dozens do, whatever is changed. */
const MOST_SEEDS = 300;

/** Sees everybody who comes by, and lets all live. */
class Lookout extends Ambush {
  readonly seen = new Set<string>();

  override get isLaid(): boolean {
    return true;
  }

  override springs(point: CrashPoint, role: Role): boolean {
    this.seen.add(`${point} / ${role}`);
    return false;
  }
}

it("peers come to each crash point in each role in which they can, and in no other", { timeout: 300_000 }, async () => {
  // Nothing is made of a peer that opens its disk: nobody else sees it there.
  const points = CRASH_POINTS.filter((point) => point !== "idle" && !point.endsWith("opening"));
  const places = points.flatMap((point) => rolesAt(point).map((role) => `${point} / ${role}`)).sort();
  const lookout = new Lookout(new Draw("nobody"));
  for (let seed = 1; seed <= MOST_SEEDS && lookout.seen.size < places.length; seed++) {
    const plan = drawPlan(seed, { forMs: 10_000 });
    // Only those with what brings peers to unusual places.
    if (!plan.faults.some(({ kind }) => kind === "ambush")) continue;
    await runPlan(plan, MAP, { ambush: lookout });
  }
  expect([...lookout.seen].sort()).toEqual(places);
});
