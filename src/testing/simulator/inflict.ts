import { majority } from "../../raft/quorum.ts";
import type { Fault, PlannedFault, Victim } from "./faults.ts";
import { type Surroundings, strand, usurp } from "./left-behind.ts";
import type { SimPeer } from "./sim-peer.ts";

/** A crash that was planned and met no occasion is called off after this long. */
const OCCASION_MS = 8_000;
/** Points that are passed when a peer takes a snapshot. */
const OF_SNAPSHOTS = /freeze|chunk|snapshot|compaction/;

/** A fault comes over a world; those that end do so by themselves. */
export function inflict(surroundings: Surroundings, fault: PlannedFault): void {
  const { network, clients, ambush, find, later } = surroundings;
  if ("victims" in fault) {
    // The same may be drawn twice, or be both a number and the leader.
    for (const peer of new Set(fault.victims.map(find))) {
      if (peer !== undefined) befall(surroundings, peer, fault);
    }
    return;
  }
  switch (fault.kind) {
    case "cut":
      later(fault.forMs, network.cut(fault.shape, fault.order));
      return;
    case "storm":
      later(fault.forMs, network.storm(fault));
      return;
    case "strand":
      strand(surroundings, fault);
      return;
    case "usurp":
      usurp(surroundings, fault);
      return;
    case "ambush":
      ambush.lay(fault.chance);
      later(fault.forMs, () => ambush.lift());
      return;
    case "burst":
      clients.throwIn(fault.commands, fault.bytes, fault.together);
      return;
    case "giant":
      clients.throwIn(1, fault.bytes, true);
      return;
    default: {
      const peer = find(fault.victim);
      if (peer !== undefined) disturb(surroundings, peer, fault);
    }
  }
}

type OfVictims = Extract<PlannedFault, { readonly victims: readonly Victim[] }>;

function befall({ later }: Surroundings, peer: SimPeer, fault: OfVictims): void {
  switch (fault.kind) {
    case "crash":
      crash(peer, fault);
      if (fault.point !== "idle") later(OCCASION_MS, () => peer.disarm(), peer);
      return;
    case "clock":
      peer.clock.jump(fault.jumpMs);
      if (peer.process !== undefined) peer.notify(peer.process);
      return;
    case "pause":
      peer.isPaused = true;
      later(fault.forMs, () => peer.resume(), peer);
      return;
    case "stall":
      peer.stalls.set(fault.having, fault.forMs);
      return;
    case "slow machine":
      peer.applyMs = fault.applyMs;
      later(fault.forMs, () => Object.assign(peer, { applyMs: 0 }), peer);
      return;
    default:
      fault satisfies never;
  }
}

type OfVictim = Exclude<Extract<PlannedFault, { readonly victim: Victim }>, Fault<"strand">>;

function disturb({ peers, later }: Surroundings, peer: SimPeer, fault: OfVictim): void {
  switch (fault.kind) {
    case "wall":
      peer.clock.jumpWall(fault.jumpMs);
      return;
    case "slow disk":
      peer.slowMs = fault.saveMs;
      later(fault.forMs, () => Object.assign(peer, { slowMs: 0 }), peer);
      return;
    case "full disk":
      peer.isFull = true;
      later(fault.forMs, () => Object.assign(peer, { isFull: false }), peer);
      return;
    case "failing disk":
      peer.failing = fault;
      return;
    case "flipped bit":
      if (mayDamage(peers, peer) && peer.flipBit(fault.table, fault.place) && fault.isStarted) peer.kill();
      return;
    case "lost disk":
      if (mayDamage(peers, peer)) peer.loseDisk(fault.downMs);
      return;
    case "snapshot":
      peer.process?.shell.wantSnapshot();
      return;
    default:
      fault satisfies never;
  }
}

/** More than a minority may not lose what it has promised to keep. */
function mayDamage(peers: readonly SimPeer[], peer: SimPeer): boolean {
  const damaged = peers.filter((other) => other === peer || other.isDamaged).length;
  return damaged <= peers.length - majority(peers.length);
}

function crash(peer: SimPeer, { point, role, skip, downMs, lingerMs, newsLateMs }: Fault<"crash">): void {
  Object.assign(peer, { downMs, newsLateMs });
  if (point === "idle") {
    peer.kill(lingerMs);
    return;
  }
  peer.arm({ point, role, skip });
  // What happens while it starts needs a start.
  if (point.endsWith("opening")) peer.kill();
  if (OF_SNAPSHOTS.test(point)) peer.process?.shell.wantSnapshot();
}
