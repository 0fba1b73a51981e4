import type { PeerStatus } from "../../actors/board.ts";

/** How things stand at one moment. */
export interface Snapshot {
  readonly seconds: number;
  /** What is being done to the cluster. */
  readonly step: string;
  readonly peers: readonly PeerStatus[];
  readonly acked: number;
  readonly unknown: number;
  /** Commands acknowledged within the last second. */
  readonly perSecond: number;
  readonly elections: number;
}

const HEAD_LINES = 3;

/** The lines of the live view: a row a peer, and the clients' figures. */
export function table(snapshot: Snapshot): string[] {
  const { seconds, step, peers, acked, unknown, perSecond, elections } = snapshot;
  const rows = peers.map((peer) => [
    peer.id,
    peer.state,
    peer.state === "up" ? peer.role : "",
    String(peer.currentTerm),
    String(peer.commitIndex),
    String(peer.lastApplied),
    bytes(peer.logBytes),
    String(peer.incarnation),
  ]);
  return [
    `flotilla demo ${seconds.toFixed(1).padStart(5)} s   ${step}`,
    "",
    columns(["peer", "state", "role", "term", "commit", "applied", "log", "start"]),
    ...rows.map(columns),
    "",
    `${acked} commands, ${perSecond}/s; ${unknown} with unknown outcome; ${elections} elections`,
  ];
}

/** The colour of a row of the table, as an SGR code: the leader's is green, that of a peer that is not up red. */
export function stripe(row: number, peers: readonly PeerStatus[]): number | undefined {
  const peer = peers[row - HEAD_LINES];
  if (peer === undefined) return undefined;
  if (peer.state !== "up") return 31;
  return peer.role === "leader" ? 32 : undefined;
}

const WIDTHS = [6, 9, 14];
const NUMBER_WIDTH = 10;

function columns(cells: readonly string[]): string {
  return cells
    .map((cell, at) => {
      const width = WIDTHS[at];
      return width === undefined ? cell.padStart(NUMBER_WIDTH) : cell.padEnd(width);
    })
    .join("");
}

/** With a unit. */
export function bytes(count: number): string {
  if (count < 1_000) return `${count} B`;
  return count < 1_000_000 ? `${(count / 1_000).toFixed(1)} kB` : `${(count / 1_000_000).toFixed(1)} MB`;
}
