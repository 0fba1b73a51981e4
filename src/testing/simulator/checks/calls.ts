import type { LaneReply, LaneRequest } from "../../../actors/protocol.ts";
import { parseBatch } from "../../../raft/entry.ts";
import type { Commits } from "./commits.ts";
import { nameOf, type Subject } from "./subject.ts";
import { expectThat } from "./violation.ts";

/** A command or a question that a process took and has said nothing to. */
interface Call {
  readonly process: Subject;
  /** Of a command, with those that came together with it: whoever appends them writes into them where they stand. */
  readonly packed: Uint8Array | undefined;
  /** Which of them it is. */
  readonly at: number;
}

interface Place {
  readonly index: number;
  readonly term: number;
}

/**
 * What clients are told is so: a result is that of the client's own command, committed where the reply says; a command that is
 * said not to be applied never is; and whoever lives answers.
 */
export class Calls {
  readonly #commits: Pick<Commits, "termOf">;
  readonly #open = new Map<string, Call>();
  readonly #disowned: (Place & { readonly by: string })[] = [];

  constructor(commits: Pick<Commits, "termOf">) {
    this.#commits = commits;
  }

  /** A process takes mail of a client. The numbers of a client's calls are used once. */
  takes(process: Subject, client: number, request: LaneRequest): void {
    if (request.kind === "cancel") return;
    const packed = request.kind === "propose" ? request.packed : undefined;
    for (let at = 0; at < request.count; at++) {
      this.#open.set(`${client} ${request.firstId + at}`, { process, packed, at });
    }
  }

  /** A process is about to reply; what it has committed is known. */
  replies(client: number, reply: LaneReply): void {
    switch (reply.kind) {
      case "answers":
        this.#open.delete(`${client} ${reply.firstId}`);
        break;
      case "results":
        for (let at = 0; at < reply.count; at++) {
          this.#checkResult(this.#take(client, reply.firstId + at), { index: reply.index + at, term: reply.term });
        }
        break;
      case "refused":
        for (let at = 0; at < reply.count; at++) {
          const call = this.#take(client, reply.firstId + at);
          if (reply.error.outcome === "not-applied") this.#disown(call, reply.error.code);
        }
        break;
    }
  }

  #take(client: number, id: number): Call | undefined {
    const key = `${client} ${id}`;
    const call = this.#open.get(key);
    this.#open.delete(key);
    return call;
  }

  #checkResult(call: Call | undefined, { index, term }: Place): void {
    if (call === undefined) return;
    const place = placeOf(call);
    expectThat(place?.index === index && place.term === term, "replies are true", () => {
      return `${nameOf(call.process)} tells of a result at entry ${index} of term ${term}; the command is ${describe(place)}`;
    });
    const committed = this.#commits.termOf(index);
    expectThat(committed === term, "replies are true", () => {
      return `${nameOf(call.process)} tells of a result at entry ${index} of term ${term}; committed is one of ${committed}`;
    });
  }

  #disown(call: Call | undefined, code: string): void {
    const place = call === undefined ? undefined : placeOf(call);
    if (call === undefined || place === undefined) return;
    this.#disowned.push({ ...place, by: `${nameOf(call.process)}, with ${code},` });
    this.checkRefused();
  }

  /** What was committed since a refusal counts too. */
  checkRefused(): void {
    for (const { index, term, by } of this.#disowned) {
      expectThat(this.#commits.termOf(index) !== term, "replies are true", () => {
        return `${by} says that a command is not applied, and entry ${index} of term ${term} is committed, which is that`;
      });
    }
  }

  /**
   * Whether all that these processes took is answered, but for what may still be committed: commands behind the last entry that
   * was applied, of the same term.
   */
  areAnswered(living: ReadonlySet<Subject>): boolean {
    for (const [key, call] of this.#open) {
      if (!living.has(call.process)) this.#open.delete(key);
      else if (!this.#mayCommit(call)) return false;
    }
    return true;
  }

  #mayCommit(call: Call): boolean {
    const place = placeOf(call);
    const { lastApplied } = call.process;
    return place !== undefined && place.index > lastApplied && place.term >= (this.#commits.termOf(lastApplied) ?? 0);
  }
}

/** Where the command was appended; undefined when it never was, or is a question. */
function placeOf({ packed, at }: Call): Place | undefined {
  if (packed === undefined) return undefined;
  const { firstIndex, term } = parseBatch(packed);
  return term === 0 ? undefined : { index: firstIndex + at, term };
}

function describe(place: Place | undefined): string {
  return place === undefined ? "in no log" : `entry ${place.index} of term ${place.term}`;
}
