import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import type { BenchDocument, BenchResult, Figure } from "../../../src/cli/bench/document.ts";
import { drawCharts } from "../../../src/cli/bench/report/charts.ts";
import { drawReport } from "../../../src/cli/bench/report/page.ts";
import { flotilla } from "../../../src/cli/commands.ts";

const figure = (median: number): Figure => ({ median, low: median / 2, high: median * 2, runs: [1, 2, 3] });
const LOAD = { peers: 3, bytes: 256, durability: "disk" };
const DISTRIBUTION = {
  unit: "ms",
  count: 10_000,
  quantiles: [
    [0, 0.1],
    [0.5, 1],
    [0.99, 3],
    [0.9999, 9],
    [0.99999, 11],
    [1, 12],
  ],
} as const;

function over(bench: string, series: string, name: string, values: readonly number[]): BenchResult[] {
  return values.map((value, at) => ({
    bench,
    series,
    parameters: { ...LOAD, outstanding: [1, 64, 1_000][at] ?? 0 },
    figures: { [name]: figure(value), "p50 ms": figure(at + 0.4) },
  }));
}

const DOCUMENT: BenchDocument = {
  format: 1,
  at: "2026-01-02T03:04:05.678Z",
  command: "flotilla bench --quick",
  machine: {
    cpu: "A <fast> one",
    cores: 2,
    memoryGib: 4,
    system: "Linux 6",
    disk: "ext4",
    load: 0.1,
    versions: { node: "v20.20.2", flotilla: "0.1.0", lmdb: "3.5.6" },
    flags: [],
  },
  results: [
    ...over("throughput", "flotilla", "commits/s", [1_500, 60_000, 250_000]),
    ...over("limit", "bare pipeline", "commits/s", [1_700, 76_000, 370_000]),
    ...over("versus", "etcd 3.4.23", "operations/s", [1_500, 11_700, 16_700]),
    { bench: "latency", series: "flotilla", parameters: { rate: 1_000 }, figures: {}, distribution: DISTRIBUTION },
    { bench: "failover", series: "flotilla", parameters: { fault: "crash" }, figures: {}, distribution: DISTRIBUTION },
    ...[100, 1_000].map((size) => ({
      bench: "growth",
      series: "flotilla",
      parameters: { part: "log", size },
      figures: { "CPU µs a command": figure(8), "RSS MB": figure(200), "disk MB": figure(size) },
      notes: ["Some & such."],
    })),
    { bench: "recovery", series: "flotilla", parameters: { part: "install" }, figures: { "MB/s": figure(Number.NaN) } },
  ],
  skipped: [{ bench: "versus", reason: "ra-one-node: ra is not installed" }],
};

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "flotilla-report-test-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("the limit, the others and flotilla itself are lines of one chart", () => {
  const [throughput, latency] = drawCharts(DOCUMENT.results);
  for (const chart of [throughput, latency]) {
    expect(chart?.title).toContain('3 peers, 256 B, durability "disk"');
    expect(chart?.svg.match(/<polyline/g)).toHaveLength(3);
    for (const name of ["flotilla (throughput)", "bare pipeline (limit)", "etcd 3.4.23 (versus)"]) {
      expect(chart?.svg).toContain(name);
    }
  }
});

test("a distribution shows no part of the commands that so few commands cannot tell of", () => {
  const chart = drawCharts(DOCUMENT.results).find(({ title }) => title.startsWith("Latencies in an open loop"));
  expect(chart?.svg).toContain("99.990 %: 9.00 ms");
  expect(chart?.svg).not.toContain("99.999 %: 11.0 ms");
});

test("no chart holds a place that is no number, and every name of a chart is another", () => {
  const drawn = drawCharts(DOCUMENT.results);
  expect(drawn.length).toBeGreaterThan(5);
  expect(new Set(drawn.map(({ name }) => name)).size).toBe(drawn.length);
  for (const { svg, name } of drawn) {
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(name).toMatch(/^[a-z0-9-]+$/);
  }
});

test("what was not measured is not drawn", () => {
  expect(drawCharts([])).toEqual([]);
  expect(drawReport({ ...DOCUMENT, results: [] })).toContain("</html>");
});

test("the page asks for nothing over the network, and escapes what it shows", () => {
  const page = drawReport(DOCUMENT);
  expect(page.replaceAll('xmlns="http://www.w3.org/2000/svg"', "")).not.toMatch(/https?:|<script|<link|<img|url\(/);
  expect(page).toContain("A &#60;fast&#62; one");
  expect(page).toContain("Some &#38; such.");
  expect(page).toContain("versus was not run: ra-one-node: ra is not installed");
  expect(page).not.toMatch(/NaN|undefined/);
});

test("--from draws what --json wrote, and the report's own results draw the same again", async () => {
  const write = vi.spyOn(process.stdout, "write").mockImplementation(() => true);
  onTestFinished(() => write.mockRestore());
  const [file, report, again] = [join(folder(), "results.json"), join(folder(), "report"), join(folder(), "again")];
  writeFileSync(file, JSON.stringify(DOCUMENT));
  expect(await flotilla(["bench", "--from", file, "--report", report])).toBe(0);
  expect(await flotilla(["bench", "--from", join(report, "results.json"), "--report", again])).toBe(0);
  const names = readdirSync(report);
  expect(names).toContain("index.html");
  expect(names.filter((name) => name.endsWith(".svg"))).toHaveLength(drawCharts(DOCUMENT.results).length);
  for (const name of names)
    expect(readFileSync(join(again, name), "utf8")).toBe(readFileSync(join(report, name), "utf8"));
});

test("--from takes nothing else", async () => {
  const file = join(folder(), "other.json");
  writeFileSync(file, '{"format":2}');
  await expect(flotilla(["bench", "--from", file, "--report", folder()])).rejects.toThrow("was not written by --json");
  await expect(flotilla(["bench", "--from", file])).rejects.toThrow("--report is missing");
  writeFileSync(file, '{"format":1,"results":[]}');
  await expect(flotilla(["bench", "--from", file, "--report", folder()])).rejects.toThrow("was not written by --json");
  writeFileSync(file, JSON.stringify(DOCUMENT));
  for (const extra of ["throughput", "--quick", "--seconds=3"]) {
    const name = extra.replace(/=.*/, "");
    const drawn = flotilla(["bench", extra, "--from", file, "--report", folder()]);
    await expect(drawn).rejects.toThrow(`it goes with --report alone, not ${name}`);
  }
  await expect(flotilla(["bench", "--from", join(folder(), "none"), "--report", folder()])).rejects.toThrow("ENOENT");
});
