import type { BenchResult, Figure } from "../document.ts";
import { groupBy } from "../group.ts";
import { type Axis, type Chart, drawChart, type Line } from "./svg.ts";

/** A chart as it was drawn. */
export interface DrawnChart {
  /** Fit for a file. */
  readonly name: string;
  readonly title: string;
  readonly svg: string;
}

/** What is drawn of the results; nothing of what was not measured. */
export function drawCharts(results: readonly BenchResult[]): DrawnChart[] {
  const charts = [
    ...overOutstanding(results),
    ...distributions(results, "latency", "Latencies in an open loop, from when a command was due"),
    ...distributions(results, "failover", "From the leader's loss to the next commit, all trials"),
    ...ways(results),
    ...growthCurves(results),
    ...restarts(results),
    ...distributions(results, "throughput", "Latencies in a closed loop"),
  ];
  return charts.flatMap((chart) => {
    const svg = drawChart(chart);
    const name = chart.title
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/-$/, "");
    return svg === undefined ? [] : [{ name, title: chart.title, svg }];
  });
}

const OUTSTANDING: Axis = { label: "commands outstanding", scale: "log" };

/** Throughput and latency, beside the pipeline without Raft and beside others: those with all else alike. */
function overOutstanding(results: readonly BenchResult[]): Chart[] {
  const rates = ["commits/s", "operations/s"];
  const found = results.filter(
    ({ bench, parameters }) =>
      ["throughput", "limit", "versus"].includes(bench) &&
      parameters["outstanding"] !== undefined &&
      parameters["operation"] !== "read",
  );
  const groups = groupBy(found, ({ parameters }) => {
    const { peers = 3, bytes = "?", durability = "disk" } = parameters;
    return `${peers} peers, ${bytes} B, durability "${durability}"`;
  });
  return groups.flatMap(([group, members]) => {
    const lines = (names: readonly string[]) =>
      // What was measured twice, as flotilla is for each comparison, is a line for each.
      groupBy(members, ({ bench, series }) => `${series} (${bench})`).map(([name, own]) => ({
        name,
        isDashed: !name.startsWith("flotilla"),
        points: pointsOf(own, "outstanding", names),
      }));
    return [
      {
        title: `Throughput over outstanding commands: ${group}`,
        x: OUTSTANDING,
        y: { label: "commits a second", scale: "log" as const },
        lines: lines(rates).filter(hasCurve),
      },
      {
        title: `Latency over outstanding commands, median: ${group}`,
        x: OUTSTANDING,
        y: { label: "ms", scale: "log" as const },
        lines: lines(["p50 ms"]).filter(hasCurve),
      },
    ];
  });
}

/** A single point of what others draw a curve of is noise on the page. */
function hasCurve({ points }: Line): boolean {
  return points.length > 1;
}

/** Percentiles far out are far apart: the axis counts how many go beyond. */
const BEYOND: Axis = {
  label: "part of the commands that is not slower",
  scale: "log",
  range: [1, 1e5],
  ticks: [
    { at: 1, text: "0" },
    { at: 2, text: "50 %" },
    { at: 10, text: "90 %" },
    { at: 100, text: "99 %" },
    { at: 1_000, text: "99.9 %" },
    { at: 10_000, text: "99.99 %" },
    { at: 100_000, text: "99.999 %" },
  ],
};
const MOST_LINES = 8;

/** Of one benchmark, the distributions: how slow how many are. */
function distributions(results: readonly BenchResult[], bench: string, title: string): Chart[] {
  const found = results.filter((result) => result.bench === bench && (result.distribution?.count ?? 0) > 0);
  // What all have in common need not be said of each.
  const names = [...new Set(found.flatMap(({ parameters }) => Object.keys(parameters)))];
  const telling = names.filter((name) => new Set(found.map(({ parameters }) => parameters[name])).size > 1);
  const lines = found.map((result): Line => {
    const { count = 0, quantiles = [] } = result.distribution ?? {};
    const what = telling.map((name) => `${name} ${result.parameters[name] ?? "-"}`).join(", ");
    return {
      name: what === "" ? result.series : what,
      points: quantiles
        // Beyond what one of so many is, there is only the greatest.
        .filter(([part]) => part < 1 && (1 - part) * count > 0.999)
        .map(([part, value]) => ({
          x: 1 / (1 - part),
          y: value,
          title: `${(part * 100).toFixed(3)} %: ${value.toPrecision(3)} ms`,
        })),
    };
  });
  return chunks(lines, MOST_LINES).map((some, at, all) => ({
    title: all.length > 1 ? `${title} (${at + 1} of ${all.length})` : title,
    x: BEYOND,
    y: { label: "ms", scale: "log" as const },
    lines: some,
  }));
}

function ways(results: readonly BenchResult[]): Chart[] {
  const found = results.filter(({ bench }) => bench === "reads");
  const lines = groupBy(found, ({ parameters }) => String(parameters["way"])).map(([name, own]) => ({
    name,
    points: pointsOf(own, "outstanding", ["reads/s", "calls/s"]),
  }));
  const compared = groupBy(
    results.filter(({ bench, parameters }) => bench === "versus" && parameters["operation"] === "read"),
    ({ series }) => series,
  ).map(([name, own]) => ({
    name: `${name}, linearizable (versus)`,
    isDashed: true,
    points: pointsOf(own, "outstanding", ["operations/s"]),
  }));
  return [
    {
      title: "Reads over outstanding reads",
      x: { label: "reads outstanding", scale: "log" },
      y: { label: "reads a second", scale: "log" },
      lines: [...lines, ...compared],
    },
  ];
}

function growthCurves(results: readonly BenchResult[]): Chart[] {
  const units: Readonly<Record<string, string>> = {
    log: "entries in the log",
    state: "keys in the state",
    peers: "peers",
    clients: "clients",
  };
  const found = results.filter(({ bench, parameters }) => bench === "growth" && parameters["size"] !== undefined);
  return groupBy(found, ({ parameters }) => String(parameters["part"])).flatMap(([part, members]) => {
    const x: Axis = { label: units[part] ?? part, scale: part === "peers" ? "linear" : "log" };
    const lines = (figure: string) =>
      groupBy(members, ({ series }) => series).map(([name, own]) => ({
        name,
        points: pointsOf(own, "size", [figure]),
      }));
    return [
      {
        title: `CPU a command over ${x.label}`,
        x,
        y: { label: "µs", scale: "linear" as const },
        lines: lines("CPU µs a command"),
      },
      {
        title: `Memory and files over ${x.label}`,
        x,
        y: { label: "MB", scale: "log" as const },
        lines: ["RSS MB", "disk MB"].flatMap((figure) =>
          lines(figure).map((line) => ({ ...line, name: `${line.name}: ${figure}`, isDashed: figure === "disk MB" })),
        ),
      },
    ];
  });
}

function restarts(results: readonly BenchResult[]): Chart[] {
  return [
    { part: "log", by: "entries", label: "entries in the log" },
    { part: "state", by: "keys", label: "keys in the state" },
  ].map(({ part, by, label }) => {
    const found = results.filter(({ bench, parameters }) => bench === "recovery" && parameters["part"] === part);
    return {
      title: `Restart of a peer over ${label}`,
      x: { label, scale: "log" as const },
      y: { label: "ms", scale: "log" as const },
      lines: groupBy(found, ({ parameters }) => `${parameters["machine"]} map`).flatMap(([name, own]) =>
        ["takes part ms", "applied all ms"].map((figure) => ({
          name: `${name}: ${figure.replace(" ms", "")}`,
          isDashed: figure === "takes part ms",
          points: pointsOf(own, by, [figure]),
        })),
      ),
    };
  });
}

/** The first figure of `names` that a result has, over one of its parameters. */
function pointsOf(results: readonly BenchResult[], parameter: string, names: readonly string[]): Line["points"] {
  return results
    .flatMap((result) => {
      const figure = names.map((name): Figure | undefined => result.figures[name]).find((one) => one !== undefined);
      if (figure === undefined) return [];
      return [{ x: Number(result.parameters[parameter]), y: figure.median, low: figure.low, high: figure.high }];
    })
    .sort((one, other) => one.x - other.x);
}

function chunks<Value>(values: readonly Value[], size: number): Value[][] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, at) => values.slice(at * size, (at + 1) * size));
}
