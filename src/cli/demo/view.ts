import type { PeerStatus } from "../../actors/board.ts";
import { type Snapshot, stripe, table } from "./table.ts";

/** Where a view writes: standard output, or what stands for it in a test. */
export interface Output {
  write(text: string): unknown;
  /** Of a terminal. */
  readonly columns?: number | undefined;
}

/** Shows what goes on. */
export interface View {
  /** Something happened, `seconds` after the start. */
  say(seconds: number, text: string): void;
  /** How things stand; called ten times a second. */
  show(snapshot: Snapshot): void;
  /** Nothing more is shown, and the output is as it was. */
  end(): void;
}

const LAST_EVENTS = 10;
const ROWS_AT_ONCE = 10;

/** A table on a terminal that is written over again and again, with the last events under it. */
export function liveView(output: Output, hasColours: boolean): View {
  const events: string[] = [];
  let height = 0;
  const hideCursor = "\x1b[?25l";
  const showCursor = "\x1b[?25h";
  output.write(hideCursor);
  return {
    say(seconds, text) {
      events.push(`${stamp(seconds)}  ${text}`);
      if (events.length > LAST_EVENTS) events.shift();
    },
    show(snapshot) {
      const lines = [...table(snapshot), "", ...events];
      const shown = lines.map((line, row) => paint(line.slice(0, (output.columns ?? 80) - 1), row, snapshot.peers));
      const up = height === 0 ? "" : `\x1b[${height}A`;
      output.write(`${up}\r\x1b[J${shown.join("\n")}\n`);
      height = lines.length;
    },
    end() {
      output.write(showCursor);
    },
  };

  function paint(line: string, row: number, peers: readonly PeerStatus[]): string {
    const colour = hasColours ? stripe(row, peers) : undefined;
    return colour === undefined ? line : `\x1b[${colour}m${line}\x1b[0m`;
  }
}

/** A line for each event, and one a second for how things stand. */
export function lineView(output: Output): View {
  let shows = 0;
  return {
    say(seconds, text) {
      output.write(`${stamp(seconds)}  ${text}\n`);
    },
    show(snapshot) {
      if (++shows % ROWS_AT_ONCE !== 0) return;
      const { seconds, peers, acked, perSecond } = snapshot;
      const applied = peers.map(({ id, state, role, lastApplied }) => {
        if (state !== "up") return `${id} ${state}`;
        return `${id}${role === "leader" ? "*" : ""} ${lastApplied}`;
      });
      output.write(`${stamp(seconds)}  ${acked} commands, ${perSecond}/s; applied: ${applied.join(", ")}\n`);
    },
    end() {},
  };
}

function stamp(seconds: number): string {
  return `${seconds.toFixed(3).padStart(7)} s`;
}
