import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import type { Snapshot } from "../../src/cli/demo/table.ts";
import { bytes } from "../../src/cli/demo/table.ts";
import { lineView, liveView } from "../../src/cli/demo/view.ts";

const follower = {
  role: "follower",
  currentTerm: 7,
  votedFor: "p1",
  leader: "p1",
  commitIndex: 123,
  lastApplied: 122,
  firstIndex: 1,
  lastIndex: 124,
  snapshotIndex: 0,
  logBytes: 45_678,
  incarnation: 2,
} as const;

const snapshot: Snapshot = {
  seconds: 1.5,
  step: "calm",
  peers: [
    { ...follower, id: "p1", state: "up", role: "leader" },
    { ...follower, id: "p2", state: "up" },
    { ...follower, id: "p3", state: "down" },
  ],
  acked: 900,
  unknown: 3,
  perSecond: 450,
  elections: 5,
};

function recorder(columns?: number) {
  const written: string[] = [];
  return { output: { write: (text: string) => written.push(text), columns }, text: () => written.join("") };
}

describe("the view in a pipe", () => {
  test("is a line an event, with its time", () => {
    const { output, text } = recorder();
    lineView(output).say(1.25, "p1 leads in term 2");
    expect(text()).toBe("  1.250 s  p1 leads in term 2\n");
  });

  test("says once a second how things stand, and never anything but text", () => {
    const { output, text } = recorder();
    const view = lineView(output);
    for (let shows = 0; shows < 20; shows++) view.show(snapshot);
    view.end();
    expect(text()).toBe("  1.500 s  900 commands, 450/s; applied: p1* 122, p2 122, p3 down\n".repeat(2));
  });
});

describe("the view on a terminal", () => {
  test("has a row a peer, with what it says of itself", () => {
    const { output, text } = recorder(120);
    const view = liveView(output, false);
    view.say(1, "p1 leads in term 7");
    view.show(snapshot);
    const shown = stripVTControlCharacters(text());
    expect(shown).toMatch(/^p1 +up +leader +7 +123 +122 +45\.7 kB +2$/m);
    expect(shown).toMatch(/^p3 +down +7 +123/m);
    expect(shown).toContain("900 commands, 450/s; 3 with unknown outcome; 5 elections");
    expect(shown).toContain("p1 leads in term 7");
  });

  test("is written over the one before, row for row", () => {
    const { output, text } = recorder(120);
    const view = liveView(output, false);
    view.show(snapshot);
    const height = text().split("\n").length - 1;
    view.show(snapshot);
    expect(text()).toContain(`\x1b[${height}A`);
  });

  test("keeps to the width of the terminal, since a broken row would be one more to write over", () => {
    const { output, text } = recorder(40);
    const view = liveView(output, true);
    view.say(1, "x".repeat(100));
    view.show(snapshot);
    const widths = stripVTControlCharacters(text())
      .split("\n")
      .map((line) => line.replace("\r", "").length);
    expect(Math.max(...widths)).toBe(39);
  });

  test("paints only where there are colours, and gives the cursor back", () => {
    const [plain, painted] = [recorder(120), recorder(120)];
    const views = [liveView(plain.output, false), liveView(painted.output, true)];
    for (const view of views) {
      view.show(snapshot);
      view.end();
    }
    expect(plain.text()).not.toContain("\x1b[32m");
    expect(painted.text()).toContain("\x1b[32mp1 ");
    expect(painted.text()).toContain("\x1b[31mp3 ");
    expect(painted.text().endsWith("\x1b[?25h")).toBe(true);
  });
});

test("sizes have units", () => {
  expect([bytes(999), bytes(1_500), bytes(2_340_000)]).toEqual(["999 B", "1.5 kB", "2.3 MB"]);
});
