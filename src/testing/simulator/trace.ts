import type { TracedMessage, TraceStep } from "../../actors/protocol.ts";
import { describeStep } from "../timeline.ts";
import type { Watcher } from "./world.ts";

const TIME_WIDTH = 10;
const COLUMN_WIDTH = 30;

/** Writes down what happens in a run: a line a happening, a column a peer. Keeps the last lines. */
export class Trace implements Watcher {
  readonly #peers: number;
  readonly #most: number;
  #lines: string[] = [];
  #dropped = 0;

  /** @param most lines are kept. */
  constructor(peers: number, most: number) {
    this.#peers = peers;
    this.#most = most;
  }

  step(peer: string, step: TraceStep): void {
    const text = describe(step);
    if (text !== undefined) this.#add(peer, step.at, text);
  }

  note(peer: string | undefined, at: number, text: string): void {
    this.#add(peer, at, text);
  }

  /** With a head, and a word on what is left out. */
  get lines(): readonly string[] {
    const names = Array.from({ length: this.#peers }, (_, at) => `p${at + 1}`.padEnd(COLUMN_WIDTH));
    const head = `${"seconds".padEnd(TIME_WIDTH)}${names.join("").trimEnd()}`;
    const cut = this.#dropped > 0 ? [`(${this.#dropped} lines before)`] : [];
    return [head, ...cut, ...this.#lines];
  }

  #add(peer: string | undefined, at: number, text: string): void {
    const column = peer === undefined ? 0 : Number(peer.slice(1)) - 1;
    const time = (at / 1_000).toFixed(4).padEnd(TIME_WIDTH);
    this.#lines.push(time + " ".repeat(column * COLUMN_WIDTH) + (peer === undefined ? `-- ${text}` : text));
    if (this.#lines.length < 2 * this.#most) return;
    this.#dropped += this.#most;
    this.#lines = this.#lines.slice(this.#most);
  }
}

function describe(step: TraceStep): string | undefined {
  switch (step.kind) {
    case "receive":
      return isDull(step.message) ? undefined : `${step.from}> ${describeMessage(step.message)}`;
    case "send":
      return isDull(step.message) ? undefined : `>${step.to} ${describeMessage(step.message)}`;
    case "propose":
      return `takes ${step.firstIndex === step.lastIndex ? step.firstIndex : `${step.firstIndex}..${step.lastIndex}`}`;
    case "snapshot":
      return step.installed ? `installs snapshot ${step.index}` : `snapshot ${step.index}`;
    default:
      return describeStep(step);
  }
}

/** Heartbeats that say nothing. */
function isDull(message: TracedMessage): boolean {
  return message.type === "AppendEntries" && message.isQuiet;
}

/** A message in a few characters: its kind, `t` for the term, and what it is about. */
function describeMessage(message: TracedMessage): string {
  const { term } = message;
  switch (message.type) {
    case "PreVote":
    case "RequestVote":
      return `${message.type} t${term}, log ${message.lastLogIndex}/t${message.lastLogTerm}`;
    case "PreVoteReply":
    case "RequestVoteReply":
      return `${message.voteGranted ? "yes" : "no"}, ${message.type === "PreVoteReply" ? "pre " : ""}t${term}`;
    case "AppendEntries": {
      const { prevLogIndex, prevLogTerm, lastIndex, leaderCommit } = message;
      const entries = lastIndex > prevLogIndex ? `+${prevLogIndex + 1}..${lastIndex}` : "+0";
      return `AE t${term} @${prevLogIndex}/t${prevLogTerm} ${entries} c${leaderCommit}`;
    }
    case "AppendEntriesReply":
      return message.success
        ? `AE ok t${term} to ${message.matchIndex}`
        : `AE no t${term} @${message.prevLogIndex} try ${message.conflictIndex}`;
    case "InstallSnapshot":
      return `IS t${term} of ${message.lastIncludedIndex} #${message.chunk}`;
    case "InstallSnapshotReply":
      return `IS ${message.installed ? "done" : `next #${message.nextChunk}`} t${term} of ${message.lastIncludedIndex}`;
    case "ReadIndex":
      return `read? t${term}`;
    case "ReadIndexReply":
      return message.granted ? `read at ${message.index} t${term}` : `read no t${term}`;
  }
}
