/*
 * The rules, each with where it stands: Figure 2 and the sections of the extended Raft paper, the actions of the TLA+
 * specification (raft.tla), and for what refines both the dissertation. A refinement forbids more than Figure 2 does, or
 * names what Figure 2 leaves open; it never allows what Figure 2 forbids.
 */
export const RULES = {
  restart: "Figure 2, persistent state; Restart: a life begins as a follower with what the one before had on its disk",
  monotonicTerm: "Figure 2, currentTerm increases monotonically",
  updateTerm:
    "§5.1, Figure 2, all servers; UpdateTerm: a later term is taken over, and its receiver becomes a follower",
  staleTerm: "§5.1; DropStaleResponse: what comes of an earlier term changes nothing",
  timeout: "§5.2, Figure 2, candidates; Timeout: a new term, and a vote for itself, only by the timer",
  preVote: "dissertation 9.6, a refinement: a term is raised only when a majority would vote in it",
  oneVote: "§5.2, Figure 2, RequestVote 2; HandleRequestVoteRequest: one vote a term",
  upToDate: "§5.4.1, Figure 2, RequestVote 2; HandleRequestVoteRequest: no vote for a log that is behind",
  stickiness: "dissertation 4.2.3, a refinement: no vote while a leader is heard, or may have been before a restart",
  voteRequest: "§5.2; RequestVote(i, j): candidates ask, with the end of their log",
  majorityOfVotes:
    "§5.2, Figure 2, candidates; BecomeLeader: votes of this term from a majority, its own only once it is durable",
  roles: "Figure 4: no such change of role",
  oneLeader: "§5.2, Figure 3, Election Safety: one leader a term",
  leaderKnown: "§5.2: who leads is known from the one who leads",
  noop: "§8, dissertation 6.4, a refinement: a leader begins its term with a no-op",
  clientRequest: "§5.3, Figure 2, leaders; ClientRequest: a leader appends to its own log, nobody else",
  appendOnly: "§5.3, Figure 3, Leader Append-Only",
  appendEntries: "§5.3; AppendEntries(i, j): a leader sends what is in its log",
  consistency:
    "§5.3, Figure 2, AppendEntries 1 and 2; HandleAppendEntriesRequest: success if, and only if, the log has the entry before",
  conflict: "§5.3, Figure 2, AppendEntries 3 and 4; HandleAppendEntriesRequest: a conflict alone cuts the log",
  logMatching: "§5.3, Figure 3, Log Matching: one index and term, one entry",
  matchIndex: "§5.3; HandleAppendEntriesRequest: mmatchIndex is what the request has shown to match",
  monotonicCommit: "Figure 2, commitIndex increases monotonically",
  leaderCommit: "§5.3, §5.4, Figure 2, leaders; AdvanceCommitIndex: on a majority's disks",
  figure8: "§5.4.2, Figure 8; AdvanceCommitIndex: only entries of the current term are counted",
  followerCommit: "§5.3, Figure 2, AppendEntries 5: up to leaderCommit, and what the message has shown to match",
  stateMachineSafety: "§5.4.3, Figure 3, State Machine Safety: one entry is committed at an index",
  leaderCompleteness: "§5.4.3, Figure 3, Leader Completeness: what was committed is in the log of every later leader",
  persistFirst: "Figure 2, persistent state is updated before RPCs are answered",
  leaderWrites:
    "dissertation 10.2.1, a refinement: only a leader whose term and vote are durable sends before it writes",
  wholeSave: "Figure 2, persistent state: what is written is what changed",
  replies: "Figure 2: each reply answers a request, and says what came of it",
  sent: "Receive(m): what is received was sent, and not before what it says was durable",
  ownSnapshot: "§7: a snapshot stands for a committed prefix, and takes the place of an older one",
  compaction: "§7: only what the snapshot covers is discarded",
  installSnapshot: "§7, Figure 13: a snapshot is installed whole, when all its chunks have come from one leader",
  sendSnapshot: "§7, Figure 13: a leader sends the snapshot that it has",
  readIndex: "§8, dissertation 6.4: reads wait for a commit of the term, and for a round that began after they came",
  lease: "dissertation 6.4.1, a refinement: a lease counts from before the round that a majority acknowledged",
  followerReads: "dissertation 6.4: a follower serves reads at the index that its leader named",
  invariant: "the peer itself found that a rule does not hold",
} as const;

export type Rule = keyof typeof RULES;

/** Why a trace is not one that the specification permits. */
export class Forbidden extends Error {
  readonly rule: Rule;

  constructor(rule: Rule, message: string) {
    super(message);
    this.rule = rule;
  }
}

/** Throws {@link Forbidden} unless `holds`. */
export function demand(holds: boolean, rule: Rule, message: () => string): asserts holds {
  if (!holds) throw new Forbidden(rule, message());
}
