import { setTimeout as sleep } from "node:timers/promises";
import type { PeerStatus } from "../../actors/board.ts";
import type { Supervisor } from "../../actors/supervisor.ts";
import { type History, keysOf } from "./history.ts";
import type { FinalPeer } from "./verdict.ts";

const LIMIT_MS = 60_000;
const LOOK_AGAIN_MS = 20;

/**
 * Waits until all peers are up and have applied the whole log of the leader.
 * @throws Error when that takes longer than a minute; the signal's reason.
 */
export async function untilAllAreEqual(supervisor: Supervisor, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    const statuses = await Promise.all(supervisor.peers.map((peer) => peer.status()));
    if (areEqual(statuses)) return;
    if (Date.now() > deadline)
      throw new Error(`the peers have not become equal in ${LIMIT_MS / 1000} s: ${summary(statuses)}`);
    await sleep(LOOK_AGAIN_MS, undefined, { signal });
  }
}

function areEqual(statuses: readonly PeerStatus[]): boolean {
  const leader = statuses.find(({ role }) => role === "leader");
  if (leader === undefined) return false;
  return statuses.every(({ state, currentTerm, lastIndex, lastApplied }) => {
    const hasAll = lastIndex === leader.lastIndex && lastApplied === leader.lastIndex;
    return state === "up" && currentTerm === leader.currentTerm && hasAll;
  });
}

function summary(statuses: readonly PeerStatus[]): string {
  return statuses
    .map(({ id, state, role, currentTerm, lastIndex, lastApplied }) => {
      return `${id} ${state}, ${role} in term ${currentTerm}, applied ${lastApplied} of ${lastIndex}`;
    })
    .join("; ");
}

/** What each peer has come to, from that very peer. */
export function finalPeers(supervisor: Supervisor): Promise<FinalPeer[]> {
  return Promise.all(
    supervisor.peers.map(async (peer) => {
      const digest = await peer.query<string>({ op: "digest" }, { consistency: "local" });
      const { id, lastApplied } = await peer.status();
      return { id, lastApplied, digest };
    }),
  );
}

/** All that the clients have written, as the cluster answers for it. */
export async function valuesOf(supervisor: Supervisor, histories: readonly History[]): Promise<Map<string, unknown>> {
  const keys = histories.flatMap((history) => keysOf(history));
  const values = new Map<string, unknown>();
  for (const key of keys) values.set(key, await supervisor.query({ op: "get", key }));
  return values;
}
