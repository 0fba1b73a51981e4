import type { Figures } from "./figures.ts";
import type { Evidence } from "./verdict.ts";

const MOST_PROBLEMS = 20;

/** The last lines of the demo: what was checked, the figures, and whether all is well. */
export function report(
  { peers }: Pick<Evidence, "peers">,
  figures: Figures,
  seconds: number,
  problems: readonly string[],
): string {
  const { acked, unknown, elections, crashes, failovers, medianFailoverMs } = figures;
  const rate = Math.round(acked / seconds);
  const slowest = Math.max(...failovers);
  const failover =
    medianFailoverMs === undefined
      ? "no leader died"
      : `${failovers.length} leaders died; from the death of the thread to the next acknowledged command ` +
        `${medianFailoverMs.toFixed(1)} ms at the median, ${slowest.toFixed(1)} at most`;
  const figureLines = [
    `${acked} commands acknowledged in ${seconds.toFixed(1)} s, ${rate} a second; ${unknown} with unknown outcome`,
    `${elections} elections, ${crashes} killed threads`,
    failover,
  ];
  const [first] = peers;
  const verdict =
    problems.length === 0
      ? [
          `every acknowledged command is there once and in order; none of unknown outcome is there twice`,
          `all ${peers.length} logs on disk agree; all ${peers.length} peers have applied ${first?.lastApplied} entries ` +
            `and have the state ${first?.digest.slice(0, 16)}`,
          "PASSED",
        ]
      : [
          ...problems.slice(0, MOST_PROBLEMS).map((problem) => `wrong: ${problem}`),
          ...(problems.length > MOST_PROBLEMS ? [`and ${problems.length - MOST_PROBLEMS} more`] : []),
          "FAILED",
        ];
  return `\n${[...figureLines, ...verdict].join("\n")}\n`;
}
