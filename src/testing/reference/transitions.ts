import { demand } from "./rules.ts";
import type { Server } from "./server.ts";
import type { Role, Shown } from "./trace.ts";

/** What a call allows besides what it demands. Where nothing is said, nothing may change. */
export interface Permits {
  /** Whether its timer may have fired, so that it campaigns anew, or it may go on with a campaign that it has begun. */
  readonly campaign?: "anew" | "further";
  /** It may be elected by what it was told. */
  readonly election?: boolean;
  /** It may give its vote to this candidate. */
  readonly voteFor?: string | undefined;
  /** Within its term it may become a follower, for this reason. */
  readonly stepDown?: string | undefined;
  /** It may take these for its leader. */
  readonly leaders?: readonly (string | undefined)[];
  /** Judges how far it says that entries are committed. */
  readonly commit?: (index: number) => void;
}

/**
 * UpdateTerm: a later term is taken over first, its receiver is a follower without a vote in it.
 * @returns whether there was one.
 */
export function updateTerm(server: Server, term: number): boolean {
  if (term <= server.currentTerm) return false;
  endLeadership(server);
  server.currentTerm = term;
  server.votedFor = undefined;
  server.leader = undefined;
  server.role = "follower";
  return true;
}

/** Compares what a server shows after a call with what it showed `before` and what the call permits, and takes it over. */
export function adopt(server: Server, before: Shown, shown: Shown, permits: Permits): void {
  const { id, currentTerm } = server;
  demand(
    shown.currentTerm >= currentTerm,
    shown.currentTerm < before.currentTerm ? "monotonicTerm" : "updateTerm",
    () => `its term is ${shown.currentTerm}, where ${currentTerm} is known`,
  );
  if (shown.currentTerm > currentTerm) {
    demand(
      shown.role === "candidate" && shown.currentTerm === currentTerm + 1 && permits.campaign !== undefined,
      "timeout",
      () => `a ${server.role} of term ${currentTerm} is a ${shown.role} in term ${shown.currentTerm}`,
    );
    becomeCandidate(server, permits);
  }
  if (shown.votedFor !== server.votedFor) {
    demand(
      server.votedFor === undefined,
      "oneVote",
      () => `${id} has voted for ${server.votedFor} in term ${server.currentTerm}, and now for ${shown.votedFor}`,
    );
    demand(
      shown.votedFor !== undefined && shown.votedFor === permits.voteFor,
      "oneVote",
      () =>
        `${id} votes for ${shown.votedFor} in term ${server.currentTerm}, who may have the vote: ${permits.voteFor}`,
    );
    server.votedFor = shown.votedFor;
  }
  if (shown.role !== server.role) changeRole(server, shown.role, permits);
  if (shown.leader !== server.leader) followLeader(server, shown.leader, permits);
  if (shown.commitIndex !== server.commitIndex) commit(server, shown.commitIndex, permits);
  if (server.leadership !== undefined) server.leadership.commitIndex = server.commitIndex;
}

/** Timeout(i), refined by PreVote. */
function becomeCandidate(server: Server, permits: Permits): void {
  if (server.role !== "pre-candidate") campaign(server, permits);
  const { preVotes, currentTerm } = server;
  demand(
    server.isMajority(preVotes.size),
    "preVote",
    () => `it campaigns in term ${currentTerm + 1} with the pre-votes of ${[...preVotes].join(", ")} alone`,
  );
  server.currentTerm++;
  server.votedFor = server.id;
  server.leader = undefined;
  server.role = "candidate";
  server.votesGranted = new Set();
}

function campaign(server: Server, permits: Permits): void {
  demand(
    permits.campaign === "anew" && server.role !== "leader",
    "timeout",
    () => `a ${server.role} campaigns, and no timer of its own may have fired`,
  );
  server.role = "pre-candidate";
  server.leader = undefined;
  server.preVotes = new Set([server.id]);
}

function changeRole(server: Server, role: Role, permits: Permits): void {
  const { currentTerm, votesGranted } = server;
  switch (role) {
    case "pre-candidate":
      campaign(server, permits);
      return;
    case "candidate":
      demand(false, "roles", () => `a ${server.role} is a candidate, still in term ${currentTerm}`);
      return;
    case "leader":
      demand(
        server.role === "candidate" && permits.election === true,
        "roles",
        () => `a ${server.role} of term ${currentTerm} leads`,
      );
      demand(
        server.isMajority(votesGranted.size),
        "majorityOfVotes",
        () => `it leads in term ${currentTerm} with the votes of ${[...votesGranted].join(", ") || "nobody"}`,
      );
      becomeLeader(server);
      return;
    case "follower":
      demand(
        permits.stepDown !== undefined,
        "roles",
        () => `a ${server.role} of term ${currentTerm} is a follower for no reason`,
      );
      endLeadership(server);
      server.role = "follower";
      server.leader = undefined;
  }
}

/** BecomeLeader(i), and the no-op. */
function becomeLeader(server: Server): void {
  server.role = "leader";
  server.leader = server.id;
  server.append({ term: server.currentTerm, value: 0 });
  server.leadership = {
    term: server.currentTerm,
    log: server.log,
    commitIndex: server.commitIndex,
    matchIndex: new Map(),
    ackedRound: new Map(),
    sentRounds: [],
  };
}

function endLeadership(server: Server): void {
  const { leadership } = server;
  if (leadership === undefined) return;
  leadership.log = server.log.copy();
  server.ended.push(leadership);
  server.leadership = undefined;
}

function followLeader(server: Server, leader: string | undefined, { leaders = [] }: Permits): void {
  demand(
    leaders.includes(leader),
    "leaderKnown",
    () =>
      `it takes ${leader ?? "nobody"} for the leader of term ${server.currentTerm}, where ${server.leader ?? "nobody"} was`,
  );
  server.leader = leader;
}

function commit(server: Server, index: number, permits: Permits): void {
  const { commitIndex, log } = server;
  demand(index > commitIndex, "monotonicCommit", () => `its commitIndex falls from ${commitIndex} to ${index}`);
  demand(
    permits.commit !== undefined,
    server.role === "leader" ? "leaderCommit" : "followerCommit",
    () => `a ${server.role} says that ${index} is committed, and was told nothing that shows it`,
  );
  permits.commit(index);
  demand(index <= log.lastIndex, "followerCommit", () => `${index} is committed, and its log ends at ${log.lastIndex}`);
  server.commitIndex = index;
}
