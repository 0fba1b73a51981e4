import { channel, tracingChannel } from "node:diagnostics_channel";
import type { PeerId } from "../raft/message.ts";
import type { Proposed } from "./peer-handle.ts";
import type { ClusterEvent } from "./protocol.ts";
import type { Supervisor } from "./supervisor.ts";

// Channels of node:diagnostics_channel, which anybody in this thread may subscribe to by name.

/** What is published on the channel `flotilla:event`, for every event of every supervisor of this thread. */
export interface EventDiagnostic {
  readonly supervisor: Supervisor;
  readonly event: ClusterEvent;
}

/**
 * What is published on the channels of `tracingChannel("flotilla:propose")`, one object for each call of `propose`, of
 * a supervisor or a peer, whose command could be encoded. The tracing channel adds `result` or `error` when it is
 * settled. Nothing is made when nobody has subscribed.
 */
export interface ProposeDiagnostic {
  readonly supervisor: Supervisor;
  /** As it was given: not encoded. */
  readonly command: unknown;
  /** The very peer that was asked; undefined: whoever leads. */
  readonly peer: PeerId | undefined;
  readonly result?: Proposed;
  /** A RaftError, mostly. */
  readonly error?: unknown;
}

const events = channel("flotilla:event");
const proposals = tracingChannel<unknown, ProposeDiagnostic>("flotilla:propose");

export function publishEvent(supervisor: Supervisor, event: ClusterEvent): void {
  if (events.hasSubscribers) events.publish({ supervisor, event } satisfies EventDiagnostic);
}

/** Whether anybody listens for calls of `propose`. */
export function isProposeTraced(): boolean {
  return proposals.hasSubscribers;
}

/** Makes the call, and says so before and after. */
export function tracePropose(propose: () => Promise<Proposed>, diagnostic: ProposeDiagnostic): Promise<Proposed> {
  return proposals.tracePromise(propose, diagnostic);
}
