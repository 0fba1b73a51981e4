import type { LabColumns, Scenario } from "../../testing/lab/index.ts";

/** A run of a scenario: what it used, or why it failed. */
export type LabRun = { readonly seed: number } & ({ readonly columns: LabColumns } | { readonly error: Error });

const NAME_WIDTH = 60;
const NARROW = 8;
const WIDE = 10;

const COLUMNS = ["seconds", "rpcs", "bytes", "commands"] as const;

/** The two lines above the rows. */
export const HEADING: readonly string[] = [
  line("", "", "", ["seconds", ""], ["rpcs", ""], ["bytes", ""], ["commands", ""]),
  line("", "passed", "peers", ...COLUMNS.map(() => ["here", "MIT"] as const)),
];

/** The lab's columns: the median of the runs that passed beside MIT's figures. */
export function row({ name, peers, mit }: Scenario, runs: readonly LabRun[]): string {
  const passed = runs.flatMap((run) => ("columns" in run ? [run.columns] : []));
  const cells = COLUMNS.map((column) => {
    const ours = median(passed.map((columns) => columns[column]));
    return [cell(column, ours), cell(column, mit?.[column])] as const;
  });
  return line(name, `${passed.length}/${runs.length}`, String(peers), ...cells);
}

function cell(column: keyof LabColumns, value: number | undefined): string {
  if (value === undefined) return "-";
  return column === "seconds" ? value.toFixed(1) : String(value);
}

function line(name: string, passed: string, peers: string, ...pairs: readonly (readonly [string, string])[]): string {
  const figures = pairs.map((pair) => pair.map((text) => text.padStart(WIDE)).join(""));
  return `${name.padEnd(NAME_WIDTH)}${passed.padStart(NARROW)}${peers.padStart(NARROW)}${figures.join("")}`;
}

/** The lower of the two middle ones when there are two. */
function median(numbers: readonly number[]): number | undefined {
  return numbers.toSorted((a, b) => a - b)[Math.ceil(numbers.length / 2) - 1];
}
