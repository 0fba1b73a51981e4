import type { Figure } from "./document.ts";

/** The value that `part` of the values, 0 to 1, do not exceed; NaN of none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

/** The middle value; of an even number of values the mean of the two in the middle. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}

/** What the runs gave, summed up. */
export function figure(runs: readonly number[]): Figure {
  return { median: median(runs), low: quantile(runs, 0), high: quantile(runs, 1), runs };
}

/** A figure for each name that the runs have; a run that lacks it, or has no finite number for it, is left out. */
export function figures(runs: readonly Readonly<Record<string, number | undefined>>[]): Record<string, Figure> {
  const names = new Set(runs.flatMap((run) => Object.keys(run)));
  const found: Record<string, Figure> = {};
  for (const name of names) {
    const values = runs.map((run) => run[name]).filter((value): value is number => Number.isFinite(value));
    if (values.length > 0) found[name] = figure(values);
  }
  return found;
}

/** A number for people: three digits that count, thousands apart. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  const [whole = "", part] = value.toFixed(value === 0 ? 0 : digits).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return part === undefined ? grouped : `${grouped}.${part}`;
}
