import { beginSave, demandSaved } from "./disk.ts";
import { eachEntry } from "./plain-log.ts";
import { demandReadable, demandReleased } from "./reads.ts";
import { demand } from "./rules.ts";
import type { Leadership, Owed, Server } from "./server.ts";
import { aboutChunk } from "./snapshots.ts";
import type {
  AppendEntries,
  Effects,
  InstallSnapshot,
  InstallSnapshotReply,
  Message,
  Outgoing,
  VoteRequest,
} from "./trace.ts";

/** All that came of the steps since the last time: what is sent before the save, the save, what is sent after it. */
export function takeEffects(server: Server, effects: Effects | undefined): void {
  if (effects !== undefined) {
    for (const outgoing of effects.before) sendBefore(server, outgoing);
    if (effects.save !== undefined) beginSave(server, effects.save);
    else if (effects.after.length > 0) demandPersisted(server);
    for (const outgoing of effects.after) sendAfter(server, outgoing);
    for (const { id, index } of effects.reads) demandReleased(server, id, index);
  }
  // What was not sent by now is lost, as any message may be.
  server.asked = [];
  server.owed = [];
  server.ended = [];
  server.pendingReads = server.pendingReads.filter(({ term }) => term === server.leadership?.term);
  server.turn++;
}

/** Who answers without a save must have nothing to save. */
function demandPersisted(server: Server): void {
  const { durable, currentTerm, votedFor, dirtyFrom, log } = server;
  const isSaved = durable.currentTerm === currentTerm && durable.votedFor === votedFor && dirtyFrom > log.lastIndex;
  demand(
    isSaved && durable.log.lastIndex === log.lastIndex,
    "persistFirst",
    () =>
      `it answers in term ${currentTerm} with a log up to ${log.lastIndex}, and term ${durable.currentTerm} and entries ` +
      `up to ${Math.min(durable.log.lastIndex, dirtyFrom - 1)} are on its disk`,
  );
  demandSaved(server);
}

function sendBefore(server: Server, { to, message }: Outgoing): void {
  if (message.type === "InstallSnapshotReply") {
    answerBefore(server, to, message);
    return;
  }
  demand(
    message.type === "AppendEntries" || message.type === "InstallSnapshot",
    "persistFirst",
    () => `${message.type} leaves before the save`,
  );
  const { durable, id } = server;
  demand(
    durable.currentTerm === message.term && durable.votedFor === id,
    "leaderWrites",
    () =>
      `${message.type} of term ${message.term} leaves before the save, and on disk are term ${durable.currentTerm} and a ` +
      `vote for ${durable.votedFor ?? "nobody"}`,
  );
  sendAsLeader(server, message);
}

/** A chunk is gone with the process that has taken it, on disk or not. Of the whole, and of a new term, nothing is said yet. */
function answerBefore(server: Server, to: string, reply: InstallSnapshotReply): void {
  const { durable, owed } = server;
  demand(
    !reply.installed && durable.currentTerm === reply.term,
    "persistFirst",
    () =>
      `before the save a chunk is answered in term ${reply.term}, ${reply.installed ? "as the last that lacked" : "not the last"}, ` +
      `and term ${durable.currentTerm} is on disk`,
  );
  const at = owed.findIndex((other) => other.to === to && other.about === aboutChunk(reply));
  demandReply(owed[at], to, reply);
  owed.splice(at, 1);
}

function sendAsLeader(server: Server, message: AppendEntries | InstallSnapshot): void {
  const leadership = server.leadershipOf(message.term);
  demand(
    leadership !== undefined,
    message.type === "AppendEntries" ? "appendEntries" : "sendSnapshot",
    () => `${message.type} of term ${message.term}, in which it does not lead`,
  );
  const { sentRounds } = leadership;
  if (message.round > (sentRounds.at(-1)?.round ?? 0)) sentRounds.push({ round: message.round, at: server.clock });
  if (message.type === "AppendEntries") sendEntries(leadership, message);
  else sendChunk(leadership, message);
}

/** AppendEntries(i, j). */
function sendEntries({ log, commitIndex }: Leadership, message: AppendEntries): void {
  const { prevLogIndex, prevLogTerm, leaderCommit } = message;
  demand(
    log.termAt(prevLogIndex) === prevLogTerm,
    "appendEntries",
    () =>
      `it says that its entry ${prevLogIndex} is of term ${prevLogTerm}, and has one of ${log.termAt(prevLogIndex)}`,
  );
  demand(
    leaderCommit <= commitIndex,
    "appendEntries",
    () => `it says that ${leaderCommit} is committed, and only ${commitIndex} is`,
  );
  let expected = prevLogIndex + 1;
  eachEntry(message.batches, (index, entry) => {
    demand(
      index === expected && log.at(index) !== undefined && log.has(index, entry),
      "appendEntries",
      () => `it sends an entry ${index} of term ${entry.term} behind ${expected - 1}, which is not in its log`,
    );
    expected++;
  });
}

function sendChunk({ log, commitIndex }: Leadership, message: InstallSnapshot): void {
  const { lastIncludedIndex: index, lastIncludedTerm: term, chunk, info } = message;
  demand(
    index <= commitIndex && log.termAt(index) === term,
    "sendSnapshot",
    () =>
      `it sends a snapshot of ${index} of term ${term}, with ${commitIndex} committed, of term ${log.termAt(index)}`,
  );
  demand(
    chunk > 0 || (info?.index === index && info.term === term),
    "sendSnapshot",
    () => `the first chunk of the snapshot of ${index} does not say what is to come`,
  );
}

function sendAfter(server: Server, { to, message }: Outgoing): void {
  switch (message.type) {
    case "AppendEntries":
    case "InstallSnapshot":
      sendAsLeader(server, message);
      break;
    case "PreVote":
    case "RequestVote":
      demandAsked(server, message);
      break;
    case "ReadIndex":
      if (!server.forwarded.has(message.token)) {
        server.forwarded.set(message.token, { turn: server.turn, index: undefined });
      }
      break;
    case "ReadIndexReply":
      if (message.granted) demandReadable(server, to, message.token, message.index);
      break;
    default:
      demandOwed(server, to, message);
  }
}

/** RequestVote(i, j), and PreVote. */
function demandAsked({ asked }: Server, { type, term, lastLogIndex, lastLogTerm }: VoteRequest): void {
  const fits = asked.some(
    (own) =>
      own.type === type && own.term === term && own.lastLogIndex === lastLogIndex && own.lastLogTerm === lastLogTerm,
  );
  const may = asked.map((own) => `${own.type} of term ${own.term} with ${own.lastLogIndex}, ${own.lastLogTerm}`);
  demand(
    fits,
    "voteRequest",
    () =>
      `${type} of term ${term} with a log up to ${lastLogIndex}, ${lastLogTerm}; it might ask: ${may.join("; ") || "nothing"}`,
  );
}

/** Replies leave in the order of what they answer; those in between were lost. */
function demandOwed(server: Server, to: string, reply: Message): void {
  const at = server.owed.findIndex((owed) => owed.to === to && owed.type === reply.type);
  demandReply(server.owed[at], to, reply);
  server.owed.splice(0, at + 1);
}

function demandReply(owed: Owed | undefined, to: string, reply: Message): void {
  demand(owed !== undefined, "replies", () => `${reply.type} to ${to}, who has asked for none`);
  owed.check(reply);
}
