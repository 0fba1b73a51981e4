import { monotonicNow } from "../actors/monotonic.ts";
import type { ClusterEvent, TraceStep } from "../actors/protocol.ts";
import type { Supervisor } from "../actors/supervisor.ts";
import type { PeerId } from "../raft/message.ts";

/** Peers tell of their steps a turn at a time, so a line waits this long for earlier ones of others. */
const HOLD_MS = 100;
const WRITE_EVERY_MS = 20;

const TIME_WIDTH = 10;
const COLUMN_WIDTH = 24;

interface Line {
  readonly at: number;
  readonly peer: PeerId;
  readonly text: string;
}

/**
 * Writes what happens in a cluster as a timeline with a column a peer, one line a happening, until the cluster stops: roles,
 * terms, votes, what is appended, committed and applied, snapshots, crashes, starts, and whom a peer reaches. It begins with
 * what the peers are at the call, from which on the seconds count; steps of a peer have the time at which they were done.
 * Of messages it says nothing; the `trace` events have them.
 *
 * @param cluster one that was started with the option `trace: true`.
 */
export async function timeline(
  cluster: Pick<Supervisor, "peers" | "events">,
  write: (line: string) => void,
): Promise<void> {
  const begin = monotonicNow();
  const ids = cluster.peers.map(({ id }) => id);
  let held: Line[] = [];

  const say = (peer: PeerId, text: string, at = monotonicNow()) => held.push({ at, peer, text });
  const writeUntil = (until: number) => {
    // The sort is stable: what one peer tells stays in its order.
    const due = held.filter(({ at }) => at <= until).sort((one, other) => one.at - other.at);
    held = held.filter(({ at }) => at > until);
    for (const { at, peer, text } of due) {
      const time = (Math.max(0, at - begin) / 1_000).toFixed(3).padEnd(TIME_WIDTH);
      write(time + " ".repeat(Math.max(0, ids.indexOf(peer)) * COLUMN_WIDTH) + text);
    }
  };

  write("seconds".padEnd(TIME_WIDTH) + ids.map((id) => id.padEnd(COLUMN_WIDTH)).join(""));
  const events = cluster.events({ maxUnread: Number.POSITIVE_INFINITY });
  for (const { id, role, currentTerm } of await Promise.all(cluster.peers.map((peer) => peer.status()))) {
    say(id, `${role}, term ${currentTerm}`, begin);
  }
  const writing = setInterval(() => writeUntil(monotonicNow() - HOLD_MS), WRITE_EVERY_MS);
  try {
    for await (const event of events) {
      if (event.type === "trace") {
        for (const step of event.steps) {
          const text = describeStep(step);
          if (text !== undefined) say(event.peer, text, step.at);
        }
      } else {
        const text = describe(event, ids.length - 1);
        if (text !== undefined) say(event.peer, text);
      }
    }
  } finally {
    clearInterval(writing);
    writeUntil(Number.POSITIVE_INFINITY);
  }
}

/** A step in a few words; undefined for one that goes without saying, as messages do. */
export function describeStep(step: TraceStep): string | undefined {
  switch (step.kind) {
    case "start":
      return `begins with ${step.lastIndex === 0 ? "nothing" : range(step.firstIndex, step.lastIndex)}`;
    case "role":
      return step.role === "leader" ? `LEADER, term ${step.currentTerm}` : `${step.role}, term ${step.currentTerm}`;
    case "vote":
      return `votes for ${step.votedFor}`;
    case "follow":
      return `follows ${step.leader}`;
    case "peer-died":
      return `hears ${step.peer} died`;
    case "truncate":
      return `cuts from ${step.from} on`;
    case "append":
      return `appends ${range(step.firstIndex, step.lastIndex)}`;
    case "commit":
      return `commits to ${step.commitIndex}`;
    case "apply":
      return `applies ${range(step.firstIndex, step.lastIndex)}`;
    case "propose":
    case "receive":
    case "send":
    case "snapshot":
    case "saved":
      return undefined;
    default:
      step satisfies never;
      return undefined;
  }
}

function describe(event: ClusterEvent, others: number): string | undefined {
  switch (event.type) {
    case "up":
      return `** up, life ${event.incarnation}`;
    case "verify":
      return `verified ${Math.round(event.fraction * 100)} %`;
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
    case "reach":
      if (event.peers.length === 0) return "-- cut off";
      return event.peers.length === others ? "-- reaches all" : `-- reaches ${event.peers.join(" ")}`;
    case "snapshot":
      return event.installed ? `installs snapshot ${event.index}` : `snapshot ${event.index}, ${event.bytes} B`;
    case "snapshot-failed":
      return `snapshot fails: ${event.error.message}`;
    default:
      return undefined;
  }
}

function range(first: number, last: number): string {
  return first === last ? String(first) : `${first}..${last}`;
}
