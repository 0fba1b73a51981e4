import type { BenchDocument, BenchResult, Figure } from "../document.ts";
import { short } from "../figures.ts";
import { groupBy } from "../group.ts";
import { machineLine } from "../machine.ts";
import { drawCharts } from "./charts.ts";
import { escapeText } from "./svg.ts";

const STYLE = `body{font:15px/1.45 system-ui,sans-serif;margin:32px auto;max-width:1040px;padding:0 16px;color:#1c1c1c;background:#fff}
figure{margin:24px 0 36px}figcaption{font-weight:600;margin-bottom:6px}svg{width:100%;max-width:860px;display:block}
table{border-collapse:collapse;font-size:13px;margin:12px 0 20px;display:block;overflow-x:auto}
th,td{padding:3px 9px;text-align:right;border-bottom:1px solid #eee;white-space:nowrap}th{font-weight:600}
td:first-child,th:first-child{text-align:left}code{font:13px ui-monospace,monospace}.spread{color:#777}`;

/** A page of HTML that needs nothing else: charts, and below them all figures with their spread. */
export function drawReport(document: BenchDocument): string {
  const { machine, command, at, results, skipped } = document;
  const notes = [...new Set(results.flatMap((result) => result.notes ?? []))];
  const missing = skipped.map(({ bench, reason }) => `${bench} was not run: ${reason.split("\n")[0] ?? ""}`);
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>flotilla bench</title><style>${STYLE}</style></head><body>
<h1>flotilla bench</h1>
<p>${escapeText(at)}: <code>${escapeText(command)}</code><br>${escapeText(machineLine(machine))}<br>${escapeText(versions.join(", "))}</p>
<p>Points are medians of the runs, bars their spread. Numbers of one machine say little of another.</p>
${drawCharts(results)
  .map(({ title, svg }) => `<figure><figcaption>${escapeText(title)}</figcaption>\n${svg}</figure>`)
  .join("\n")}
<h2>All figures</h2>
${tables(results).join("\n")}
${[...notes, ...missing].map((note) => `<p>${escapeText(note)}</p>`).join("\n")}
</body></html>
`;
}

/** One for each benchmark and set of parameters. */
function tables(results: readonly BenchResult[]): string[] {
  const kindOf = ({ bench, parameters }: BenchResult) => `${bench}\n${Object.keys(parameters).join()}`;
  return groupBy(results, kindOf).map(([, group]) => {
    const parameters = Object.keys(group[0]?.parameters ?? {});
    const figures = [...new Set(group.flatMap((result) => Object.keys(result.figures)))];
    const heading = ["", ...parameters, ...figures].map((name) => `<th>${escapeText(name)}</th>`).join("");
    const rows = group.map((result) => {
      const cells = [result.series, ...parameters.map((name) => String(result.parameters[name] ?? ""))].map(
        (text) => `<td>${escapeText(text)}</td>`,
      );
      return `<tr>${cells.join("")}${figures.map((name) => figureCell(result.figures[name])).join("")}</tr>`;
    });
    return `<h3>${escapeText(group[0]?.bench ?? "")}</h3>\n<table><tr>${heading}</tr>\n${rows.join("\n")}</table>`;
  });
}

function figureCell(figure: Figure | undefined): string {
  if (figure === undefined) return "<td></td>";
  const { median, low, high, runs } = figure;
  const spread = runs.length > 1 ? ` <span class="spread">${short(low)}–${short(high)}</span>` : "";
  return `<td>${short(median)}${spread}</td>`;
}
