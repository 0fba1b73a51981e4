import { cpus, release, totalmem } from "node:os";
import { performance } from "node:perf_hooks";

/** What a figure was measured on; every report begins with it. */
export function machine(): string {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${cpu?.model.trim() ?? "unknown CPU"}, ${memory} GiB, Linux ${release()}, Node ${process.version}`;
}

/** What a stretch of time took. */
export interface Span {
  readonly seconds: number;
  /** Of all threads of this process, in seconds of one core. */
  readonly cpuSeconds: number;
}

/** Starts a clock; the function stops it. */
export function startSpan(): () => Span {
  const from = performance.now();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return { seconds: (performance.now() - from) / 1e3, cpuSeconds: (user + system) / 1e6 };
  };
}

/** The value that `part` of the values, 0 to 1, do not exceed; NaN of none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}

/** A list of numbers as it is given on the command line. @throws Error that quotes what is no positive number. */
export function numbers(list: string): number[] {
  return list.split(",").map((text) => {
    const value = Number(text);
    if (!(value > 0)) throw new Error(`"${text}" is no positive number`);
    return value;
  });
}

/** A table with columns as wide as they need. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows.map((row) => row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  ")).join("\n");
}
