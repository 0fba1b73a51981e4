import type { Outgoing } from "../../src/raft/effects.ts";
import type { Message, PeerId } from "../../src/raft/message.ts";
import type { RaftOptions } from "../../src/raft/options.ts";
import { seededRandom } from "../../src/raft/random.ts";
import { Disk } from "./disk.ts";
import { type MakeRaft, Peer } from "./harness.ts";

export interface Envelope {
  readonly from: PeerId;
  readonly to: PeerId;
  readonly incarnation: number;
  readonly message: Message;
}

/** Where a process dies: before or after what it saves is durable; in the latter case nothing that waits for it leaves. */
export type CrashPoint = "before save" | "after save" | undefined;

/**
 * Several peers, one clock, and a wire that is a list: whoever drives it decides what is delivered when. Nothing
 * happens by itself.
 */
export class Cluster {
  now = 0;
  wire: Envelope[] = [];
  readonly peers: ReadonlyMap<PeerId, Peer>;
  readonly down = new Set<PeerId>();
  /** Links that deliver nothing, as `from>to`. */
  readonly blocked = new Set<string>();
  readonly #watch: (peer: Peer) => void;

  /**
   * @param watch is called after all that a peer does.
   * @param make how the peers make their algorithm.
   */
  constructor(
    disks: Readonly<Record<PeerId, Disk>>,
    options: Partial<RaftOptions> = {},
    watch: (peer: Peer) => void = () => {},
    make?: MakeRaft,
  ) {
    this.#watch = watch;
    this.peers = new Map(
      Object.entries(disks).map(([id, disk], at) => [
        id,
        new Peer(id, disk, { random: seededRandom(at), ...options }, make),
      ]),
    );
  }

  /** Peers "a", "b", ... with empty logs. */
  static of(size: number, options?: Partial<RaftOptions>, watch?: (peer: Peer) => void, make?: MakeRaft): Cluster {
    const ids = [..."abcdefg"].slice(0, size);
    return new Cluster(Object.fromEntries(ids.map((id) => [id, new Disk(ids)])), options, watch, make);
  }

  peer(id: PeerId): Peer {
    const peer = this.peers.get(id);
    if (peer === undefined) throw new Error(`no peer ${id}`);
    return peer;
  }

  get running(): Peer[] {
    return [...this.peers.values()].filter((peer) => !this.down.has(peer.id));
  }

  /** The leader of the latest term among those that run. */
  get leader(): Peer | undefined {
    return this.running
      .filter((peer) => peer.raft.role === "leader")
      .toSorted((a, b) => b.raft.currentTerm - a.raft.currentTerm)[0];
  }

  /** Something happens to a running peer; what it sends is on the wire afterwards. */
  act(peer: Peer, input: (peer: Peer) => void, crash?: CrashPoint): void {
    if (this.down.has(peer.id)) return;
    peer.now = this.now;
    input(peer);
    const sent: Outgoing[] = peer.settle(crash);
    const { incarnation } = peer.disk;
    for (const { to, message } of sent) this.wire.push({ from: peer.id, to, incarnation, message });
    if (crash === undefined) this.#watch(peer);
    else this.down.add(peer.id);
  }

  /** Takes a message off the wire and hands it over, if its receiver can be reached. */
  deliver(at: number, crash?: CrashPoint): void {
    const [envelope] = this.wire.splice(at, 1);
    if (envelope !== undefined) this.handOver(envelope, crash);
  }

  /** Hands over a copy, as often as one likes. */
  handOver({ from, to, incarnation, message }: Envelope, crash?: CrashPoint): void {
    if (this.blocked.has(`${from}>${to}`)) return;
    this.act(this.peer(to), (peer) => peer.step(from, message, incarnation), crash);
  }

  /** Hands all that is on the wire for a peer over in one step, as one who was stalled finds it in its inbox. */
  drain(to: PeerId): void {
    const mail = this.wire.filter((envelope) => envelope.to === to);
    this.wire = this.wire.filter((envelope) => envelope.to !== to);
    this.act(this.peer(to), (peer) => {
      for (const { from, message, incarnation } of mail) {
        if (!this.blocked.has(`${from}>${to}`)) peer.step(from, message, incarnation);
      }
      peer.raft.advance(peer.now);
      peer.continueSnapshot();
    });
  }

  /** Time passes, and timers fire; nothing is delivered. */
  pass(ms: number): void {
    this.now += ms;
    for (const peer of this.running) {
      if (this.now >= peer.raft.wakeAt) this.act(peer, ({ raft, now }) => raft.advance(now));
    }
  }

  /** Time passes millisecond by millisecond, and each message takes one of them. */
  run(ms: number): void {
    for (let i = 0; i < ms; i++) {
      this.pass(1);
      for (let { length } = this.wire; length > 0; length--) this.deliver(0);
    }
  }

  crash(id: PeerId): void {
    this.down.add(id);
  }

  restart(id: PeerId): void {
    const peer = this.peer(id);
    peer.now = this.now;
    peer.restart();
    this.down.delete(id);
    this.#watch(peer);
  }

  /** Only peers of the same group reach each other. */
  partition(...groups: readonly (readonly PeerId[])[]): void {
    this.blocked.clear();
    for (const from of this.peers.keys()) {
      for (const to of this.peers.keys()) {
        if (!groups.some((group) => group.includes(from) && group.includes(to))) this.blocked.add(`${from}>${to}`);
      }
    }
  }

  heal(): void {
    this.blocked.clear();
  }
}
