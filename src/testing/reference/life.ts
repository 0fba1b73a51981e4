import { endSave } from "./disk.ts";
import { takeEffects } from "./effects.ts";
import { demandMajority } from "./leader.ts";
import type { PlainLog } from "./plain-log.ts";
import { eachEntry } from "./plain-log.ts";
import { addRead, demandLease } from "./reads.ts";
import { receive } from "./receive.ts";
import { demand } from "./rules.ts";
import { Server } from "./server.ts";
import { completeSnapshot } from "./snapshots.ts";
import type { Call, Shown, Start, Step } from "./trace.ts";
import { adopt, type Permits } from "./transitions.ts";

/** One life of a server: takes its steps one by one, and throws `Forbidden` at the first that is not permitted. */
export class ReferenceLife {
  readonly server: Server;
  #shown: Shown;

  /** @param log see {@link Server}. */
  constructor(start: Start, log?: PlainLog) {
    this.server = new Server(start, log);
    this.#shown = start.state;
    const { server } = this;
    const { role, currentTerm, votedFor, leader, commitIndex, lastIndex } = start.state;
    demand(
      role === "follower" &&
        leader === undefined &&
        currentTerm === server.currentTerm &&
        votedFor === server.votedFor &&
        commitIndex === server.commitIndex &&
        lastIndex === server.log.lastIndex,
      "restart",
      () => `it begins as a ${role} of term ${currentTerm}, with ${commitIndex} of ${lastIndex} committed`,
    );
  }

  take({ call, changed, threw }: Step): void {
    const { server } = this;
    const before = this.#shown;
    const shown = { ...before, ...changed };
    this.#shown = shown;
    if (threw !== undefined) {
      demand(!threw.startsWith("InvariantError"), "invariant", () => threw);
      return;
    }
    if ("now" in call) server.clock = Math.max(server.clock, call.now);
    demand(
      server.saving === undefined || call.kind === "saved",
      "persistFirst",
      () => `${call.kind} before the save is durable`,
    );
    adopt(server, before, shown, permitsOf(server, call, shown));
    const isElected = server.role === "leader" && before.role !== "leader";
    demand(
      shown.lastIndex === server.log.lastIndex,
      isElected ? "noop" : server.role === "leader" ? "appendOnly" : "conflict",
      () => `its log ends at ${shown.lastIndex}, and should end at ${server.log.lastIndex}`,
    );
    noteAsked(server);
  }
}

/** What a call permits; what it does to anything but roles, votes and commits is done here. */
function permitsOf(server: Server, call: Call, shown: Shown): Permits {
  switch (call.kind) {
    case "step":
      return receive(server, call, shown);
    case "advance":
      // Dissertation 6.2: a leader that has lost touch with a majority steps down.
      if (server.role === "leader") return { stepDown: "it has lost touch", leaders: [undefined] };
      return { campaign: "anew", leaders: [undefined] };
    case "propose":
      if (call.returned !== undefined) appendRequest(server, call.digests, call.returned);
      return {};
    case "read":
      if (call.returned !== true) return {};
      if (server.role === "leader") addRead(server, server.id, call.id);
      else server.forwardedReads.set(call.id, server.turn);
      return {};
    case "leaseIndex":
      if (call.returned !== undefined) demandLease(server, call.returned, call.now);
      return {};
    case "completeSnapshot":
      completeSnapshot(server, call.info);
      return {};
    case "saved":
      endSave(server);
      // Its own vote and its own copies count from here on.
      if (server.role === "candidate" && server.durable.votedFor === server.id) server.votesGranted.add(server.id);
      return { election: true, commit: (index) => demandMajority(server, index) };
    case "peerDied":
      if (server.leader !== call.peer || server.leaderIncarnation !== call.incarnation) return {};
      server.lastLeaderContact = Number.NEGATIVE_INFINITY;
      return { leaders: [undefined] };
    case "effects":
      takeEffects(server, call.returned);
      return {};
    case "stageChunk":
    case "unreachable":
      return {};
  }
}

/** ClientRequest(i, v). */
function appendRequest(
  server: Server,
  digests: Uint8Array,
  { firstIndex, lastIndex, term }: { readonly firstIndex: number; readonly lastIndex: number; readonly term: number },
): void {
  const { role, currentTerm, log } = server;
  demand(
    role === "leader" && term === currentTerm && firstIndex === log.lastIndex + 1,
    "clientRequest",
    () => `a ${role} of term ${currentTerm} appends at ${firstIndex} in term ${term} behind ${log.lastIndex}`,
  );
  eachEntry([{ firstIndex, lastIndex, term, digests }], (_index, entry) => server.append(entry));
}

/** What a candidate may ask, as it is now. */
function noteAsked({ role, currentTerm, log, asked }: Server): void {
  if (role !== "pre-candidate" && role !== "candidate") return;
  const last = { lastLogIndex: log.lastIndex, lastLogTerm: log.lastTerm };
  if (role === "candidate") asked.push({ type: "RequestVote", term: currentTerm, ...last });
  else asked.push({ type: "PreVote", term: currentTerm + 1, ...last });
}
