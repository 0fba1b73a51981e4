import type { Rule } from "../../src/testing/reference/rules.ts";
import { callOf, effectsOf, type Lie, type Moment, received, receiving, sending, showing, yielding } from "./lies.ts";

/** Somebody has heard of it: the step itself shows, or what others say they were told. */
export const ANYWHERE = "anywhere";

/** What was planted, under which rule it is found, and where. */
type Case = readonly [what: string, rule: Rule, lie: Lie, where?: typeof ANYWHERE];

const isReported = ({ record, at }: Moment) => record.steps[at + 1]?.call.kind === "saved";
const isFollower = ({ before, state }: Moment) => before.role === "follower" && state.role === "follower";
const staysLeader = ({ before, state }: Moment) => before.role === "leader" && state.role === "leader";
const isSameTerm = ({ before, state }: Moment) => before.currentTerm === state.currentTerm;
/** Whether all entries are taken that the peer is sent here, and with what comes soon behind. */
const accepts = ({ record, at }: Moment) => {
  const next = record.steps
    .slice(at + 1)
    .map(effectsOf)
    .find((effects) => effects !== undefined);
  const replies = next?.after.map(({ message }) => message).filter(({ type }) => type === "AppendEntriesReply") ?? [];
  return replies.length > 0 && replies.every((reply) => "success" in reply && reply.success);
};

/** Steps that the specification does not permit. */
export const LIES: readonly Case[] = [
  // ---- terms and votes
  [
    "a term that goes back",
    "monotonicTerm",
    (moment) =>
      moment.state.currentTerm > 1 && isSameTerm(moment)
        ? showing(moment.step, { currentTerm: moment.state.currentTerm - 1 })
        : undefined,
  ],
  [
    "a later term that is not taken over",
    "updateTerm",
    (moment) => {
      const reply = received(moment.step, "AppendEntriesReply");
      return staysLeader(moment) && reply !== undefined
        ? receiving(moment.step, { ...reply, term: moment.state.currentTerm + 1 })
        : undefined;
    },
  ],
  [
    "a vote for a second candidate of the term",
    "oneVote",
    (moment) => {
      const { step, before, state } = moment;
      const from = received(step, "RequestVote") && callOf(step, "step")?.from;
      return isSameTerm(moment) &&
        before.votedFor !== undefined &&
        state.votedFor === before.votedFor &&
        from !== state.votedFor
        ? showing(step, { votedFor: from })
        : undefined;
    },
  ],
  [
    "a vote for one who did not ask",
    "oneVote",
    ({ step, before, state }) =>
      received(step, "AppendEntries") !== undefined && state.votedFor === undefined && before.votedFor === undefined
        ? showing(step, { votedFor: "a" })
        : undefined,
  ],
  [
    "a vote that was refused and is told as granted",
    "oneVote",
    ({ step, state }) =>
      state.votedFor === undefined
        ? undefined
        : sending(step, "after", "RequestVoteReply", (message) =>
            message.voteGranted || message.term !== state.currentTerm ? undefined : { ...message, voteGranted: true },
          ),
  ],
  [
    "a vote for a log that is behind",
    "upToDate",
    ({ step, before, state }) => {
      const request = received(step, "RequestVote");
      return request !== undefined && state.votedFor !== undefined && before.votedFor === undefined
        ? receiving(step, { ...request, lastLogIndex: 0, lastLogTerm: 0 })
        : undefined;
    },
  ],
  [
    "a campaign without a timer",
    "timeout",
    (moment) =>
      received(moment.step, "AppendEntries") && moment.state.role === "follower" && moment.before.role === "follower"
        ? showing(moment.step, { role: "pre-candidate" })
        : undefined,
  ],
  [
    "a campaign that nobody wished for",
    "preVote",
    ({ step, state, before }) =>
      received(step, "PreVoteReply") !== undefined && state.role === "candidate" && before.role === "pre-candidate"
        ? receiving(step, {
            type: "PreVoteReply",
            term: before.currentTerm,
            proposedTerm: state.currentTerm,
            voteGranted: false,
          })
        : undefined,
  ],
  [
    "a leader without a majority of votes",
    "majorityOfVotes",
    ({ step, state, before }) =>
      received(step, "RequestVoteReply") !== undefined && state.role === "leader" && before.role === "candidate"
        ? receiving(step, { type: "RequestVoteReply", term: state.currentTerm, voteGranted: false })
        : undefined,
  ],
  [
    "a follower that leads",
    "roles",
    (moment) =>
      isFollower(moment) && callOf(moment.step, "advance") ? showing(moment.step, { role: "leader" }) : undefined,
  ],
  [
    "a RequestVote with a longer log",
    "voteRequest",
    ({ step }) =>
      sending(step, "after", "RequestVote", (message) => ({ ...message, lastLogIndex: message.lastLogIndex + 1 })),
  ],
  [
    "a leader that nobody has heard",
    "leaderKnown",
    (moment) =>
      isFollower(moment) && received(moment.step, "AppendEntriesReply")
        ? showing(moment.step, { leader: "x" })
        : undefined,
  ],
  [
    "no no-op at the start of a term",
    "noop",
    ({ step, state, before }) =>
      state.role === "leader" && before.role !== "leader" ? showing(step, { lastIndex: before.lastIndex }) : undefined,
  ],

  // ---- the log
  [
    "a command that is appended elsewhere than at the end",
    "clientRequest",
    ({ step }) => {
      const call = callOf(step, "propose");
      const { returned } = call ?? {};
      if (call === undefined || returned === undefined) return undefined;
      return { ...step, call: { ...call, returned: { ...returned, firstIndex: returned.firstIndex - 1 } } };
    },
  ],
  [
    "a leader that cuts its log",
    "appendOnly",
    (moment) =>
      staysLeader(moment) && received(moment.step, "AppendEntriesReply")
        ? showing(moment.step, { lastIndex: moment.state.lastIndex - 1 })
        : undefined,
  ],
  [
    "a log that is cut without a conflict",
    "conflict",
    (moment) =>
      isFollower(moment) && received(moment.step, "AppendEntries")
        ? showing(moment.step, { lastIndex: moment.state.lastIndex - 1 })
        : undefined,
  ],
  [
    "an entry that the leader does not have",
    "appendEntries",
    ({ step }) =>
      sending(step, "before", "AppendEntries", (message) => {
        const [first, ...others] = message.batches;
        if (first === undefined) return undefined;
        const digests = first.digests.map((byte) => byte ^ 1);
        return { ...message, batches: [{ ...first, digests }, ...others] };
      }),
  ],
  [
    "a leaderCommit that is more than is committed",
    "appendEntries",
    ({ step, state }) =>
      sending(step, "before", "AppendEntries", (message) =>
        message.term === state.currentTerm ? { ...message, leaderCommit: state.commitIndex + 1 } : undefined,
      ),
  ],
  [
    "a prevLogTerm that is another",
    "appendEntries",
    ({ step }) =>
      sending(step, "before", "AppendEntries", (message) => ({ ...message, prevLogTerm: message.prevLogTerm + 1 })),
  ],
  [
    "success at a log that lacks the entry before",
    "consistency",
    ({ step, state }) =>
      sending(step, "after", "AppendEntriesReply", (message) =>
        message.success || message.term !== state.currentTerm ? undefined : { ...message, success: true },
      ),
  ],
  [
    "a matchIndex beyond what was shown",
    "matchIndex",
    ({ step }) =>
      sending(step, "after", "AppendEntriesReply", (message) =>
        message.success ? { ...message, matchIndex: message.matchIndex + 1 } : undefined,
      ),
  ],
  [
    "another entry at an index and term that are there",
    "logMatching",
    (moment) => {
      const message = received(moment.step, "AppendEntries");
      const first = message?.batches[0];
      if (message === undefined || first === undefined || !isSameTerm(moment) || !accepts(moment)) return undefined;
      if (first.firstIndex <= moment.before.commitIndex || first.lastIndex > moment.before.lastIndex) return undefined;
      if (moment.before.lastIndex !== moment.state.lastIndex) return undefined;
      return receiving(moment.step, {
        ...message,
        batches: [{ ...first, digests: first.digests.map((byte) => byte ^ 1) }, ...message.batches.slice(1)],
      });
    },
  ],

  // ---- commits
  [
    "a commitIndex that goes back",
    "monotonicCommit",
    (moment) =>
      moment.state.commitIndex > 2 && callOf(moment.step, "advance")
        ? showing(moment.step, { commitIndex: moment.state.commitIndex - 1 })
        : undefined,
  ],
  [
    "a commit of what no majority holds",
    "leaderCommit",
    (moment) =>
      staysLeader(moment) &&
      received(moment.step, "AppendEntriesReply") &&
      moment.state.commitIndex < moment.state.lastIndex
        ? showing(moment.step, { commitIndex: moment.state.lastIndex })
        : undefined,
  ],
  [
    "a commit by one who leads and has heard nothing",
    "leaderCommit",
    (moment) =>
      staysLeader(moment) && callOf(moment.step, "advance") && moment.state.commitIndex < moment.state.lastIndex
        ? showing(moment.step, { commitIndex: moment.state.lastIndex })
        : undefined,
  ],
  [
    "a commit beyond leaderCommit",
    "followerCommit",
    (moment) => {
      const message = received(moment.step, "AppendEntries");
      return isFollower(moment) &&
        message?.term === moment.state.currentTerm &&
        moment.state.commitIndex < moment.state.lastIndex
        ? showing(moment.step, { commitIndex: moment.state.lastIndex })
        : undefined;
    },
  ],

  // ---- the disk
  [
    "an acknowledgement before the save",
    "persistFirst",
    ({ step }) => {
      const effects = effectsOf(step);
      const ack = effects?.after.find(({ message }) => message.type === "AppendEntriesReply");
      return effects?.save === undefined || ack === undefined
        ? undefined
        : yielding(step, { before: [ack], after: [] });
    },
  ],
  [
    "a snapshot that is acknowledged before the save",
    "persistFirst",
    ({ step }) => {
      const effects = effectsOf(step);
      const ack = effects?.after.find(({ message }) => message.type === "InstallSnapshotReply" && message.installed);
      return effects?.save === undefined || ack === undefined
        ? undefined
        : yielding(step, { before: [...effects.before, ack], after: [] });
    },
  ],
  [
    "an acknowledgement without a save",
    "persistFirst",
    ({ step }) => {
      const effects = effectsOf(step);
      const ack = effects?.after.some(({ message }) => message.type === "AppendEntriesReply" && message.success);
      return ack === true && (effects?.save?.batches.length ?? 0) > 0 ? yielding(step, { save: undefined }) : undefined;
    },
  ],
  [
    "a message while the save is under way",
    "persistFirst",
    ({ step }) => (callOf(step, "saved") ? { call: { kind: "effects" } } : undefined),
  ],
  [
    "AppendEntries of a term that is not on disk",
    "leaderWrites",
    ({ step }) => sending(step, "before", "AppendEntries", (message) => ({ ...message, term: message.term + 1 })),
  ],
  [
    "a vote that is granted and not saved",
    "wholeSave",
    ({ step }) => {
      const { save } = effectsOf(step) ?? {};
      return save?.hardState?.votedFor === undefined
        ? undefined
        : yielding(step, { save: { ...save, hardState: { ...save.hardState, votedFor: undefined } } });
    },
    ANYWHERE,
  ],
  [
    "an entry that is left out of the save",
    "wholeSave",
    (moment) => {
      const { step } = moment;
      const { save } = effectsOf(step) ?? {};
      return save !== undefined && save.batches.length > 1 && isReported(moment)
        ? yielding(step, { save: { ...save, batches: save.batches.slice(0, -1) } })
        : undefined;
    },
    ANYWHERE,
  ],

  // ---- messages
  [
    "a reply to one who did not ask",
    "replies",
    ({ step, record }) => {
      const effects = effectsOf(step);
      const reply = effects?.after.find(({ message }) => message.type === "AppendEntriesReply");
      const other = ["a", "b", "c"].find((id) => id !== reply?.to && id !== record.start.options.id);
      return reply === undefined || effects?.after.length !== 1
        ? undefined
        : yielding(step, { after: [{ ...reply, to: other ?? "" }] });
    },
  ],
  [
    "a message that nobody has sent",
    "sent",
    ({ step }) => {
      const message = received(step, "AppendEntriesReply");
      return message?.success === false
        ? receiving(step, { ...message, conflictTerm: message.conflictTerm + 7 })
        : undefined;
    },
  ],
  [
    "a broken rule that the peer has found itself",
    "invariant",
    (moment) =>
      callOf(moment.step, "advance") ? { ...moment.step, threw: "InvariantError: it cannot be" } : undefined,
  ],

  // ---- snapshots
  [
    "a snapshot of what is not committed",
    "ownSnapshot",
    ({ step, before }) => {
      const call = callOf(step, "completeSnapshot");
      return call && before.lastIndex > before.commitIndex
        ? { ...step, call: { ...call, info: { ...call.info, index: before.commitIndex + 1 } } }
        : undefined;
    },
  ],
  [
    "a compaction beyond the snapshot",
    "compaction",
    ({ step }) => {
      const { save } = effectsOf(step) ?? {};
      return save?.snapshot !== undefined && save.compactTo !== undefined
        ? yielding(step, { save: { ...save, compactTo: save.snapshot.index + 1 } })
        : undefined;
    },
  ],
  [
    "a snapshot that is installed without one of its chunks",
    "installSnapshot",
    ({ step, record, at }) => {
      const message = received(step, "InstallSnapshot");
      const installed = record.steps.slice(at + 1).find((each) => effectsOf(each)?.restore !== undefined);
      const { index } = (installed && effectsOf(installed)?.restore) ?? {};
      if (message?.chunk !== 0 || message.lastIncludedIndex !== index || (message.info?.chunks ?? 0) < 2)
        return undefined;
      const times = record.steps
        .map((each) => received(each, "InstallSnapshot"))
        .filter((other) => other?.chunk === 0 && other.lastIncludedIndex === index).length;
      return times === 1 ? receiving(step, { ...message, chunk: 99 }) : undefined;
    },
    ANYWHERE,
  ],
  [
    "a snapshot that is sent and not there",
    "sendSnapshot",
    ({ step, state }) =>
      sending(step, "before", "InstallSnapshot", (message) => ({
        ...message,
        lastIncludedIndex: state.commitIndex + 1,
      })),
  ],

  // ---- reads
  [
    "a read that is released at an index before it came",
    "readIndex",
    ({ step }) => {
      const [read, ...others] = effectsOf(step)?.reads ?? [];
      return read === undefined ? undefined : yielding(step, { reads: [{ ...read, index: 0 }, ...others] });
    },
  ],
  [
    "a read that nobody has asked for",
    "followerReads",
    ({ step }) => {
      const [read, ...others] = effectsOf(step)?.reads ?? [];
      return read === undefined ? undefined : yielding(step, { reads: [{ ...read, id: 123_456 }, ...others] });
    },
  ],
];
