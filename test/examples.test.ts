import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import fc from "fast-check";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import Inventory, { type Command } from "../examples/inventory-machine.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TSX = import.meta.resolve("tsx");

function pathOf(example: string): string {
  return join(ROOT, "examples", example);
}

/** The tsconfig that gives the package's name the meaning of what its source is compiled to, as a user of the package has it. */
const env = { ...process.env, TSX_TSCONFIG_PATH: fileURLToPath(new URL("tsconfig.json", inject("built"))) };

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "flotilla-examples-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

// Those that the README shows are run by package.test.ts, from the package as it is published.
describe("the example", () => {
  test.each([
    ["check-history.ts", /^120 calls: ok\n$/],
    [
      "simulate.ts",
      /^seed \d+: p\d .*the full replay .* entry \d+: .*\nflotilla simulate .* --seeds (\d+)\.\.\1 --for \d+ms/m,
    ],
    [
      "key-value.ts",
      /^of two, 1 sold apples\nthe log says: sold \nstock\/pears is 5, stock\/apples is gone\nstock\/pears 5\n$/,
    ],
    ["ledger.ts", /^refused: .*bob would have -10.*\nafter a crash: \{ ann: 30, bank: -50, bob: 20 \}\n$/],
    ["lab-rejoin.ts", /^applied the lost command: 0 peers\n$/],
    [
      "one-command.ts",
      /^the leader has it in its log\na majority has it on disk, and the leader has applied it\np1, p2, p3 have applied it\n$/,
    ],
    [
      "inventory.ts",
      /^6 bolts are left\nrefused, on every peer alike: .*there are 6 of bolt, not 7\nthe old leader is back\n6 bolts are left\n$/,
    ],
  ])("%s prints what it should", async (example, printed) => {
    const args = ["--import", TSX, pathOf(example)];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: await temporaryFolder(), env });
    expect(stderr).toBe("");
    expect(stdout).toMatch(printed);
  });

  test("metrics.ts serves what Prometheus can read, and ends when it is told to", async () => {
    const child = spawn(process.execPath, ["--import", TSX, pathOf("metrics.ts"), "0"], {
      cwd: await temporaryFolder(),
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => {
      child.kill("SIGKILL");
    });
    const exited = new Promise<unknown>((resolve) => child.once("exit", (code, signal) => resolve(signal ?? code)));
    const url = await new Promise<string>((resolve) => createInterface(child.stdout).once("line", resolve));
    const scrape = async () => {
      const response = await fetch(url);
      expect(response.headers.get("content-type")).toMatch(/^text\/plain/);
      return (await response.text()).split("\n");
    };
    await scrape();
    const lines = await scrape();
    for (const line of lines.filter((line) => line !== "" && !line.startsWith("# "))) {
      expect(line).toMatch(/^[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [-+\d.e]+$/);
    }
    expect(lines).toContain('flotilla_proposals_total{outcome="ok"} 1');
    expect(lines).toContain("# TYPE flotilla_propose_duration_seconds histogram");
    expect(lines.some((line) => /^flotilla_propose_duration_seconds_bucket\{le="\+Inf"\} 0$/.test(line))).toBe(true);
    expect(lines.filter((line) => /^flotilla_peer_role\{peer="p\d",role="leader"\} 1$/.test(line))).toHaveLength(1);
    child.kill("SIGTERM");
    expect(await exited).toBe(0);
  });
});

test("the example opentelemetry.ts exports every metric that there is", async () => {
  const args = ["--import", TSX, pathOf("opentelemetry.ts")];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: await temporaryFolder(), env });
  expect(stderr).toBe("");
  const exported = [...stdout.matchAll(/ name: '(flotilla_\w+)'/g)].map(([, name]) => name);
  const source = await readFile(join(ROOT, "src/actors/metrics.ts"), "utf8");
  const known = [...source.matchAll(/"(flotilla_\w+)"/g)].map(([, name]) => name);
  expect(exported.sort()).toEqual(known.sort());
  const block = (name: string) => stdout.split(/^\{$/m).find((part) => part.includes(`'${name}'`));
  expect(block("flotilla_proposals_total")).toMatch(
    /attributes: \{ outcome: 'ok' \},\s+startTime.*\s+endTime.*\s+value: 1\n/,
  );
  expect(block("flotilla_propose_duration_seconds")).toMatch(/attributes: \{ outcome: 'ok' \}[\s\S]* count: 1\n/);
});

const AT = { index: 1, term: 1, time: 0 };
const commands = fc.array(
  fc.record({
    op: fc.constantFrom("receive" as const, "ship" as const),
    item: fc.constantFrom("bolt", "écrou", "ナット"),
    count: fc.integer({ min: 1, max: 100 }),
  }),
);

function applyAll(machine: Inventory, list: readonly Command[]): void {
  for (const command of list) {
    try {
      machine.apply(command, AT);
    } catch {
      // A refusal, the same wherever the command is applied.
    }
  }
}

/** The bytes of a snapshot, cut anew every `size` bytes, as a peer does. */
function recut(chunks: Iterable<Uint8Array>, size: number): Uint8Array[] {
  const bytes = Buffer.concat([...chunks]);
  return Array.from({ length: Math.ceil(bytes.byteLength / size) }, (_, at) =>
    bytes.subarray(at * size, (at + 1) * size),
  );
}

describe("the state machine of the guide", () => {
  test("comes back from a snapshot that was pulled while further commands were applied", () => {
    fc.assert(
      fc.property(commands, commands, fc.integer({ min: 1, max: 50 }), (before, after, size) => {
        const machine = new Inventory();
        applyAll(machine, before);
        const view = machine.snapshot();
        applyAll(machine, after);
        const restored = new Inventory();
        restored.restore(recut(view, size));

        const expected = new Inventory();
        applyAll(expected, before);
        for (const item of ["bolt", "écrou", "ナット"]) expect(restored.query({ item })).toBe(expected.query({ item }));
      }),
    );
  });

  test("keeps its state when a snapshot cannot be read", () => {
    const machine = new Inventory();
    machine.apply({ op: "receive", item: "bolt", count: 3 }, AT);
    expect(() => machine.restore([Buffer.from('{"item":"bolt"}\nno JSON\n')])).toThrow();
    expect(machine.query({ item: "bolt" })).toBe(3);
  });
});
