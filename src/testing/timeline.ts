import { performance } from "node:perf_hooks";
import type { PeerStatus } from "../actors/board.ts";
import type { ClusterEvent } from "../actors/protocol.ts";
import type { Supervisor } from "../actors/supervisor.ts";
import type { PeerId } from "../raft/message.ts";

/** How often the peers are looked at: what has come and gone between two looks is not seen. */
const LOOK_EVERY_MS = 5;

const TIME_WIDTH = 10;
const COLUMN_WIDTH = 24;

/** Any cluster; of one made by `spawnCluster` it is shown too who is cut off. */
export type Observed = Supervisor & { readonly connected?: ReadonlySet<PeerId> };

/**
 * Writes what happens in a cluster as a timeline with a column a peer, one line a happening, until the cluster stops.
 * Elections won, crashes, starts and snapshots come from its events, and with the option `trace` all that is applied;
 * roles, terms, votes, appended and committed entries from looking at the peers' status every few milliseconds. The
 * seconds count from the call.
 */
export async function timeline(cluster: Observed, write: (line: string) => void): Promise<void> {
  const begin = performance.now();
  const ids = cluster.peers.map(({ id }) => id);
  const seen = new Map<PeerId, PeerStatus>();
  const cutOff = new Set<PeerId>();

  const say = (id: PeerId, text: string) => {
    const time = ((performance.now() - begin) / 1_000).toFixed(3).padEnd(TIME_WIDTH);
    write(time + " ".repeat(Math.max(0, ids.indexOf(id)) * COLUMN_WIDTH) + text);
  };
  const look = async () => {
    for (const status of await Promise.all(cluster.peers.map((peer) => peer.status()))) {
      const before = seen.get(status.id);
      seen.set(status.id, status);
      for (const text of changes(before, status)) say(status.id, text);
    }
    for (const id of ids) {
      const isCutOff = cluster.connected?.has(id) === false;
      if (isCutOff === cutOff.has(id)) continue;
      if (isCutOff) cutOff.add(id);
      else cutOff.delete(id);
      say(id, isCutOff ? "-- cut off" : "-- connected");
    }
  };

  write("seconds".padEnd(TIME_WIDTH) + ids.map((id) => id.padEnd(COLUMN_WIDTH)).join(""));
  const events = cluster.events({ maxUnread: Number.POSITIVE_INFINITY });
  const looking = setInterval(look, LOOK_EVERY_MS);
  try {
    for await (const event of events) {
      // What an event follows from goes before it.
      await look();
      const text = describe(event);
      if (text !== undefined) say(event.peer, text);
    }
  } finally {
    clearInterval(looking);
  }
}

/** What a peer's status says that it did not say before. */
function changes(before: PeerStatus | undefined, now: PeerStatus): string[] {
  if (now.state !== "up" && now.state !== "paused") return [];
  const texts: string[] = [];
  const isInNewTerm = now.currentTerm !== before?.currentTerm;
  // Who becomes a leader is an event, but may have been one before.
  if (before === undefined && now.role === "leader") texts.push(`leader, term ${now.currentTerm}`);
  if (now.role !== "leader" && (isInNewTerm || now.role !== before?.role)) {
    texts.push(`${now.role}, term ${now.currentTerm}`);
  }
  if (now.votedFor !== undefined && (isInNewTerm || now.votedFor !== before?.votedFor)) {
    texts.push(`votes for ${now.votedFor}`);
  }
  const last = before?.lastIndex ?? 0;
  if (now.lastIndex < last) texts.push(`cuts ${range(now.lastIndex + 1, last)}`);
  const first = Math.max(last + 1, now.firstIndex);
  if (now.lastIndex >= first) texts.push(`appends ${range(first, now.lastIndex)}`);
  if (now.commitIndex > (before?.commitIndex ?? 0)) texts.push(`commits to ${now.commitIndex}`);
  return texts;
}

function describe(event: ClusterEvent): string | undefined {
  switch (event.type) {
    case "up":
      return `** up, life ${event.incarnation}`;
    case "verify":
      return `verified ${Math.round(event.fraction * 100)} %`;
    case "leader":
      return `LEADER, term ${event.term}`;
    case "crash":
      return event.requested ? "** crash" : `** dies: ${event.error?.message ?? "nobody knows why"}`;
    case "disk-full":
      return "** waits for room on its disk";
    case "restart":
      return `** starts again in ${event.delayMs} ms`;
    case "given-up":
      return `** given up: ${event.error.message}`;
    case "wedged":
    case "down":
    case "paused":
    case "resumed":
      return `** ${event.type}`;
    case "snapshot":
      return event.installed ? `installs snapshot ${event.index}` : `snapshot ${event.index}, ${event.bytes} B`;
    case "snapshot-failed":
      return `snapshot fails: ${event.error.message}`;
    case "applied": {
      const [first, last] = [event.entries[0], event.entries.at(-1)];
      return first === undefined || last === undefined ? undefined : `applies ${range(first.index, last.index)}`;
    }
    default:
      return undefined;
  }
}

function range(first: number, last: number): string {
  return first === last ? String(first) : `${first}..${last}`;
}
