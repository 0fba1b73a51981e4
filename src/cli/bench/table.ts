import type { BenchResult, Figure } from "./document.ts";
import { short } from "./figures.ts";
import { groupBy } from "./group.ts";

/** Rows as text, columns as wide as they need; the first row is the heading. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows.map((row) => row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  ")).join("\n");
}

/**
 * Results of one benchmark: a table for those that have the same parameters. Medians, and of the first figure the spread
 * too.
 */
export function resultTables(results: readonly BenchResult[]): string {
  const groups = groupBy(results, ({ parameters }) => Object.keys(parameters).join());
  return groups.map(([, group]) => resultTable(group)).join("\n\n");
}

function resultTable(results: readonly BenchResult[]): string {
  const parameters = namesOf(results.map((result) => result.parameters));
  const figures = namesOf(results.map((result) => result.figures));
  const heading = ["", ...parameters, ...figures.flatMap((name, at) => (at === 0 ? [name, "spread"] : [name]))];
  const rows = results.map((result) => [
    result.series,
    ...parameters.map((name) => String(result.parameters[name] ?? "")),
    ...figures.flatMap((name, at) => {
      const found = result.figures[name];
      return at === 0 ? [medianOf(found), spreadOf(found)] : [medianOf(found)];
    }),
  ]);
  return table([heading, ...rows]);
}

function medianOf(figure: Figure | undefined): string {
  return figure === undefined ? "" : short(figure.median);
}

function spreadOf(figure: Figure | undefined): string {
  if (figure === undefined || figure.runs.length < 2) return "";
  return `${short(figure.low)}–${short(figure.high)}`;
}

/** In the order in which they first appear. */
function namesOf(records: readonly Readonly<Record<string, unknown>>[]): string[] {
  return [...new Set(records.flatMap((record) => Object.keys(record)))];
}
