import { inspect } from "node:util";
import { RaftError } from "../raft/errors.ts";
import type { Random } from "../raft/random.ts";

/**
 * The network of the 6.5840 lab, number for number. Every request is a call, and the caller learns that a call failed:
 * at once when the request or its reply was dropped, after a while when nobody was there to take it.
 */
export interface LabrpcProfile {
  /** Requests take 0 to 26 ms, and one in ten requests and one in ten replies is dropped. Default false. */
  readonly unreliable?: boolean;
  /** A call that cannot be delivered fails after up to 7 s instead of up to 100 ms. Default false. */
  readonly longDelays?: boolean;
  /** Two of three replies that are not dropped take 200 to 2199 ms. Default false. */
  readonly longReordering?: boolean;
}

/** What becomes of one message: after `delayMs` it arrives, or is found to be dropped. */
interface LabrpcPlan {
  readonly delayMs: number;
  readonly drop: boolean;
}

const OPTIONS: readonly string[] = ["unreliable", "longDelays", "longReordering"] satisfies (keyof LabrpcProfile)[];
const AT_ONCE: LabrpcPlan = { delayMs: 0, drop: false };

function below(limit: number, random: Random): number {
  return Math.floor(random() * limit);
}

/** Draws what becomes of a request or a reply between peers that reach each other. */
export function labrpcPlan(kind: "request" | "reply", random: Random, profile: LabrpcProfile): LabrpcPlan {
  if (kind === "request") {
    if (!profile.unreliable) return AT_ONCE;
    return { delayMs: below(27, random), drop: below(1000, random) < 100 };
  }
  if (profile.unreliable && below(1000, random) < 100) return { delayMs: 0, drop: true };
  if (profile.longReordering && below(900, random) < 600) {
    return { delayMs: 200 + below(1 + below(2000, random), random), drop: false };
  }
  return AT_ONCE;
}

/** Draws how long a caller waits, in ms, until a call fails that could not be delivered. */
export function labrpcFailureMs(random: Random, profile: LabrpcProfile): number {
  return below(profile.longDelays ? 7000 : 100, random);
}

/**
 * The profile, if it is one.
 * @throws RaftError `ERR_INVALID_OPTION` for a misspelt option or a value that is not a boolean.
 */
export function checkLabrpcProfile(profile: LabrpcProfile): LabrpcProfile {
  for (const [name, value] of Object.entries(profile)) {
    if (!OPTIONS.includes(name)) {
      throw new RaftError(
        "ERR_INVALID_OPTION",
        `No labrpc option is named "${name}"; there are ${OPTIONS.join(", ")}.`,
      );
    }
    if (value !== undefined && typeof value !== "boolean") {
      throw new RaftError(
        "ERR_INVALID_OPTION",
        `Expected labrpc's \`${name}\` to be a boolean, got ${inspect(value)}.`,
      );
    }
  }
  return { ...profile };
}
