import { describe, expect, it } from "vitest";
import { blockedApp } from "../soak/blocked-app.ts";
import { exits } from "../soak/exits.ts";
import { sigkills } from "../soak/sigkills.ts";
import { supervisorDeaths } from "../soak/supervisor-deaths.ts";

// Short versions of the loops in test/soak; each throws when what it checks does not hold.

describe("an app", () => {
  it("that calls process.exit(7) under load ends with code 7, and does not hang", async () => {
    const figures = await exits({ times: 5, seed: 1, dist: false }, 20_000);
    expect(figures.acknowledged).toBeGreaterThan(0);
  });

  it("that is killed under load finds every acknowledged command when it starts again", async () => {
    const figures = await sigkills({ times: 3, seed: 1, dist: false });
    expect(figures["acknowledged, and there"]).toBeGreaterThan(0);
  });

  it("that blocks its thread for three seconds under load causes no election", async () => {
    const figures = await blockedApp({ times: 1, seed: 1, dist: false }, [1_000, 2_000]);
    expect(figures.acknowledged).toBeGreaterThan(0);
  });
});

describe("the death of the supervisor's thread under load", () => {
  it("settles every pending call, and the directory opens again in the same process", async () => {
    const figures = await supervisorDeaths({ times: 3, seed: 1, dist: false });
    expect(figures["acknowledged, and there"]).toBeGreaterThan(0);
  });
});
