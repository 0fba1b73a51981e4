import { DurableState } from "../../../actors/durable-state.ts";
import type { LaneReply, LaneRequest } from "../../../actors/protocol.ts";
import { Replica } from "../../../actors/replica.ts";
import { decodeFrame, forEachFrame, type Packet } from "../../../actors/wire.ts";
import { isDurable } from "../../../machine/load.ts";
import type { AnyStateMachine } from "../../../machine/state-machine.ts";
import type { Save } from "../../../raft/effects.ts";
import type { PeerId } from "../../../raft/message.ts";
import type { MachineTable } from "../../../storage/store.ts";
import type { Plan } from "../plan.ts";
import { Acknowledged } from "./acknowledged.ts";
import { checkAnswer } from "./answers.ts";
import { checkAppendOnly } from "./append-only.ts";
import { checkBounds } from "./bounds.ts";
import { Calls } from "./calls.ts";
import { Commits } from "./commits.ts";
import { DiskImage, EntryRecord } from "./disk-image.ts";
import { Consents, ElectionSafety, Votes } from "./elections.ts";
import { Monotone, TermsOnDisk } from "./monotone.ts";
import { Promises } from "./promises.ts";
import { States, type WatchedMachine } from "./states.ts";
import { nameOf, type Subject } from "./subject.ts";
import { Violation } from "./violation.ts";

const NO_CALLS = { enter: () => {}, leave: () => {} };
/** Under a durable state that is never saved. */
const NO_TABLE: MachineTable = {
  get: () => undefined,
  page: () => [],
  freeze: () => ({ page: () => [], release: () => {} }),
  replace: () => {},
};

/** All that is checked while a world runs; each throws a Violation, and tells `report` of it, whoever catches it. */
export class Checker {
  readonly images: ReadonlyMap<PeerId, DiskImage>;
  readonly commits: Commits;
  readonly #calls: Calls;
  readonly #states: States;
  readonly #reference: WatchedMachine;
  readonly #elections = new ElectionSafety();
  readonly #consents: Consents;
  readonly #votes: Votes;
  readonly #promises: Promises;
  readonly #acknowledged = new Acknowledged();
  readonly #terms = new TermsOnDisk();
  readonly #monotone = new Map<Subject, Monotone>();
  readonly #report: (violation: unknown) => void;
  readonly #snapshotEvery: number;

  constructor(
    peers: readonly PeerId[],
    reference: AnyStateMachine,
    { snapshotEvery, electionMs }: Pick<Plan, "snapshotEvery" | "electionMs">,
    report: (violation: unknown) => void,
  ) {
    const record = new EntryRecord();
    this.#report = report;
    this.#snapshotEvery = snapshotEvery;
    this.#consents = new Consents(peers.length);
    this.#votes = new Votes(peers.length);
    this.#promises = new Promises(electionMs[0]);
    this.images = new Map(peers.map((id) => [id, new DiskImage(id, record)]));
    this.#states = new States(report);
    const name = "the full replay";
    // It decodes all commands, so that a machine that takes some as bytes has to come to the same.
    this.#reference = this.#states.watch(reference, name, { decodes: true });
    const replay: AnyStateMachine = this.#reference;
    const held = isDurable(replay) ? new DurableState(replay, NO_TABLE) : replay;
    const replica = new Replica(name, held, NO_CALLS);
    replica.start({ applied: undefined, snapshot: undefined }, () => []);
    this.commits = new Commits(this.images, replica);
    this.#calls = new Calls(this.commits);
  }

  watch(machine: AnyStateMachine, who: string): WatchedMachine {
    return this.#states.watch(machine, who);
  }

  /** After anything that may have changed what can be seen of a process. */
  observe(subject: Subject): void {
    let monotone = this.#monotone.get(subject);
    if (monotone === undefined) {
      monotone = new Monotone();
      this.#monotone.set(subject, monotone);
    }
    // Mostly there is nothing new, and this is asked at every step of every process.
    if (monotone.hasChanged(subject)) this.#try(() => this.#observe(subject, monotone));
  }

  #observe(subject: Subject, monotone: Monotone): void {
    monotone.check(subject);
    const { raft } = subject;
    if (raft.role === "leader" && this.#elections.leads(subject)) {
      this.#votes.leads(subject);
      this.#promises.leads(subject);
      this.commits.elected(subject);
    }
    this.#elections.follows(subject);
    this.commits.check(subject);
    checkBounds(subject, this.#snapshotEvery);
  }

  /** A packet is about to leave. */
  sends(subject: Subject, { to, bytes }: Packet): void {
    this.#try(() => {
      forEachFrame(bytes, (type, start, end) => {
        if (type === "AppendEntries" || type === "InstallSnapshot") return;
        const message = decodeFrame(bytes, type, start, end);
        checkAnswer(subject, message);
        this.#consents.sends(subject, to, message);
        this.#votes.sends(subject, to, message);
        this.#promises.sends(subject, to, message);
        this.#acknowledged.sends(subject, message);
        if (message.type === "AppendEntriesReply" && message.success) {
          this.commits.acknowledged(subject, message.term, message.matchIndex);
        }
      });
    });
  }

  /** A save of this process is durable. */
  saved(subject: Subject, save: Save): void {
    this.#try(() => {
      checkAppendOnly(subject, save);
      this.#acknowledged.saved(subject, save);
      subject.image.apply(save);
      this.#terms.saved(subject);
    });
  }

  snapshot(subject: Subject, index: number, term: number): void {
    this.#try(() => this.commits.checkSnapshot(subject, index, term));
  }

  /** All have applied all: their states are equal, whatever the last index is. */
  compareAtEnd(machine: WatchedMachine): void {
    const end = this.commits.lastIndex + 1;
    this.#states.compare(this.#reference, end);
    this.#states.compare(machine, end);
  }

  /** A process takes mail of a client. */
  takes(subject: Subject, client: number, request: LaneRequest): void {
    this.#calls.takes(subject, client, request);
  }

  /** A process has replied to a client. */
  replies(client: number, reply: LaneReply): void {
    this.#try(() => this.#calls.replies(client, reply));
  }

  /** Whether these have answered all that they must. */
  haveAnswered(subjects: ReadonlySet<Subject>): boolean {
    return this.#calls.areAnswered(subjects);
  }

  /** All is over: nothing more will be committed. */
  checkRefused(): void {
    this.#try(() => this.#calls.checkRefused());
  }

  /** A peer's process has lost its disk, at least. */
  died(process: Pick<Subject, "id" | "incarnation">): void {
    this.#promises.died(process);
  }

  ended(subject: Subject): void {
    this.#monotone.delete(subject);
    this.commits.ended(subject);
  }

  /** Something happened that nothing in this world explains. */
  broken(subject: Pick<Subject, "id" | "incarnation">, error: unknown): void {
    this.#try(() => {
      if (error instanceof Violation) throw error;
      throw new Violation(
        "no crash of the code",
        `${nameOf(subject)}: ${error instanceof Error ? error.stack : String(error)}`,
      );
    });
  }

  #try(check: () => void): void {
    try {
      check();
    } catch (violation) {
      this.#report(violation);
      throw violation;
    }
  }
}
