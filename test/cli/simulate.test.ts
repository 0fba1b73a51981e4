import { expect, it, vi } from "vitest";
import { simulateSeeds } from "../../src/cli/simulate.ts";
import { UsageError } from "../../src/cli/usage.ts";

it.each([
  ["--seeds 5..4", '--seeds: there is no seed in "5..4"'],
  ["--seeds all", '--seeds: expected a range such as 1..100, got "all"'],
  ["--for ever", '--for: expected a time such as 500ms, 90s or 10m, got "ever"'],
  ["--for 0ms", "forMs: expected a number of milliseconds from 1 to 86400000, got 0"],
  ["--until never", '--until: expected a time such as 500ms, 90s or 10m, got "never"'],
  [
    "--seeds 1..1 --until 2m",
    "reduction.untilMs: expected a number of milliseconds from 1 to forMs, which is 60000, got 120000",
  ],
  ["--peers 8", '--peers: expected a number from 1 to 7, got "8"'],
  ["--keep first", '--keep: expected places such as 0,4, or none, got "first"'],
  ["--machine nowhere.ts", '--machine: there is no file "nowhere.ts"'],
  ["--quiet", "reduction: expected a single seed with it, got [ 1, 100 ]"],
])("simulate %s is refused", async (args, message) => {
  const error: unknown = await simulateSeeds(args.split(" ")).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UsageError);
  expect((error as Error).message).toBe(message);
});

it("simulate --json says what was played", async () => {
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  try {
    expect(await simulateSeeds(["--seeds", "1..2", "--for", "500ms", "--threads", "0", "--json"])).toBe(0);
    const report = JSON.parse(String(write.mock.calls[0]?.[0]));
    expect(report).toMatchObject({ seeds: 2, failures: [] });
    expect(report.seconds).toBeGreaterThan(1);
  } finally {
    write.mockRestore();
  }
});
