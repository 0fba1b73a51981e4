import { acknowledge, demandMajority } from "./leader.ts";
import { demand } from "./rules.ts";
import type { Server } from "./server.ts";
import type { InstallSnapshot, InstallSnapshotReply, Message, Shown, Snapshot } from "./trace.ts";
import type { Permits } from "./transitions.ts";

/** §7, Figure 13. Chunks may come in any order, and may be left out; what is installed must be all of them. */
export function receiveInstallSnapshot(
  server: Server,
  from: string,
  message: InstallSnapshot,
  now: number,
  shown: Shown,
): Permits {
  const { currentTerm } = server;
  const { lastIncludedIndex: index, lastIncludedTerm: term, round } = message;
  const isCurrent = message.term === currentTerm;
  if (isCurrent) {
    demand(server.role !== "leader", "oneLeader", () => `${from} and it both lead in term ${currentTerm}`);
    server.heardLeader(from, now);
    noteChunk(server, from, message);
  }
  const holds = server.log.termAt(index) === term;
  const covered = index <= server.commitIndex;
  const isInstalled = isCurrent && !covered && !holds && shown.commitIndex === index;
  if (isInstalled) install(server, from, message);
  server.owed.push({
    to: from,
    type: "InstallSnapshotReply",
    about: aboutChunk({ lastIncludedIndex: index, round: isCurrent ? round : 0 }),
    check: (reply: Message) => {
      if (reply.type !== "InstallSnapshotReply") return;
      demand(
        reply.term === currentTerm && reply.round === (isCurrent ? round : 0) && reply.lastIncludedIndex === index,
        "replies",
        () =>
          `a chunk of the snapshot of ${index}, round ${round}, received in term ${currentTerm}, is answered as another`,
      );
      demand(
        !reply.installed || (isCurrent && (covered || holds || isInstalled)),
        "installSnapshot",
        () => `it says that it has all up to ${index}, and its commitIndex was ${server.commitIndex}`,
      );
    },
  });
  if (!isCurrent) return {};
  return {
    stepDown: `${from} leads`,
    leaders: [from],
    commit: (committed) => {
      demand(
        committed === index && (holds || isInstalled),
        "installSnapshot",
        () => `${committed} is committed at a chunk of the snapshot of ${index}`,
      );
    },
  };
}

/** What the answer to a chunk shares with it. */
export function aboutChunk({ lastIncludedIndex, round }: Pick<InstallSnapshotReply, "lastIncludedIndex" | "round">) {
  return `the snapshot of ${lastIncludedIndex} in round ${round}`;
}

function chunksFrom(from: string, index: number): string {
  return `${from} ${index}`;
}

function noteChunk(server: Server, from: string, { lastIncludedIndex, info, chunk, data }: InstallSnapshot): void {
  const key = chunksFrom(from, lastIncludedIndex);
  const known = server.received.get(key) ?? { info: undefined, chunks: new Map() };
  server.received.set(key, known);
  known.info ??= info;
  known.chunks.set(chunk, data);
}

/** Figure 13, 6 to 8: the log is of no use; what is left is the snapshot's last entry. */
function install(
  server: Server,
  from: string,
  { lastIncludedIndex: index, lastIncludedTerm: term }: InstallSnapshot,
): void {
  const { info, chunks = new Map() } = server.received.get(chunksFrom(from, index)) ?? {};
  demand(
    info !== undefined && info.index === index && info.term === term,
    "installSnapshot",
    () => `the snapshot of ${index} is installed, and ${from} has not said what it consists of`,
  );
  for (let chunk = 0; chunk < info.chunks; chunk++) {
    demand(chunks.has(chunk), "installSnapshot", () => `chunk ${chunk} of the snapshot of ${index} has not come`);
  }
  server.log.resetTo({ index, term });
  server.dirtyFrom = index;
  server.snapshot = info;
  server.completed = { info, chunks };
}

export function receiveInstallSnapshotReply(server: Server, from: string, message: InstallSnapshotReply): Permits {
  if (message.term !== server.currentTerm || server.leadership === undefined) return {};
  acknowledge(server, from, message.round, message.installed ? message.lastIncludedIndex : 0);
  return { commit: (index) => demandMajority(server, index) };
}

/** §7: a peer's own snapshot, of what is committed. */
export function completeSnapshot(server: Server, info: Snapshot): void {
  const { commitIndex, log, snapshot } = server;
  demand(
    info.index <= commitIndex && info.index > (snapshot?.index ?? 0) && log.termAt(info.index) === info.term,
    "ownSnapshot",
    () =>
      `a snapshot of ${info.index} of term ${info.term} after that of ${snapshot?.index ?? 0}, with ${commitIndex} ` +
      `committed and entry ${info.index} of term ${log.termAt(info.index)}`,
  );
  server.snapshot = info;
  server.completed = { info, chunks: undefined };
}
