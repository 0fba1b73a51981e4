import { inspect } from "node:util";
import { RaftError } from "../raft/errors.ts";
import type { QueryOptions } from "./peer-handle.ts";
import type { Consistency } from "./protocol.ts";

// What calls are given by people who may have no types to hold them to it.

/** Those of a query, with what was not given as undefined. */
export type GivenQueryOptions = { readonly [Name in keyof QueryOptions]?: QueryOptions[Name] | undefined };

const CONSISTENCIES: readonly Consistency[] = ["linearizable", "lease", "local"];

/** The error of a call that is to wait for what is no length of time. */
export function invalidTimeout(timeoutMs: unknown): RaftError | undefined {
  if (typeof timeoutMs === "number" && timeoutMs >= 0) return undefined;
  const message = `timeoutMs: expected a number of milliseconds, 0 or more, got ${inspect(timeoutMs)}`;
  return new RaftError("ERR_INVALID_OPTION", message);
}

/** The error of a call that is to go nowhere, or as nobody. */
export function invalidRoute({ client, via }: { readonly client?: unknown; readonly via?: unknown }) {
  if (client !== undefined && typeof client !== "string") {
    return new RaftError("ERR_INVALID_OPTION", `client: expected a name, got ${inspect(client)}`);
  }
  if (via === undefined || (Array.isArray(via) && via.length > 0)) return undefined;
  return new RaftError("ERR_INVALID_OPTION", `via: expected the names of one peer or more, got ${inspect(via)}`);
}

/** The error of a query whose answer is to reflect what cannot be said. */
export function invalidFreshness({ consistency, minIndex }: GivenQueryOptions): RaftError | undefined {
  if (consistency !== undefined && !CONSISTENCIES.includes(consistency)) {
    const message = `consistency: expected one of ${CONSISTENCIES.join(", ")}, got ${inspect(consistency)}`;
    return new RaftError("ERR_INVALID_OPTION", message);
  }
  if (minIndex === undefined || (typeof minIndex === "number" && minIndex >= 0)) return undefined;
  return new RaftError("ERR_INVALID_OPTION", `minIndex: expected an index, 0 or more, got ${inspect(minIndex)}`);
}
