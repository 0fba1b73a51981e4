import fc from "fast-check";
import { expect, test } from "vitest";
import { drawNemesis, type NemesisFault, type NemesisStep, runNemesis } from "../../src/testing/nemesis.ts";

const PEERS = ["a", "b", "c", "d", "e"];
const KINDS = "partition one-way lossy slow duplicating reordering client crash pause resume heal".split(" ");

function draw(seed: number, forMs: number): readonly NemesisStep[] {
  return drawNemesis({ seed, peers: PEERS, clients: ["one", "two"], forMs });
}

function sharesGroup(groups: readonly (readonly string[])[], one: string, other: string): boolean {
  return groups.some((group) => group.includes(one) && group.includes(other));
}

/** A supervisor that only writes down what it is told. */
function recorder() {
  const told: string[] = [];
  const note =
    (what: string) =>
    async (...args: readonly unknown[]) => {
      told.push([what, ...args.map((arg) => JSON.stringify(arg))].join(" "));
    };
  const peer = (id: string) => ({
    crash: note(`crash ${id}`),
    pause: note(`pause ${id}`),
    resume: note(`resume ${id}`),
  });
  const faults = Object.fromEntries(["partition", "link", "all", "client", "heal"].map((name) => [name, note(name)]));
  const supervisor = { peer, faults, peers: ["a", "b"].map(peer) } as unknown as Parameters<typeof runNemesis>[0];
  return { told, supervisor };
}

test("the same seed draws the same schedule, another seed another one", () => {
  expect(draw(1, 60_000)).toEqual(draw(1, 60_000));
  expect(draw(2, 60_000)).not.toEqual(draw(1, 60_000));
});

test("an hour has faults of every kind and partitions of every shape, in the order of time", () => {
  const steps = draw(1, 3_600_000);
  expect(new Set(steps.map(({ fault }) => fault.kind))).toEqual(new Set(KINDS));
  const shapes = steps.flatMap(({ fault }) => (fault.kind === "partition" ? [fault.shape] : []));
  expect(new Set(shapes)).toEqual(new Set(["halves", "one", "minority", "bridge", "ring"]));
  expect(steps.map(({ atMs }) => atMs)).toEqual(steps.map(({ atMs }) => atMs).sort((one, other) => one - other));
});

test("every partition keeps some two peers apart, and a ring leaves each a majority", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 2, max: 9 }), (seed, size) => {
      const peers = Array.from({ length: size }, (_, at) => `p${at}`);
      for (const { fault } of drawNemesis({ seed, peers, forMs: 60_000 })) {
        if (fault.kind !== "partition") continue;
        const { groups, shape } = fault;
        const rest = peers.filter((peer) => !groups.flat().includes(peer));
        const seen = peers.map((peer) => peers.filter((other) => sharesGroup([...groups, rest], peer, other)).length);
        expect(Math.min(...seen)).toBeLessThan(size);
        if (shape === "ring") expect(Math.min(...seen)).toBeGreaterThan(size / 2);
      }
    }),
    { numRuns: 50 },
  );
});

test("a pause is followed by the resumption of the same peers", () => {
  const steps = draw(3, 600_000);
  for (const { atMs, fault } of steps) {
    if (fault.kind !== "pause") continue;
    expect(steps).toContainEqual({ atMs: expect.toSatisfy((at) => at > atMs), fault: { ...fault, kind: "resume" } });
  }
});

test("a schedule of one peer without clients cuts nothing", () => {
  const kinds = drawNemesis({ seed: 1, peers: ["only"], forMs: 600_000 }).map(({ fault }) => fault.kind);
  expect(kinds).toContain("crash");
  expect(kinds).not.toContain("partition");
  expect(kinds).not.toContain("client");
});

test("the runner does what each fault says, and in the end heals and resumes all", async () => {
  const { told, supervisor } = recorder();
  const faults: NemesisFault[] = [
    { kind: "partition", shape: "one", groups: [["a"], ["b"]] },
    { kind: "one-way", from: ["a"], to: ["b"] },
    { kind: "slow", rule: { delayMs: [1, 2] } },
    { kind: "client", client: "one", reach: ["a"] },
    { kind: "crash", peers: ["a", "b"] },
    { kind: "pause", peers: ["a"] },
  ];
  const seen: NemesisFault[] = [];
  const steps = faults.map((fault) => ({ atMs: 0, fault }));
  await runNemesis(supervisor, steps, { onFault: (fault) => seen.push(fault) });
  expect(seen).toEqual(faults);
  expect(told).toEqual([
    ...['partition ["a"] ["b"]', 'link "a" "b" {"blocked":true}', 'all {"delayMs":[1,2]}', 'client "one" ["a"]'],
    ...["crash a", "crash b", "pause a", "heal", "resume a", "resume b"],
  ]);
});

test("an abort ends the wait for the next fault, and heals", async () => {
  const { told, supervisor } = recorder();
  const steps: NemesisStep[] = [{ atMs: 3_600_000, fault: { kind: "crash", peers: ["a"] } }];
  await runNemesis(supervisor, steps, { signal: AbortSignal.abort() });
  expect(told).toEqual(["heal", "resume a", "resume b"]);
});
