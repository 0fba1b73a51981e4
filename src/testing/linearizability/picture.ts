import type { Operation } from "../history.ts";
import type { Violation } from "./check.ts";
import { describeOperation } from "./explain.ts";
import type { Model } from "./model.ts";

/** So many operations before the culprit are shown, and all that overlap with these. */
const SHOWN = 24;
const WIDTH = 1_200;
const MARGIN = 90;
const ROW = 44;
/** Of a text of 11 px, in px a character. */
const LETTER = 6.2;

const STYLE = `body{font:14px system-ui,sans-serif;margin:24px;color:#1c1c1c;background:#fff}
text{font:11px ui-monospace,monospace}svg{display:block;margin:8px 0 32px}
.ok{fill:#cfe3f7;stroke:#2f6ca3}.unknown{fill:#f1ead2;stroke:#9a7b16;stroke-dasharray:4 3}.late{fill:#ececec;stroke:#777}
.culprit{fill:#f9c9c4;stroke:#b3261e;stroke-width:2}.lane{stroke:#ddd}.end{stroke:#b3261e;stroke-dasharray:2 3}`;

/**
 * Draws illegal partitions as a page of HTML that needs nothing else: a row a client, a bar for each operation around
 * the one that cannot be explained, which is red. The numbers are the longest order that was found. Yellow bars are of
 * unknown outcome, grey ones had not returned yet.
 */
export function drawHistory<State, Input, Output>(
  violations: readonly Violation<Input, Output>[],
  model: Model<State, Input, Output>,
): string {
  const drawn = violations.map((violation) => section(violation, model as Model<never, Input, Output>));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Not linearizable</title><style>${STYLE}</style></head><body>
<h1>Not linearizable</h1>
<p>Time goes to the right. Numbers give the longest order of operations that was found to be possible. Without the
answer of the red one all is well. Dashed: of unknown outcome. Grey: not returned yet when the red one was.</p>
${drawn.join("\n")}
</body></html>
`;
}

function section<Input, Output>(violation: Violation<Input, Output>, model: Model<never, Input, Output>): string {
  const { partition, culprit, completed, prefix, order, state } = violation;
  const shown = around(violation);
  const hidden = prefix.length - shown.length;
  const place = new Map(order.map((operation, at) => [operation, at + 1]));
  const clients = [...new Set(shown.map(({ client }) => client))].sort(byClient);
  const end = culprit.return ?? culprit.call;
  const begin = Math.min(...shown.map(({ call, return: last }) => (last === undefined ? end : call)), culprit.call);
  const scale = (WIDTH - MARGIN - 20) / Math.max(1, (end - begin) * 1.05);
  const x = (time: number) => MARGIN + Math.max(0, time - begin) * scale;
  const height = clients.length * ROW + 30;

  const lanes = clients.map((client, at) => {
    const y = at * ROW + ROW;
    return `<line class="lane" x1="${MARGIN}" x2="${WIDTH}" y1="${y}" y2="${y}"/><text x="4" y="${y - 10}">client ${escaped(client)}</text>`;
  });
  const bars = shown.map((operation) => {
    const from = x(operation.call);
    const isOpen = operation.outcome !== "ok" || (operation.return ?? end) > end;
    const to = isOpen ? WIDTH - 4 : x(operation.return ?? end);
    const top = clients.indexOf(operation.client) * ROW + 14;
    const kind = operation === culprit ? "culprit" : operation.outcome !== "ok" ? "unknown" : isOpen ? "late" : "ok";
    const number = place.get(operation);
    const words = describeOperation(operation, model);
    const label = `${number === undefined ? "" : `${number}. `}${words}`;
    const width = Math.max(3, to - from);
    const fits = Math.max(4, Math.floor(width / LETTER));
    const text = label.length > fits ? `${label.slice(0, fits - 1)}…` : label;
    const title = `client ${operation.client}: ${label} (${operation.call} to ${operation.return ?? "?"} ns)`;
    return `<g><title>${escaped(title)}</title><rect class="${kind}" x="${from.toFixed(1)}" y="${top}" width="${width.toFixed(1)}" height="22" rx="3"/><text x="${(from + 3).toFixed(1)}" y="${top + 15}">${escaped(text)}</text></g>`;
  });
  const mark = `<line class="end" x1="${x(end).toFixed(1)}" x2="${x(end).toFixed(1)}" y1="4" y2="${height - 22}"/>`;
  return `<h2>${partition === undefined ? "" : `${escaped(partition)}: `}${escaped(describeOperation(culprit, model))}</h2>
<p>No order explains the first ${completed} answers. The longest that was found leaves the state <code>${escaped(state)}</code>.${hidden > 0 ? ` ${hidden} earlier operations are not shown.` : ""}</p>
<svg role="img" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" xmlns="http://www.w3.org/2000/svg">
${[...lanes, mark, ...bars].join("\n")}
<text x="${MARGIN}" y="${height - 6}">${begin} ns</text><text x="${x(end).toFixed(1)}" y="${height - 6}" text-anchor="end">${end} ns</text>
</svg>`;
}

/** The last operations of the prefix, and what overlaps with them; what is of unknown outcome only if the order has it. */
function around<Input, Output>({ prefix, culprit, order }: Violation<Input, Output>): Operation<Input, Output>[] {
  const ok = prefix.filter(({ outcome }) => outcome === "ok");
  const from = [...ok].sort((one, other) => (other.return ?? 0) - (one.return ?? 0))[SHOWN]?.return;
  const since = Math.min(from ?? Number.NEGATIVE_INFINITY, culprit.call);
  const used = new Set(order.slice(-SHOWN));
  return prefix.filter((operation) => {
    if (operation.outcome !== "ok") return operation.call >= since || used.has(operation);
    return (operation.return ?? 0) > since;
  });
}

function byClient(one: string | number, other: string | number): number {
  return typeof one === "number" && typeof other === "number" ? one - other : String(one) < String(other) ? -1 : 1;
}

function escaped(text: string | number): string {
  return String(text).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
