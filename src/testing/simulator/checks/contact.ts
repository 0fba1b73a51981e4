import type { PeerId } from "../../../raft/message.ts";
import { majority } from "../../../raft/quorum.ts";
import { nameOf, type Subject } from "./subject.ts";
import { expectThat } from "./violation.ts";

/** For what a turn does between looks at the clock, in milliseconds. */
const SLACK_MS = 50;

/**
 * One process: a leader that hears of no majority steps down within an election timeout, and a heartbeat (dissertation 6.2).
 * Clients would wait for it without end.
 */
export class Contact {
  readonly #others: number;
  readonly #withinMs: number;
  /** When the mail was looked at that came last from each of the others. */
  readonly #heard = new Map<PeerId, number>();
  /** When it first began a turn as the leader it is. */
  #leadsSince: number | undefined;

  constructor({
    peers,
    heartbeatMs,
    electionMs,
  }: { peers: number; heartbeatMs: number; electionMs: readonly [number, number] }) {
    this.#others = majority(peers) - 1;
    this.#withinMs = electionMs[1] + heartbeatMs + SLACK_MS;
  }

  hears(from: PeerId, at: number): void {
    this.#heard.set(from, at);
  }

  begins({ raft }: Subject, at: number): void {
    if (raft.role !== "leader") this.#leadsSince = undefined;
    else this.#leadsSince ??= at;
  }

  /** A turn that began then is over. */
  ends(subject: Subject, began: number): void {
    const since = this.#leadsSince;
    if (since === undefined || subject.raft.role !== "leader" || began - since <= this.#withinMs) return;
    let count = 0;
    for (const at of this.#heard.values()) if (began - at <= this.#withinMs) count++;
    expectThat(count >= this.#others, "steps down without a majority", () => {
      return `${nameOf(subject)} leads in term ${subject.raft.currentTerm}, and has heard of ${count} others in ${this.#withinMs} ms`;
    });
  }
}
