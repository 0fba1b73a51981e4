import { demand } from "./rules.ts";
import type { Server } from "./server.ts";

/** A follower has answered a round, and holds all up to `matchIndex` on its disk. */
export function acknowledge(server: Server, from: string, round: number, matchIndex: number): void {
  const { leadership } = server;
  if (leadership === undefined) return;
  leadership.matchIndex.set(from, Math.max(leadership.matchIndex.get(from) ?? 0, matchIndex));
  leadership.ackedRound.set(from, Math.max(leadership.ackedRound.get(from) ?? 0, round));
}

/** AdvanceCommitIndex: a majority has it on disk, the leader's own disk among them or not; and it is of this term. */
export function demandMajority(server: Server, index: number): void {
  const { log, durable, leadership, currentTerm } = server;
  const own = log.at(index);
  const holders = [...(leadership?.matchIndex ?? [])].filter(([, matchIndex]) => matchIndex >= index).map(([id]) => id);
  if (own !== undefined && durable.log.has(index, own)) holders.push(server.id);
  demand(
    server.isMajority(holders.length),
    "leaderCommit",
    () => `${index} is committed, and on the disks of ${holders.join(", ") || "nobody"} alone`,
  );
  demand(
    own?.term === currentTerm,
    "figure8",
    () => `entry ${index} of term ${own?.term} is counted in term ${currentTerm}`,
  );
}
