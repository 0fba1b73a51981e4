import { write } from "./disk.ts";
import { History } from "./history.ts";
import { ReferenceLife } from "./life.ts";
import type { PlainLog } from "./plain-log.ts";
import { demand, Forbidden, RULES, type Rule } from "./rules.ts";
import type { Durable, Server } from "./server.ts";
import type { Call, Life, Outgoing, Start } from "./trace.ts";
import { type Place, Wire } from "./wire.ts";

/** Why traces are not those of a cluster that does what the specification says. */
export interface Rejection {
  readonly peer: string;
  readonly incarnation: number;
  /** Of the steps of that life, from 0; undefined when it is about the life as a whole, or its start. */
  readonly step: number | undefined;
  readonly rule: Rule;
  /** The rule in a sentence, and where it stands: in the paper, in raft.tla, in the dissertation. */
  readonly section: string;
  /** What the peer did. */
  readonly reason: string;
}

/** What the reference says of the traces of a cluster. */
export type Conformance =
  | { readonly accepted: true; readonly lives: number; readonly steps: number }
  | { readonly accepted: false; readonly rejection: Rejection };

/**
 * Judges the lives of all peers of a cluster by a reference that was written from Figure 2, §5 to §8 and raft.tla, and has
 * nothing in common with the algorithm that it judges: every step of every peer must be one that the specification, or a
 * refinement of it that is named, permits; what is received must have been sent; what a life leaves must be what the next
 * begins with; and the properties of Figure 3 must hold for all together.
 *
 * @param lives in any order. A peer, or a life, that is left out is not judged, and what others heard of it is believed.
 * They must be over: of a cluster that goes on one record would hold messages that the one read before does not.
 */
export function checkConformance(lives: readonly Life[]): Conformance {
  const court = new Court();
  try {
    court.judge(lives);
  } catch (error) {
    if (!(error instanceof Forbidden)) throw error;
    const { rule, message: reason } = error;
    return { accepted: false, rejection: { ...court.place, rule, section: RULES[rule], reason } };
  }
  return { accepted: true, lives: lives.length, steps: lives.reduce((sum, { steps }) => sum + steps.length, 0) };
}

/** A rejection as a sentence. */
export function explainRejection({ peer, incarnation, step, rule, section, reason }: Rejection): string {
  const where = step === undefined ? "" : `, step ${step}`;
  return `${peer}, incarnation ${incarnation}${where}: ${reason}\n${rule}: ${section}`;
}

function incarnationOf({ options }: Start): number {
  return options.incarnation ?? 0;
}

/** What a life may have left on its disk. */
interface Left {
  readonly incarnation: number;
  readonly disks: readonly Durable[];
}

class Court {
  /** What is looked at. */
  place: Place = { peer: "", incarnation: 0, step: undefined };
  readonly #history = new History();
  readonly #wire = new Wire();
  /** Where each term's leader was elected. */
  readonly #elections = new Map<number, Place>();
  /** Messages with votes that leave when the save under way is durable. */
  #held: readonly Outgoing[] = [];

  judge(lives: readonly Life[]): void {
    const inOrder = lives.toSorted((one, other) => incarnationOf(one.start) - incarnationOf(other.start));
    for (const peer of new Set(lives.map(({ start }) => start.options.id))) {
      let before: Left | undefined;
      for (const life of inOrder) if (life.start.options.id === peer) before = this.#judgeLife(life, before);
    }
    this.#wire.check((place) => {
      this.place = place;
    });
    this.#history.checkLeaders((peer, term) => {
      this.place = this.#elections.get(term) ?? { peer, incarnation: 0, step: undefined };
    });
  }

  /**
   * @param before what an earlier life has left; undefined when that is not known.
   * @returns what this one has left.
   */
  #judgeLife({ start, steps, isCut }: Life, before: Left | undefined): Left | undefined {
    const peer = start.options.id;
    const incarnation = incarnationOf(start);
    this.place = { peer, incarnation, step: undefined };
    this.#wire.begin(peer, incarnation, isCut);
    this.#held = [];
    const life = new ReferenceLife(start, inherit(start, before));
    const { server } = life;
    this.#history.committed(server, 0);
    steps.forEach((step, at) => {
      this.place = { peer, incarnation, step: at };
      const { commitIndex, role } = server;
      this.#exchange(step.call, step.threw !== undefined);
      life.take(step);
      if (server.commitIndex > commitIndex) this.#history.committed(server, commitIndex);
      if (server.role === "leader" && role !== "leader") {
        if (!this.#elections.has(server.currentTerm)) this.#elections.set(server.currentTerm, this.place);
        this.#history.leads(peer, server.currentTerm, server.log);
      }
    });
    return isCut ? undefined : { incarnation, disks: leftBy(server) };
  }

  /** Notes what goes over the wire, and the votes. */
  #exchange(call: Call, threw: boolean): void {
    const { peer, incarnation } = this.place;
    if (call.kind === "step") this.#wire.receive(call.from, call.incarnation, call.message, this.place);
    if (threw) return;
    if (call.kind === "saved") {
      this.#wire.saved(peer, incarnation);
      this.#noteVotes(peer, this.#held);
      this.#held = [];
    }
    if (call.kind !== "effects" || call.returned === undefined) return;
    const { before, save, after } = call.returned;
    this.#wire.send(peer, incarnation, before, false);
    this.#wire.send(peer, incarnation, after, save !== undefined);
    if (save === undefined) this.#noteVotes(peer, after);
    else this.#held = after;
  }

  #noteVotes(peer: string, after: readonly Outgoing[]): void {
    for (const { to, message } of after) {
      if (message.type === "RequestVote") this.#history.voted(peer, message.term, peer);
      if (message.type === "RequestVoteReply" && message.voteGranted) this.#history.voted(peer, message.term, to);
    }
  }
}

/** What may be on the disk at the end of a life: with the save that was under way, or without. */
function leftBy({ durable, saving }: Server): readonly Durable[] {
  if (saving === undefined) return [durable];
  const written = { ...durable, log: durable.log.copy() };
  write(written, saving);
  return [durable, written];
}

/**
 * Restart(i): term, vote, log and snapshot are those that the life before has left.
 * @returns the log that it has left, undefined when there was no such life, or another in between of which nothing is told.
 */
function inherit(start: Start, before: Left | undefined): PlainLog | undefined {
  const { stored } = start;
  const { hardState, snapshot, firstIndex, lastIndex, used } = stored;
  const { currentTerm, votedFor } = hardState;
  if (before === undefined) {
    const isEmpty = currentTerm === 0 && votedFor === undefined && lastIndex === 1 && snapshot === undefined;
    demand(
      used || isEmpty,
      "restart",
      () => `its first life begins in term ${currentTerm} with a log up to ${lastIndex}`,
    );
    return undefined;
  }
  const fits = before.disks.find(
    (durable) =>
      durable.currentTerm === currentTerm &&
      durable.votedFor === votedFor &&
      durable.snapshot?.index === snapshot?.index &&
      durable.log.lastIndex === lastIndex &&
      hasTerms(durable.log, stored),
  );
  const isNext = incarnationOf(start) <= before.incarnation + 1;
  if (fits === undefined && !isNext) return undefined;
  const was = before.disks.map(
    ({ currentTerm, votedFor, log }) =>
      `term ${currentTerm}, a vote for ${votedFor ?? "nobody"}, a log up to ${log.lastIndex} of term ${log.lastTerm}`,
  );
  demand(
    fits !== undefined,
    "restart",
    () =>
      `it begins with term ${currentTerm}, a vote for ${votedFor ?? "nobody"} and a log of ${firstIndex}..${lastIndex}; ` +
      `its life before has left ${was.join(", or ")}`,
  );
  return fits.log;
}

function hasTerms(log: PlainLog, { firstIndex, lastIndex, terms }: Start["stored"]): boolean {
  for (let index = Math.max(firstIndex, log.baseIndex); index <= lastIndex; index++) {
    const term = terms.findLast((run) => run.firstIndex <= index)?.term;
    if (log.termAt(index) !== term) return false;
  }
  return true;
}
