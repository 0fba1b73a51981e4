import type { Ambush } from "./ambush.ts";
import type { Draw } from "./draw.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Fault, Victim } from "./faults.ts";
import type { Clients } from "./sim-client.ts";
import type { SimNetwork } from "./sim-network.ts";
import type { SimPeer } from "./sim-peer.ts";

/*
 * Faults that come together, since by themselves they hardly ever do: a peer is left behind by the others, who go on, and
 * its clients ask it what they know better.
 */

/** Whom it befalls, and what it is done with. */
export interface Surroundings {
  readonly peers: readonly SimPeer[];
  readonly network: SimNetwork;
  readonly clients: Clients;
  readonly ambush: Ambush;
  readonly queue: EventQueue;
  readonly draw: Draw;
  readonly find: (victim: Victim) => SimPeer | undefined;
  /** Does something after a while; not when all is to stay as it is by then, or that peer is. */
  readonly later: (ms: number, then: () => void, peer?: SimPeer) => void;
}

export function strand(surroundings: Surroundings, fault: Fault<"strand">): void {
  const { peers, network, draw, find, later } = surroundings;
  const { victim, lateMs, muteAfterMs, pauseMs, crashes, forMs, pressMs } = fault;
  const peer = find(victim);
  if (peer === undefined) return;
  const { position } = peer;
  later(forMs, network.late(position, lateMs));
  later(muteAfterMs ?? 0, () => {
    if (muteAfterMs !== undefined) {
      const others = peers.filter((other) => other !== peer);
      later(forMs, network.block(others.map((other) => [position, other.position] as const)));
    }
    if (pauseMs === 0) return;
    peer.isPaused = true;
    later(pauseMs, () => peer.resume(), peer);
  });
  const crash = () => {
    peer.downMs = draw.between([1, 20]);
    peer.kill();
  };
  for (let count = 0; count < crashes; count++) later(draw.between([0, forMs]), crash, peer);
  press(surroundings, position, forMs, pressMs);
}

export function usurp(surroundings: Surroundings, { rival, afterMs, downMs, forMs, pressMs }: Fault<"usurp">): void {
  const { peers, network, clients, queue, find, later } = surroundings;
  const leader = find("leader")?.position;
  if (leader === undefined || leader === rival) return;
  clients.quietUntil = queue.now + afterMs;
  const unblock = network.block([
    [leader, rival],
    [rival, leader],
  ]);
  later(afterMs + forMs, unblock);
  later(afterMs, () => {
    const others = peers.map(({ position }) => position).filter((position) => position !== leader);
    later(forMs, network.cut("one", [leader, ...others]));
    for (const peer of peers) {
      if (peer.position === leader || peer.position === rival) continue;
      peer.downMs = downMs;
      peer.kill();
    }
    press(surroundings, leader, forMs, pressMs);
  });
}

/** Clients have whoever leads do something, and ask this peer, again and again. */
function press(surroundings: Surroundings, position: number, forMs: number, everyMs: number): void {
  const { clients, find, later } = surroundings;
  const leader = find("leader")?.position;
  if (leader !== undefined) clients.urge(leader);
  // One who still leads, it thinks, gets a log of its own so.
  if (leader !== position) clients.urge(position);
  clients.ask(position);
  if (forMs > everyMs) later(everyMs, () => press(surroundings, position, forMs - everyMs, everyMs));
}
