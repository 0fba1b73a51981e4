/** A known bug of some Raft implementation, as a change to the source: each `find` is there once. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly edits: readonly (readonly [find: string, replace: string])[];
}

function mutant(file: string, name: string, ...edits: Mutant["edits"]): Mutant {
  return { name, file: `src/${file}`, edits };
}

const VOTES: readonly Mutant[] = [
  mutant("raft/role.ts", "a vote is not saved", [
    "setTerm(state, currentTerm(state), candidate);",
    "state.hardState = { currentTerm: currentTerm(state), votedFor: candidate };",
  ]),
  mutant("raft/role.ts", "a candidate that steps down within its term forgets its vote", [
    "if (term > currentTerm(state)) setTerm(state, term);",
    'if (term > currentTerm(state) || state.role === "candidate") setTerm(state, term);',
  ]),
  mutant("raft/role.ts", "the vote is taken along into a later term", [
    "if (term > currentTerm(state)) setTerm(state, term);",
    "if (term > currentTerm(state)) setTerm(state, term, state.hardState.votedFor);",
  ]),
  mutant("raft/role.ts", "reads survive a lost leadership", ["    refuseReads(state);\n", ""]),
  mutant("raft/election.ts", "a candidate's vote for itself is not recorded", [
    "setTerm(state, currentTerm(state) + 1, state.options.id);",
    "setTerm(state, currentTerm(state) + 1);",
  ]),
  mutant("raft/raft.ts", "a vote of an earlier term counts", [
    "if (!stale) onRequestVoteReply(",
    "onRequestVoteReply(",
  ]),
  mutant("raft/election.ts", "a vote that comes twice counts twice", [
    "export function countVote(state: State, from: PeerId, now: number): void {\n  state.granted.add(from);",
    "export function countVote(state: State, from: PeerId, now: number): void {\n  state.granted.add(from + state.granted.size);",
  ]),
  mutant("raft/election.ts", "pre-votes count as votes", ["  state.granted = new Set();\n", ""]),
  mutant(
    "raft/election.ts",
    "who has voted votes again",
    ["    (votedFor === undefined || votedFor === from) &&\n    state.log", "    state.log"],
    ["    if (votedFor === undefined) vote(state, from);\n", "    vote(state, from);\n"],
  ),
  mutant("raft/log.ts", "a log is up to date by its length alone", [
    "return lastLogTerm > this.lastTerm || (lastLogTerm === this.lastTerm && lastLogIndex >= this.#lastIndex);",
    "return lastLogTerm >= 0 && lastLogIndex >= this.#lastIndex;",
  ]),
  mutant("raft/log.ts", "a log is up to date by its last term alone", [
    "(lastLogTerm === this.lastTerm && lastLogIndex >= this.#lastIndex)",
    "(lastLogTerm === this.lastTerm && lastLogIndex >= 0)",
  ]),
  mutant("raft/log.ts", "a log is always up to date", [
    "return lastLogTerm > this.lastTerm ||",
    "return true || lastLogTerm > this.lastTerm ||",
  ]),
  mutant("raft/raft.ts", "a later term in a reply is ignored", [
    "if (message.term > currentTerm(state) && tellsOfItsTerm(message)) {",
    'if (message.term > currentTerm(state) && tellsOfItsTerm(message) && !message.type.endsWith("Reply")) {',
  ]),
  mutant("raft/raft.ts", "one who is behind does not learn the term from pre-votes", [
    'return message.type !== "PreVote" && !(message.type === "PreVoteReply" && message.voteGranted);',
    'return message.type !== "PreVote" && message.type !== "PreVoteReply";',
  ]),
  mutant("raft/election.ts", "nobody stands by a leader", [
    "return now - state.lastLeaderContact < min;",
    "return now < min - min;",
  ]),
  mutant("raft/election.ts", "promises do not outlive a restart", [
    "  if (now < state.noVoteBefore) return true;\n",
    "",
  ]),
  mutant("raft/replication.ts", "a leader that hears of nobody goes on", [
    "  if (!hasQuorumContact(state, now, longest)) {\n",
    "  if (now < 0 && !hasQuorumContact(state, now, longest)) {\n",
  ]),
  mutant("raft/quorum.ts", "half is a majority", [
    "return Math.floor(voters / 2) + 1;",
    "return Math.ceil(voters / 2);",
  ]),
  mutant("raft/election.ts", "a new leader appends nothing", [
    "  state.log.append(stampBatch(packEntries(EntryKind.noop, [new Uint8Array()]), at));\n",
    "  if (at.term < 0) state.log.append(stampBatch(packEntries(EntryKind.noop, [new Uint8Array()]), at));\n",
  ]),
  mutant("raft/raft.ts", "news of a former life's death counts for the life that leads", [
    "if (state.leader === peer && state.leaderIncarnation === incarnation) {",
    "if (state.leader === peer) {",
  ]),
  mutant("raft/initial-state.ts", "a restart forgets the vote", [
    "hardState: stored.hardState,",
    "hardState: { ...stored.hardState, votedFor: undefined },",
  ]),
  mutant("raft/election.ts", "a refusal counts as a vote", [
    'if (state.role === "candidate" && message.voteGranted) countVote(',
    'if (state.role === "candidate") countVote(',
  ]),
  mutant("raft/election.ts", "who campaigns asks nobody first", [
    "if (isMajority(state, state.granted.size)) becomeCandidate(state, now);\n  else ask(",
    "if (state.granted.size > 0) becomeCandidate(state, now);\n  else ask(",
  ]),
  mutant("raft/election.ts", "a pre-vote for an earlier term counts", [
    "message.proposedTerm !== currentTerm(state) + 1 ||",
    "message.proposedTerm > currentTerm(state) + 1 ||",
  ]),
  mutant("raft/election.ts", "a pre-vote is kept as the vote", [
    '  sendAfterSave(state, from, {\n    type: "PreVoteReply",',
    '  if (voteGranted) vote(state, from);\n  sendAfterSave(state, from, {\n    type: "PreVoteReply",',
  ]),
  mutant("raft/election.ts", "a late pre-vote makes a follower campaign", [
    'if (state.role !== "pre-candidate" || message.proposedTerm',
    "if (message.proposedTerm",
  ]),
];

const REPLICATION: readonly Mutant[] = [
  mutant("raft/commit.ts", "Figure 8: an entry of an earlier term is committed by counting", [
    "if (held <= state.commitIndex || state.log.termAt(held) !== currentTerm(state)) return;",
    "if (held <= state.commitIndex || currentTerm(state) < 0) return;",
  ]),
  mutant("raft/raft.ts", "a leader counts itself before its own write is done", [
    "    state.log.append(batch);\n",
    "    state.log.append(batch);\n    state.durableIndex = batch.lastIndex;\n    advanceCommit(state, state.clock);\n",
  ]),
  mutant("raft/quorum.ts", "one less than a majority commits", [
    "descending[majority(matchIndexes.length) - 1]",
    "descending[Math.max(0, majority(matchIndexes.length) - 2)]",
  ]),
  mutant("raft/replication.ts", "what is late cuts the log", [
    "  if (conflict === undefined) return;\n",
    "  if (conflict === undefined) {\n    if (batch.lastIndex < log.lastIndex && batch.lastIndex >= state.commitIndex) log.truncateFrom(batch.lastIndex + 1);\n    return;\n  }\n",
  ]),
  mutant("raft/replication.ts", "a heartbeat cuts the log", [
    "  for (const batch of message.batches) takeIn(state, batch);\n",
    "  if (message.batches.length === 0 && prevLogIndex < log.lastIndex && prevLogIndex >= state.commitIndex) log.truncateFrom(prevLogIndex + 1);\n  for (const batch of message.batches) takeIn(state, batch);\n",
  ]),
  mutant("raft/replication.ts", "a conflict does not cut the log", [
    "    log.truncateFrom(conflict);\n    state.durableIndex = Math.min(state.durableIndex, log.lastIndex);\n",
    "    return;\n",
  ]),
  mutant("raft/replication.ts", "an empty message moves the commit over entries it has not checked", [
    "Math.min(message.leaderCommit, matchIndex)",
    "Math.min(message.leaderCommit, log.lastIndex)",
  ]),
  mutant("raft/replication.ts", "the leader's commit is taken as it is", [
    "Math.min(message.leaderCommit, matchIndex)",
    "message.leaderCommit",
  ]),
  mutant("raft/replication.ts", "the commit goes back", [
    "state.commitIndex = Math.max(state.commitIndex, Math.min(message.leaderCommit, matchIndex));",
    "state.commitIndex = Math.min(message.leaderCommit, matchIndex);",
  ]),
  mutant("raft/replication.ts", "an answer to a heartbeat acknowledges all of the log", [
    "message.batches.at(-1)?.lastIndex ?? prevLogIndex;\n  // §5.3",
    "message.batches.at(-1)?.lastIndex ?? log.lastIndex;\n  // §5.3",
  ]),
  mutant("raft/replication.ts", "an answer acknowledges what the leader has by now", [
    "    progress.matched(matchIndex);\n",
    "    progress.matched(lastIndex);\n",
  ]),
  mutant("raft/raft.ts", "an acknowledgement of an earlier term counts", [
    "if (!stale) onAppendEntriesReply(",
    "onAppendEntriesReply(",
  ]),
  mutant("raft/raft.ts", "entries of a former leader are taken", [
    "if (stale) refuseAppend(",
    "if (stale && message.batches.length === 0) refuseAppend(",
  ]),
  mutant("raft/replication.ts", "the term of the entry before is not compared", [
    "if (ourTerm === undefined ? prevLogIndex > log.lastIndex : ourTerm !== message.prevLogTerm) {",
    "if (ourTerm === undefined && prevLogIndex > log.lastIndex) {",
  ]),
  mutant("raft/replication.ts", "there need be no entry before", [
    "if (ourTerm === undefined ? prevLogIndex > log.lastIndex : ourTerm !== message.prevLogTerm) {",
    "if (ourTerm !== undefined && ourTerm !== message.prevLogTerm) {",
  ]),
  mutant("raft/log.ts", "entries that were compacted are appended again", [
    "let index = Math.max(batch.firstIndex, this.#firstIndex);",
    "let index = batch.firstIndex;",
  ]),
  mutant("raft/log.ts", "a cut leaves the terms as they were", [
    "    while ((this.#terms.at(-1)?.firstIndex ?? 0) >= index) this.#terms.pop();\n",
    "",
  ]),
  mutant("raft/log.ts", "a cut leaves the cache as it was", [
    "    this.#cached = cut(this.#cached, index, kept);\n",
    "",
  ]),
  mutant("raft/progress.ts", "a probe that was lost is not repeated", [
    "this.probing = isSilent || (transfer?.isFresh ?? false);",
    "this.probing ||= isSilent;",
  ]),
  mutant("raft/progress.ts", "the window is not freed", ["    if (freed > 0) this.#inflight.splice(0, freed);\n", ""]),
  mutant("raft/replication.ts", "the leader goes back to where it was already", [
    "  return Math.max(1, Math.min(next, message.prevLogIndex));",
    "  return Math.max(1, next, message.prevLogIndex + 1);",
  ]),
  mutant("raft/commit.ts", "nothing is committed while the next entry is of an earlier term", [
    "state.log.termAt(held) !== currentTerm(state)",
    "state.log.termAt(state.commitIndex + 1) !== currentTerm(state)",
  ]),
  mutant("raft/replication.ts", "what is before the log counts as a conflict, and cuts it", [
    "if (ourTerm === undefined ? prevLogIndex > log.lastIndex : ourTerm !== message.prevLogTerm) {\n",
    "if (ourTerm !== message.prevLogTerm) {\n    if (prevLogIndex < log.firstIndex - 1 && log.firstIndex <= log.lastIndex) log.truncateFrom(log.firstIndex);\n",
  ]),
  mutant("raft/progress.ts", "the bytes of a window are not given back when it is probed anew", [
    "    this.#inflightBytes = 0;\n",
    "",
  ]),
  mutant("raft/initial-state.ts", "a restart forgets that its snapshot is committed", [
    "Math.max(snapshot?.index ?? log.firstIndex,",
    "Math.max(log.firstIndex,",
  ]),
];

const SNAPSHOTS: readonly Mutant[] = [
  mutant("raft/snapshot.ts", "an old snapshot takes the state back", [
    "  if (lastIncludedIndex <= state.commitIndex) return true;\n",
    "",
  ]),
  mutant("raft/snapshot.ts", "a snapshot drops the entries behind it", [
    "  if (state.log.termAt(lastIncludedIndex) !== lastIncludedTerm) return false;\n  state.commitIndex = lastIncludedIndex;\n  return true;",
    "  return lastIncludedTerm < 0;",
  ]),
  mutant("raft/snapshot.ts", "a snapshot leaves a log that conflicts with it", ["  state.log.resetTo(info);\n", ""]),
  mutant("raft/snapshot.ts", "the term of a snapshot is taken for the current one", [
    "  state.configuration = info.configuration;\n",
    "  state.configuration = info.configuration;\n  state.hardState = { currentTerm: info.term, votedFor: undefined };\n  state.hardStateChanged = true;\n",
  ]),
  mutant("raft/snapshot.ts", "chunks are taken in any order", [
    "if (incoming === undefined || incoming.nextChunk !== chunk) return;",
    "if (incoming === undefined) return;",
  ]),
  mutant("raft/snapshot.ts", "chunks of two leaders are mixed", [
    "const newest = state.incoming?.from === from ? state.incoming.info.index : 0;",
    "const newest = state.incoming?.info.index ?? 0;",
  ]),
  mutant("raft/snapshot.ts", "a snapshot is acknowledged when its first chunk is there", [
    "const installed = wasInstalled || holds(state, lastIncludedIndex, lastIncludedTerm);",
    "const installed = true;",
  ]),
  mutant("raft/raft.ts", "a snapshot of a former leader is taken", [
    "        if (stale) {\n          const { lastIncludedIndex } = message;",
    "        if (stale && message.chunk > 0) {\n          const { lastIncludedIndex } = message;",
  ]),
  mutant("raft/snapshot.ts", "the log is compacted beyond the snapshot", [
    "state.log.compactTo(Math.max(0, keepFrom));",
    "state.log.compactTo(Math.min(state.log.lastIndex, info.index + 3));",
  ]),
  mutant("actors/shell.ts", "the state machine is not replaced by an installed snapshot", [
    "if (effects.restore !== undefined) this.#restore(effects.restore);",
    "if (effects.restore !== undefined) this.#snapshots.end();",
  ]),
  mutant("actors/own-snapshots.ts", "a snapshot is labelled with an earlier index", [
    "const head = { index, term, time,",
    "const head = { index: Math.max(2, index - 1), term, time,",
  ]),
  mutant("actors/own-snapshots.ts", "a snapshot has the term of a later entry", [
    "const term = raft.log.termAt(index);",
    "const term = raft.log.termAt(Math.min(raft.log.lastIndex, index + 1));",
  ]),
  mutant("machine/sessions.ts", "the sessions are not in the snapshot", [
    "Array.from(records, (record) => {",
    "Array.from([...records].slice(0, 0), (record) => {",
  ]),
  mutant("machine/key-value.ts", "the state is merged with the snapshot's", [
    "    this.#cells = cells;\n",
    "    for (const cell of this.#cells.all()) if (cells.get(cell.key) === undefined) cells.set(cell.key, cell);\n    this.#cells = cells;\n",
  ]),
  mutant("machine/key-value.ts", "a snapshot shows what was written after it", [
    "return chunks(this.#cells.all(), this.#cells.size, this.#index);",
    "const cells = this.#cells;\n    return { [Symbol.iterator]: () => chunks(cells.all(), cells.size, this.#index)[Symbol.iterator]() };",
  ]),
  mutant("machine/memory-cells.ts", "what was removed is there again when it was bytes", [
    "      this.#place(found, REMOVED, 0);\n",
    "",
  ]),
  mutant("machine/memory-cells.ts", "a snapshot lacks what was removed after it", [
    "const chunkOf = this.#chunkOf.slice(0, this.#numbers);",
    "const chunkOf = this.#chunkOf.subarray(0, this.#numbers);",
  ]),
  mutant("machine/memory-cells.ts", "a snapshot shows what was put as bytes after it", [
    "const starts = this.#starts.slice(0, this.#numbers);",
    "const starts = this.#starts.subarray(0, this.#numbers);",
  ]),
  mutant("machine/memory-cells.ts", "what was set hides what was put as bytes after it", [
    "    this.#cells[entry] = undefined;\n    this.#place(entry, number, start);",
    "    this.#place(entry, number, start);",
  ]),
  mutant("machine/key-value.ts", "a put that was not decoded says that a new key was there", [
    "return this.#put.wantsVersion ? { ok: true, version } : version > 1;",
    "return this.#put.wantsVersion ? { ok: true, version } : version > 0;",
  ]),
  mutant("raft/snapshot.ts", "a snapshot is acknowledged before its last chunk is on disk", [
    "if (installed || state.hardStateChanged) sendAfterSave(",
    "if (state.hardStateChanged) sendAfterSave(",
  ]),
  mutant("actors/snapshotter.ts", "the last chunk of a snapshot is left out", [
    "    if (this.#filled > 0 || done) {",
    "    if (this.#chunks === 0 || !done) {",
  ]),
  mutant("raft/raft.ts", "an answer to a snapshot of an earlier term counts", [
    "if (!stale) onInstallSnapshotReply(",
    "onInstallSnapshotReply(",
  ]),
  mutant("raft/progress.ts", "who has its snapshot is taken for one that is being sent it for ever", [
    "if (this.transfer !== undefined && matchIndex < this.transfer.snapshot.index) return;",
    "if (this.transfer !== undefined) return;",
  ]),
  mutant("raft/snapshot.ts", "chunks of the own snapshot and of the leader's are mixed", [
    "    state.incoming = undefined;\n    state.isBuilding = true;\n",
    "    state.isBuilding = true;\n",
  ]),
];

const APPLYING: readonly Mutant[] = [
  mutant("actors/replica.ts", "the last entry of a snapshot is applied again", [
    "    this.#lastApplied = index;\n    this.#lastTime = time;\n    if (machine",
    "    this.#lastApplied = index - 1;\n    this.#lastTime = time;\n    if (machine",
  ]),
  mutant(
    "actors/pending.ts",
    "who waits at an index gets the result of another's command",
    ["if (waiting.term !== term) {", "if (waiting.term < 0) {"],
    ["(waiting) => waiting.term < term", "(waiting) => waiting.term < 0"],
  ),
  mutant("actors/pending.ts", "what an earlier leader had appended waits for its index", [
    "(waiting) => waiting.term < term",
    "(waiting) => waiting.term < 0",
  ]),
  mutant("actors/pending.ts", "what gives way to a later term counts as large as before", [
    "    this.#bytes -= waiting.bytes;\n    this.#tellResults(waiting, answers);\n    const",
    "    this.#tellResults(waiting, answers);\n    const",
  ]),
  mutant(
    "machine/sessions.ts",
    "a command that comes twice is carried out twice",
    ["if (sequence <= session.lastSequence) {", "if (sequence < session.lastSequence) {"],
    ["if (sequence !== session.lastSequence + 1) {", "if (sequence > session.lastSequence + 1) {"],
  ),
  mutant("actors/shell.ts", "answers leave before the save", [
    "      this.#outbox.send(effects.before);\n",
    "      this.#outbox.send([...effects.before, ...effects.after]);\n",
  ]),
  mutant("actors/shell.ts", "a write that failed is passed over", [
    "        this.#save(effects.save);\n",
    "        try {\n          this.#save(effects.save);\n        } catch (error) {\n          if (!(error instanceof Error && error.name === 'RaftError')) throw error;\n        }\n",
  ]),
  mutant("raft/log.ts", "a leader sends what it read before that was cut off", [
    "    if (index <= (this.#held.at(-1)?.lastIndex ?? 0)) this.#hold([]);\n",
    "",
  ]),
  mutant("actors/applier.ts", "a peer applies what is not committed", [
    "Math.min(this.#fetched.at(-1)?.lastIndex ?? 0, raft.commitIndex)",
    "this.#fetched.at(-1)?.lastIndex ?? 0",
  ]),
  mutant(
    "actors/applier.ts",
    "a peer applies what it fetched before that was cut off",
    ["Math.min(this.#fetched.at(-1)?.lastIndex ?? 0, raft.commitIndex)", "this.#fetched.at(-1)?.lastIndex ?? 0"],
    [
      "const { raft, replica, now } = this.#options;\n",
      "const { raft, replica, now } = this.#options;\n    const { commitIndex } = raft;\n",
    ],
    ["Math.min(batch.lastIndex, this.#fetchedTo), until", "Math.min(batch.lastIndex, commitIndex), until"],
    ["    if (isInTime) this.#letGo();\n", ""],
    [
      "if (!isInTime || batch.lastIndex >= this.#fetchedTo) break;",
      "if (!isInTime || batch.lastIndex >= commitIndex) break;",
    ],
  ),
  mutant("actors/pending.ts", "what a snapshot covers is said not to be applied", [
    'message, outcome: "unknown" };',
    'message, outcome: "not-applied" };',
  ]),
  mutant("actors/shell.ts", "who waits behind a snapshot is never told", [
    "    this.#pending.coveredBySnapshot(snapshot, this.#replies.ready);\n",
    "",
  ]),
  mutant("actors/unused-buffers.ts", "what was not applied yet is given back", [
    "if (lastIndex <= lastApplied && isLast",
    "if (isLast",
  ]),
  mutant("actors/unused-buffers.ts", "a packet is given back with its first batch", [
    "if (lastIndex <= lastApplied && isLast)",
    "if (lastIndex <= lastApplied)",
  ]),
  mutant("actors/unused-buffers.ts", "what the log lets go of is given back before messages have left", [
    "    this.#evicted.push(batch);",
    "    this.#evicted.push(batch);\n    if (batch.lastIndex % 2 === 0) this.release(batch.lastIndex);",
  ]),
  mutant("actors/shell.ts", "chunks of a snapshot are given back before they are saved", [
    "this.#unused.passed(delivery.bytes);",
    "this.#options.release?.(delivery.bytes.buffer);",
  ]),
  mutant("actors/shell.ts", "chunks of a snapshot are given back before they have left", [
    "      this.#outbox.send(effects.before);\n",
    '      for (const { message } of effects.before)\n        if (message.type === "InstallSnapshot") this.#options.release?.(message.data.buffer as ArrayBuffer);\n      this.#outbox.send(effects.before);\n',
  ]),
  mutant("actors/replica.ts", "a state that is coming in stays in the packets in which it came", [
    "incoming.add(data.slice());",
    "incoming.add(data);",
  ]),
  mutant("actors/incoming-state.ts", "the state of the leader comes without its sessions", [
    "const restored = Sessions.restore(sessions);",
    "const restored = Sessions.restore([]);",
  ]),
  mutant("actors/applier.ts", "what the log has is given back when it is applied", [
    "if (this.#isStored) for (const { bytes } of this.#fetched)",
    "for (const { bytes } of this.#fetched)",
  ]),
  mutant("raft/log.ts", "what is held for the next message is given back", [
    "for (const batch of this.#held) this.#onEvicted(batch);",
    "for (const batch of batches) this.#onEvicted(batch);",
  ]),
];

const READS: readonly Mutant[] = [
  mutant("raft/reads.ts", "a new leader serves reads before it has committed anything", [
    "return state.log.termAt(state.commitIndex) === currentTerm(state);",
    "return currentTerm(state) > 0;",
  ]),
  mutant("raft/reads.ts", "a leader serves reads without asking anybody", [
    "  for (const progress of state.progress.values()) if (progress.ackedRound >= round) count++;\n",
    "  for (const progress of state.progress.values()) if (progress.ackedRound >= 0 * round) count++;\n",
  ]),
  mutant("raft/reads.ts", "a round that began before the read confirms it", [
    "state.waitingReads.push({ id, from, round: state.round + 1, index });",
    "state.waitingReads.push({ id, from, round: state.round, index });",
  ]),
  mutant("raft/raft.ts", "the refusal of an earlier term's round confirms reads of the later one", [
    "refuseAppend(state, from, { ...message, round: NO_ROUND }, message.prevLogIndex, -1)",
    "refuseAppend(state, from, message, message.prevLogIndex, -1)",
  ]),
  mutant("actors/shell.ts", "a read is served before its index is applied", [
    "this.#queries.release(id, index);",
    "this.#queries.release(id, Math.min(0, index));",
  ]),
  mutant("raft/raft.ts", "a follower serves reads by itself", [
    'else if (state.role === "follower" && state.leader !== undefined) state.unforwarded.push(id);',
    'else if (state.role === "follower" && state.leader !== undefined) state.reads.push({ id, index: state.commitIndex });',
  ]),
  mutant("raft/reads.ts", "a lease lasts too long", [
    "now - since < leaseMs ? state.commitIndex",
    "now - since < 3 * leaseMs ? state.commitIndex",
  ]),
  mutant("raft/reads.ts", "a lease runs from when the answer came", [
    "progress.ackedAt = Math.max(progress.ackedAt, at);",
    "progress.ackedAt = Math.max(progress.ackedAt, state.clock);",
  ]),
  mutant("raft/reads.ts", "a lease is used before anything was committed in the term", [
    "|| leaseMs <= 0 || !knowsCommit(state)) return undefined;",
    "|| leaseMs <= 0) return undefined;",
  ]),
  mutant("raft/initial-state.ts", "questions of two lives have the same tokens", [
    "nextToken: (options.incarnation ?? 0) * 2 ** 32,",
    "nextToken: 0,",
  ]),
];

const STORAGE: readonly Mutant[] = [
  mutant("storage/record-store.ts", "a save is several writes", [
    "      this.#records.commit([...writes, ...swept.writes]);\n",
    "      for (const write of [...writes, ...swept.writes]) this.#records.commit([write]);\n",
  ]),
  mutant("storage/record-store.ts", "the term is written first, and the vote after it", [
    "      this.#records.commit([...writes, ...swept.writes]);\n",
    '      if (save.hardState !== undefined) this.#records.commit([metaWrite("hardState", { ...save.hardState, votedFor: undefined })]);\n      this.#records.commit([...writes, ...swept.writes]);\n',
  ]),
  mutant("storage/record-store.ts", "the term is not written together with entries", [
    "if (save.hardState !== undefined) writes.push(",
    "if (save.hardState !== undefined && save.batches.length === 0) writes.push(",
  ]),
  mutant("storage/log-records.ts", "a cut leaves the terms on disk", [
    'for (const table of ["log", "terms"] as const) {\n    for (const key of records.keysFrom(table, from',
    'for (const table of ["log"] as const) {\n    for (const key of records.keysFrom(table, from',
  ]),
  mutant("storage/log-records.ts", "a log that is reset begins over what it had", [
    "log.shift + Math.max(0, log.lastIndex + 1 - index);",
    "log.shift + 0 * (log.lastIndex + 1 - index);",
  ]),
  mutant("storage/opening.ts", "the number of a life is not saved", [
    '  if (used) records.commit([metaWrite("incarnation", incarnation)]);\n',
    "",
  ]),
  mutant("storage/opening.ts", "who has lost its disk takes part again", [
    "  if (born) throw storeLost(identity);\n",
    "",
  ]),
  mutant("storage/codec.ts", "checksums of the log are not looked at", [
    "  if (!hasChecksum(record, crc32(record.subarray(CHECKSUM_BYTES)))) {\n",
    "  if (record.byteLength < CHECKSUM_BYTES) {\n",
  ]),
  mutant("storage/sweeping.ts", "what is swept reaches into what is in use", [
    "return [[0, log.firstIndex + log.shift]];",
    "return [[0, log.firstIndex + log.shift + 2]];",
  ]),
  mutant("storage/record-store.ts", "a durable machine's state is written apart from its index", [
    "      this.#records.commit([...writes, ...swept.writes]);\n",
    '      const state = writes.filter(({ table }) => table === "machine");\n      if (state.length > 0) this.#records.commit(state);\n      this.#records.commit([...writes, ...swept.writes]);\n',
  ]),
  mutant("storage/opening.ts", "a broken end of the log is taken for a write that was torn", [
    '  const lastKey = records.floor("log", Number.MAX_SAFE_INTEGER) ?? 0;\n',
    '  let lastKey = records.floor("log", Number.MAX_SAFE_INTEGER) ?? 0;\n  try {\n    batchAt(records, pointer, lastKey - shift);\n  } catch {\n    lastKey = records.floor("log", lastKey - 1) ?? 0;\n  }\n',
  ]),
];

/*
 * Not among them, since something else in the design takes the harm out of them:
 *
 * - Election timeouts that are not random (§5.2). Who asks before it campaigns takes no votes from another, and delays are
 *   never the same twice: one of them gets ahead all the same.
 * - Progress that a late rejection takes back (etcd #1366). `Progress.probe` does not go below what is known to match.
 * - `durableIndex` that is not lowered by a cut, or an acknowledgement of a write whose entries were replaced meanwhile
 *   (hashicorp and etcd: "ABA"). Writes are synchronous: between the save and the report of it nothing is taken in, and the
 *   report sets it anew.
 * - A grant of a former leader to a read that was asked about in an earlier term. It led when it was asked, so the index is
 *   good for that read.
 * - Messages of a peer's former life that are taken (the network's fencing aside). It had made durable what it says, and
 *   whoever asks puts the number of its life into what has to come back.
 * - A refusal alone of what stands before the log (openraft #511, without the cut). Only one whose acknowledgements were lost
 *   is asked for that, and the leader compacts its own log before long: then the follower gets the snapshot.
 * - A transfer of a snapshot that ends only with an acknowledgement of exactly its index (etcd). A follower that acknowledges
 *   more than that has all that the leader has; the leader's next snapshot ends it.
 * - A repeated RequestVote of the same candidate that gets no second vote. It costs a term, and nothing else.
 */

/** The bugs that are planted, one at a time. */
export const MUTANTS: readonly Mutant[] = [...VOTES, ...REPLICATION, ...SNAPSHOTS, ...APPLYING, ...READS, ...STORAGE];
