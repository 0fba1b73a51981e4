import { describe, expect, it } from "vitest";
import { MUTANTS } from "./mutants.ts";
import { mutated } from "./plant.ts";

describe("the mutants", () => {
  it("are sixty at least, each with a name of its own", () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
    expect(MUTANTS.length).toBeGreaterThanOrEqual(60);
  });

  it.each(MUTANTS)("$name: its place in the source is there", (mutant) => {
    expect(mutated(mutant)).not.toBe("");
  });
});
