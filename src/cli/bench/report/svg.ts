/** A line of a chart. */
export interface Line {
  readonly name: string;
  /** Ascending in x. */
  readonly points: readonly Point[];
  /** Dashed ones are not measured of the thing itself: a limit, another one. */
  readonly isDashed?: boolean;
}

interface Point {
  readonly x: number;
  readonly y: number;
  /** The spread of `y` over the runs. */
  readonly low?: number;
  readonly high?: number;
  /** What the reader's pointer is told. */
  readonly title?: string;
}

/** How numbers become places. A logarithmic axis has no place for what is not greater than 0. */
export interface Axis {
  readonly label: string;
  readonly scale: "linear" | "log";
  /** Where lines are drawn, and what is written there; by default round numbers. */
  readonly ticks?: readonly { readonly at: number; readonly text: string }[];
  /** Default: the least and the greatest value there is; a linear axis begins at 0. */
  readonly range?: readonly [number, number];
}

/** A chart with lines. */
export interface Chart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
}

const WIDTH = 720;
const HEIGHT = 400;
const LEFT = 74;
const RIGHT = 14;
const TOP = 14;
const BOTTOM = 46;
const LEGEND_ROW = 18;
/** Told apart by people who see no red or no green, too (after Okabe and Ito). */
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#555555"];

/** In the drawing itself, so that it can be shown by itself. */
const STYLE = "text{font:12px system-ui,sans-serif;fill:#333}.label{font-weight:600}.grid{stroke:#e3e3e3}";

/**
 * Draws a chart as SVG that needs nothing else, with what its lines are below. Its title is what a screen reader says.
 * @returns undefined when there is nothing to draw.
 */
export function drawChart({ title, x, y, lines }: Chart): string | undefined {
  const drawn = lines
    .map((line) => ({ ...line, points: line.points.filter((point) => isOnAxis(x, point.x) && isOnAxis(y, point.y)) }))
    .filter(({ points }) => points.length > 0);
  const all = drawn.flatMap(({ points }) => points);
  if (all.length === 0) return undefined;
  const across = place(
    x,
    rangeOf(
      x,
      all.map((point) => point.x),
    ),
    LEFT,
    WIDTH - RIGHT,
  );
  const heights = all.flatMap(({ y: value, low = value, high = value }) => [value, low, high]);
  const up = place(
    y,
    rangeOf(
      y,
      heights.filter((value) => isOnAxis(y, value)),
    ),
    HEIGHT - BOTTOM,
    TOP,
  );
  const body = [
    ...across.ticks.map(({ at, text }) => verticalTick(across.at(at), text)),
    ...up.ticks.map(({ at, text }) => horizontalTick(up.at(at), text)),
    `<text class="label" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${escapeText(x.label)}</text>`,
    `<text class="label" transform="translate(14 ${(HEIGHT - BOTTOM + TOP) / 2}) rotate(-90)" text-anchor="middle">${escapeText(y.label)}</text>`,
    ...drawn.map((line, at) => drawLine(line, COLORS[at % COLORS.length] ?? "#000", across.at, up.at, y)),
    ...drawn.map((line, at) => legend(line, COLORS[at % COLORS.length] ?? "#000", HEIGHT + at * LEGEND_ROW)),
  ];
  const height = HEIGHT + drawn.length * LEGEND_ROW + 6;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeText(title)}">
<style>${STYLE}</style><rect width="${WIDTH}" height="${height}" fill="#fff"/>
${body.join("\n")}
</svg>
`;
}

/** Text as it may stand in HTML, in quotes too. */
export function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

function isOnAxis({ scale }: Axis, value: number): boolean {
  return Number.isFinite(value) && (scale === "linear" || value > 0);
}

function rangeOf({ scale, range }: Axis, values: readonly number[]): readonly [number, number] {
  if (range !== undefined) return range;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (scale === "linear") return [Math.min(0, low), high > 0 ? high * 1.05 : 1];
  // One value alone is drawn in the middle.
  return low === high ? [low / 2, high * 2] : [low / 1.15, high * 1.15];
}

function place(axis: Axis, [low, high]: readonly [number, number], from: number, to: number) {
  const measure = axis.scale === "log" ? Math.log : (value: number) => value;
  const factor = (to - from) / (measure(high) - measure(low) || 1);
  const at = (value: number) => round(from + (measure(value) - measure(low)) * factor);
  const ticks = axis.ticks ?? (axis.scale === "log" ? logTicks(low, high) : linearTicks(low, high));
  return { at, ticks: ticks.filter((tick) => tick.at >= low * 0.999 && tick.at <= high * 1.001) };
}

function linearTicks(low: number, high: number) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((part) => part * power).find((candidate) => candidate >= rough) ?? rough;
  const ticks: { at: number; text: string }[] = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) ticks.push({ at, text: tickText(at) });
  return ticks;
}

function logTicks(low: number, high: number) {
  const ticks: { at: number; text: string }[] = [];
  const parts = high / low > 200 ? [1] : [1, 2, 5];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const part of parts) ticks.push({ at: part * 10 ** power, text: tickText(part * 10 ** power) });
  }
  return ticks;
}

function tickText(value: number): string {
  const rounded = Number(value.toPrecision(4));
  if (Math.abs(rounded) >= 1e6) return `${rounded / 1e6}M`;
  return Math.abs(rounded) >= 1e4 ? `${rounded / 1e3}k` : String(rounded);
}

function verticalTick(x: number, text: string): string {
  return `<line class="grid" x1="${x}" x2="${x}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/><text x="${x}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${escapeText(text)}</text>`;
}

function horizontalTick(y: number, text: string): string {
  return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"/><text x="${LEFT - 6}" y="${y + 4}" text-anchor="end">${escapeText(text)}</text>`;
}

function drawLine(
  { name, points, isDashed = false }: Line,
  color: string,
  across: (value: number) => number,
  up: (value: number) => number,
  axis: Axis,
): string {
  const path = points.map(({ x, y }) => `${across(x)},${up(y)}`).join(" ");
  const dashes = isDashed ? ' stroke-dasharray="6 4"' : "";
  const spreads = points.flatMap(({ x, low, high }) =>
    low === undefined || high === undefined || low === high || !isOnAxis(axis, low)
      ? []
      : [`<line stroke="${color}" x1="${across(x)}" x2="${across(x)}" y1="${up(low)}" y2="${up(high)}"/>`],
  );
  const dots = points.map(({ x, y, title }) => {
    const told = title ?? `${name}: ${tickText(x)}, ${tickText(y)}`;
    return `<circle fill="${color}" cx="${across(x)}" cy="${up(y)}" r="3"><title>${escapeText(told)}</title></circle>`;
  });
  return `<polyline fill="none" stroke="${color}" stroke-width="2"${dashes} points="${path}"/>${spreads.join("")}${dots.join("")}`;
}

function legend({ name, isDashed = false }: Line, color: string, y: number): string {
  const dashes = isDashed ? ' stroke-dasharray="6 4"' : "";
  return `<line stroke="${color}" stroke-width="2"${dashes} x1="${LEFT}" x2="${LEFT + 26}" y1="${y}" y2="${y}"/><text x="${LEFT + 34}" y="${y + 4}">${escapeText(name)}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
