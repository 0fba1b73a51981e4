import { acknowledge, demandMajority } from "./leader.ts";
import { eachEntry, sameValue } from "./plain-log.ts";
import { receiveReadIndex, receiveReadIndexReply } from "./reads.ts";
import { demand } from "./rules.ts";
import type { Server } from "./server.ts";
import { receiveInstallSnapshot, receiveInstallSnapshotReply } from "./snapshots.ts";
import type {
  AppendEntries,
  AppendEntriesReply,
  Call,
  Message,
  PreVoteReply,
  RequestVoteReply,
  Shown,
  VoteRequest,
} from "./trace.ts";
import { type Permits, updateTerm } from "./transitions.ts";

type Received = Call & { readonly kind: "step" };

/** Receive(m): what a message permits, and what it does to the log. `shown` is what the server shows afterwards. */
export function receive(server: Server, { from, incarnation, message, now }: Received, shown: Shown): Permits {
  if (from === server.id || !server.voters.includes(from)) return {};
  // A process that another has followed is not listened to: its messages count as lost.
  if (incarnation < (server.incarnations.get(from) ?? 0)) return {};
  server.incarnations.set(from, incarnation);
  if (message.term > server.currentTerm && tellsOfItsTerm(message)) {
    if (message.type === "RequestVote" && shown.currentTerm === server.currentTerm)
      return disregard(server, message, now);
    updateTerm(server, message.term);
  }
  switch (message.type) {
    case "PreVote":
      return receivePreVote(server, from, message, now);
    case "PreVoteReply":
      return receivePreVoteReply(server, from, message);
    case "RequestVote":
      return receiveRequestVote(server, from, message, now, shown);
    case "RequestVoteReply":
      return receiveRequestVoteReply(server, from, message);
    case "AppendEntries":
      return receiveAppendEntries(server, from, message, now);
    case "AppendEntriesReply":
      return receiveAppendEntriesReply(server, from, message);
    case "InstallSnapshot":
      return receiveInstallSnapshot(server, from, message, now, shown);
    case "InstallSnapshotReply":
      return receiveInstallSnapshotReply(server, from, message);
    case "ReadIndex":
      return receiveReadIndex(server, from, message);
    case "ReadIndexReply":
      return receiveReadIndexReply(server, from, message);
  }
}

/** A PreVote, and the grant of one, name a term that nobody is in (dissertation 9.6). */
function tellsOfItsTerm(message: Message): boolean {
  return message.type !== "PreVote" && !(message.type === "PreVoteReply" && message.voteGranted);
}

/** Dissertation 4.2.3: who stands by a leader does not even look at a RequestVote. */
function disregard(server: Server, { term }: VoteRequest, now: number): Permits {
  demand(
    server.role === "leader" || server.standsByLeader(now),
    "updateTerm",
    () => `it stays in term ${server.currentTerm} at a RequestVote of term ${term}, and stands by no leader`,
  );
  return {};
}

function receivePreVote(server: Server, from: string, message: VoteRequest, now: number): Permits {
  const { currentTerm, votedFor } = server;
  const isFree = votedFor === undefined || votedFor === from;
  const mayVote = message.term > currentTerm || (message.term === currentTerm && isFree);
  const isUpToDate = server.isUpToDate(message.lastLogIndex, message.lastLogTerm);
  const stands = server.standsByLeader(now);
  const complaint = behind(message, server);
  server.owed.push({
    to: from,
    type: "PreVoteReply",
    check: (reply) => {
      if (reply.type !== "PreVoteReply") return;
      // Who campaigns in that term or a later one by the time of the answer says so, and refuses.
      const isWithdrawn = !reply.voteGranted && reply.term >= message.term && reply.term <= server.currentTerm;
      demand(
        (reply.term === currentTerm || isWithdrawn) && reply.proposedTerm === message.term,
        "replies",
        () =>
          `${from} asked about term ${message.term}, and is answered in term ${reply.term} about ${reply.proposedTerm}`,
      );
      if (!reply.voteGranted) return;
      demand(
        mayVote,
        "preVote",
        () => `it would vote in term ${message.term}, being in ${currentTerm} for ${votedFor}`,
      );
      demand(isUpToDate, "upToDate", () => complaint);
      demand(!stands, "stickiness", () => `it would vote for ${from}, and stands by a leader`);
    },
  });
  return {};
}

function receivePreVoteReply(server: Server, from: string, message: PreVoteReply): Permits {
  if (server.role !== "pre-candidate" || message.proposedTerm !== server.currentTerm + 1) return {};
  if (message.voteGranted) server.preVotes.add(from);
  return { campaign: "further" };
}

/** HandleRequestVoteRequest. */
function receiveRequestVote(server: Server, from: string, message: VoteRequest, now: number, shown: Shown): Permits {
  const { currentTerm } = server;
  const isStale = message.term < currentTerm;
  const isFree = server.votedFor === undefined || server.votedFor === from;
  const isUpToDate = server.isUpToDate(message.lastLogIndex, message.lastLogTerm);
  const stands = server.standsByLeader(now);
  const complaint = behind(message, server);
  server.owed.push({
    to: from,
    type: "RequestVoteReply",
    check: (reply) => {
      if (reply.type !== "RequestVoteReply") return;
      demand(
        reply.term === currentTerm,
        "replies",
        () => `a RequestVote that was received in term ${currentTerm} is answered in term ${reply.term}`,
      );
      if (!reply.voteGranted) return;
      demand(!isStale, "staleTerm", () => `a vote for ${from} of term ${message.term} in term ${currentTerm}`);
      demand(
        isFree && shown.votedFor === from,
        "oneVote",
        () => `${from} is told that it has the vote in term ${currentTerm}, and ${shown.votedFor ?? "nobody"} has it`,
      );
      demand(isUpToDate, "upToDate", () => complaint);
      demand(!stands, "stickiness", () => `it votes for ${from}, and stands by a leader`);
    },
  });
  if (isStale) return {};
  const grants = shown.votedFor === from;
  if (grants && server.votedFor === undefined) demand(isUpToDate, "upToDate", () => complaint);
  // Whoever helps another gives up its own attempt to be a candidate.
  return grants && server.role === "pre-candidate" ? { voteFor: from, stepDown: "it votes" } : { voteFor: from };
}

function behind({ lastLogIndex, lastLogTerm }: VoteRequest, { log }: Server): string {
  const theirs = `${lastLogIndex} of term ${lastLogTerm}`;
  return `it votes for a log that ends with ${theirs}, and its own ends with ${log.lastIndex} of term ${log.lastTerm}`;
}

/** HandleRequestVoteResponse. */
function receiveRequestVoteReply(server: Server, from: string, message: RequestVoteReply): Permits {
  if (message.term !== server.currentTerm || server.role !== "candidate") return {};
  if (message.voteGranted) server.votesGranted.add(from);
  return { election: true };
}

/** HandleAppendEntriesRequest, for any number of entries. */
function receiveAppendEntries(server: Server, from: string, message: AppendEntries, now: number): Permits {
  const { currentTerm } = server;
  const { prevLogIndex, prevLogTerm, round, leaderCommit } = message;
  const matchIndex = message.batches.at(-1)?.lastIndex ?? prevLogIndex;
  const isCurrent = message.term === currentTerm;
  if (isCurrent) {
    demand(server.role !== "leader", "oneLeader", () => `${from} and it both lead in term ${currentTerm}`);
    server.heardLeader(from, now);
  }
  const success = isCurrent && takeIn(server, message);
  const reply = (sent: Message) => {
    if (sent.type !== "AppendEntriesReply") return;
    demand(
      sent.term === currentTerm && sent.round === (isCurrent ? round : 0) && sent.prevLogIndex === prevLogIndex,
      "replies",
      () => `round ${round} behind ${prevLogIndex}, received in term ${currentTerm}, is answered as another`,
    );
    demand(
      sent.success === success,
      "consistency",
      () => `it says ${sent.success ? "success" : "no"} to entries behind ${prevLogIndex} of term ${prevLogTerm}`,
    );
    demand(
      sent.matchIndex === (success ? matchIndex : 0),
      "matchIndex",
      () =>
        `it says that its log matches up to ${sent.matchIndex}, and was shown that up to ${success ? matchIndex : 0}`,
    );
    // The end of §5.3: where the leader tries next. A guess, but never forwards.
    demand(
      success || sent.conflictIndex <= Math.max(1, prevLogIndex),
      "consistency",
      () => `it lacks an entry ${prevLogIndex}, and names ${sent.conflictIndex}`,
    );
  };
  if (!message.isQuiet || !success) server.owed.push({ to: from, type: "AppendEntriesReply", check: reply });
  if (!isCurrent) return {};
  const most = Math.min(leaderCommit, matchIndex);
  return {
    stepDown: `${from} leads`,
    leaders: [from],
    commit: (index) => {
      demand(
        success && index <= most,
        "followerCommit",
        () =>
          `${index} is committed, by a leader that says ${leaderCommit} and has shown ${success ? matchIndex : "nothing"}`,
      );
    },
  };
}

/** @returns whether the log has the entry before (AppendEntries 2); if so it has the new ones from now on (3 and 4). */
function takeIn(server: Server, { prevLogIndex, prevLogTerm, batches }: AppendEntries): boolean {
  const { log } = server;
  // What is before the log's base is committed, and so in the leader's log too.
  if (prevLogIndex >= log.baseIndex && log.termAt(prevLogIndex) !== prevLogTerm) return false;
  let expected = prevLogIndex + 1;
  eachEntry(batches, (index, entry) => {
    demand(index === expected, "appendEntries", () => `entry ${index} comes behind ${expected - 1}`);
    expected++;
    if (index <= log.baseIndex) return;
    const own = log.at(index);
    if (own?.term === entry.term) {
      demand(
        sameValue(own, entry.value),
        "logMatching",
        () => `entry ${index} of term ${entry.term} has another content than the one that is here`,
      );
      return;
    }
    if (own !== undefined) {
      demand(
        index > server.commitIndex,
        "leaderCompleteness",
        () => `entry ${index} of term ${own.term} is committed, and one of term ${entry.term} is to take its place`,
      );
      server.truncateFrom(index);
    }
    server.append(entry);
  });
  return true;
}

/** HandleAppendEntriesResponse. */
function receiveAppendEntriesReply(server: Server, from: string, message: AppendEntriesReply): Permits {
  const { leadership } = server;
  if (message.term !== server.currentTerm || leadership === undefined) return {};
  acknowledge(server, from, message.round, message.success ? message.matchIndex : 0);
  return { commit: (index) => demandMajority(server, index) };
}
