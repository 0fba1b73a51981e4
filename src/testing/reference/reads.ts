import { demand } from "./rules.ts";
import type { Leadership, PendingRead, Server } from "./server.ts";
import type { ReadIndex, ReadIndexReply } from "./trace.ts";
import type { Permits } from "./transitions.ts";

/** Dissertation 6.4: a leader notes what is committed when a read comes in, and which rounds it has begun. */
export function addRead(server: Server, from: string, id: number): void {
  const { leadership, commitIndex, currentTerm } = server;
  if (leadership === undefined) return;
  const round = leadership.sentRounds.at(-1)?.round ?? 0;
  server.pendingReads.push({ from, id, round, minIndex: commitIndex, term: currentTerm });
}

export function receiveReadIndex(server: Server, from: string, message: ReadIndex): Permits {
  if (message.term === server.currentTerm) addRead(server, from, message.token);
  return {};
}

export function receiveReadIndexReply(
  server: Server,
  from: string,
  { term, token, granted, index }: ReadIndexReply,
): Permits {
  const asked = server.forwarded.get(token);
  if (asked !== undefined && term === server.currentTerm && granted && from === server.leader) asked.index ??= index;
  return {};
}

/** A leader says that a read may be served at `index`. */
export function demandReadable(server: Server, from: string, id: number, index: number): void {
  const read = server.pendingReads.find((pending) => pending.from === from && pending.id === id);
  const leadership = read && server.leadershipOf(read.term);
  demand(
    read !== undefined && leadership !== undefined,
    "readIndex",
    () => `the read ${id} of ${from} is released, and no leader was asked for it`,
  );
  const { commitIndex, log, term } = leadership;
  demand(
    log.termAt(commitIndex) === term,
    "readIndex",
    () => `the read ${id} is released, and nothing of term ${term} is committed`,
  );
  demand(
    index >= read.minIndex && index <= commitIndex,
    "readIndex",
    () =>
      `the read ${id} is released at ${index}; ${read.minIndex} was committed when it came, and ${commitIndex} is now`,
  );
  demandRound(server, leadership, read);
  server.pendingReads = server.pendingReads.filter((pending) => pending !== read);
}

function demandRound(server: Server, { ackedRound }: Leadership, { id, round }: PendingRead): void {
  const acknowledged = [...ackedRound].filter(([, acked]) => acked > round).map(([peer]) => peer);
  demand(
    server.isMajority(acknowledged.length + 1),
    "readIndex",
    () =>
      `the read ${id} came after round ${round}, and a later one was answered by ${acknowledged.join(", ") || "nobody"}`,
  );
}

/** A read of a client of this server's own is released, whether it leads or has asked its leader. */
export function demandReleased(server: Server, id: number, index: number): void {
  if (server.pendingReads.some((pending) => pending.from === server.id && pending.id === id)) {
    demandReadable(server, server.id, id, index);
    return;
  }
  const asked = server.forwardedReads.get(id);
  demand(asked !== undefined, "followerReads", () => `the read ${id} is released, and nobody asked for it`);
  const named = [...server.forwarded.values()].some((question) => question.turn >= asked && question.index === index);
  demand(named, "followerReads", () => `the read ${id} is released at ${index}, which the leader has not named since`);
  server.forwardedReads.delete(id);
}

/** Dissertation 6.4.1: those who acknowledged a round vote for nobody else for a while after it began. */
export function demandLease(server: Server, index: number, now: number): void {
  const { leadership, leaseMs, commitIndex } = server;
  demand(leadership !== undefined, "lease", () => `a ${server.role} answers by its lease`);
  demand(
    index === commitIndex && leadership.log.termAt(commitIndex) === leadership.term,
    "lease",
    () => `it answers at ${index} by its lease, and ${commitIndex} is committed`,
  );
  const starts = [...leadership.ackedRound.values()].map(
    (acked) => leadership.sentRounds.findLast(({ round }) => round <= acked)?.at ?? Number.NEGATIVE_INFINITY,
  );
  const fresh = starts.filter((at) => now - at < leaseMs).length;
  demand(
    leaseMs > 0 && server.isMajority(fresh + 1),
    "lease",
    () => `it answers by its lease of ${leaseMs} ms, and ${fresh} others have acknowledged a round of as late`,
  );
}
