import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { withLogs } from "../../src/cli/demo/logs.ts";
import { type RunOptions, run } from "../../src/cli/demo/run.ts";
import { STEPS } from "../../src/cli/demo/script.ts";
import { type Evidence, judge } from "../../src/cli/demo/verdict.ts";
import type { View } from "../../src/cli/demo/view.ts";

/** Nothing here is about how long anything takes, and the machine may be busy. */
const LONG_MS = 120_000;
const PEERS = ["p1", "p2", "p3", "p4", "p5"];

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "flotilla-demo-test-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Collects what is said; `onSay` hears it too. */
function listener(onSay: (text: string) => void = () => {}): View & { readonly said: string[]; shows: number } {
  const said: string[] = [];
  return {
    said,
    shows: 0,
    say(_seconds, text) {
      said.push(text);
      onSay(text);
    },
    show() {
      this.shows++;
    },
    end() {},
  };
}

function options(view: View, signal = new AbortController().signal): RunOptions {
  return { directory, seconds: 1, seed: 1, clients: 3, view, signal };
}

describe("a run of the demo", { timeout: LONG_MS }, () => {
  test("plays every fault, and leaves evidence in which nothing is wrong, nor would a fault be overlooked", async () => {
    const view = listener();
    const { evidence, figures, problems } = await run(options(view));
    expect(view.said).toEqual(expect.arrayContaining(STEPS.map(({ title }) => `--- ${title}`)));
    expect(view.shows).toBeGreaterThan(0);
    expect(problems).toEqual([]);
    expect(figures.acked).toBeGreaterThan(0);
    expect(figures.failovers.length).toBeGreaterThan(0);

    const verdict = (change: Partial<Evidence>) =>
      withLogs(directory, PEERS, (logs) => judge({ ...evidence, logs, ...change }));
    expect(await verdict({})).toEqual([]);
    const values = [...evidence.values].filter(([, value]) => value !== undefined);
    expect(await verdict({ values: new Map(values.slice(1)) })).not.toEqual([]);
    expect(await verdict({ values: new Map(values.map(([key, value]) => [key, `${value}${value}`])) })).not.toEqual([]);
  });

  test("that is ended early leaves nothing running, and the directory can be used at once", async () => {
    const interrupt = new AbortController();
    const view = listener((text) => text === "--- calm" && interrupt.abort());
    await expect(run(options(view, interrupt.signal))).rejects.toThrow("abort");
    const lengths = await withLogs(directory, PEERS, (logs) => logs.map(({ entries }) => [...entries].length));
    expect(Math.min(...lengths)).toBeGreaterThan(0);
  });
});
