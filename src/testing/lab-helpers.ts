import { performance } from "node:perf_hooks";
import { isDeepStrictEqual } from "node:util";
import type { PeerStatus } from "../actors/board.ts";
import type { Peer } from "../actors/peer-handle.ts";
import type { Supervisor } from "../actors/supervisor.ts";
import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { inspectShort } from "./inspect-short.ts";
import { LabError } from "./lab-error.ts";
import type { ClusterWatch } from "./watch.ts";

/** "A new leader within five seconds of the failure of the old." */
const ELECTION_LIMIT_MS = 5_000;
/** How long connected peers may take to hear of an election. */
const TERMS_LIMIT_MS = 500;
/** How long a command may take that was handed to somebody who said it leads. */
const AGREEMENT_LIMIT_MS = 2_000;
/** How long `one` goes on trying. */
const ONE_LIMIT_MS = 10_000;
const NO_LEADER_PAUSE_MS = 50;
/** 30 looks, 10 ms apart and then twice as long each time until a second is reached, are a little less than this. */
const WAIT_LIMIT_MS = 30_000;

/** Where a command stands in the log of the leader that took it. */
export interface Began {
  readonly index: number;
  readonly term: number;
}

/** What is known of an index. */
export interface Committed {
  /** How many peers have applied the entry there, in this life or an earlier one. */
  readonly count: number;
  /** Undefined when there is nothing yet, and when it is an entry of the log's own, such as a leader's no-op. */
  readonly command: unknown;
  /** Of the entry; undefined when there is nothing yet. */
  readonly term: number | undefined;
}

/** What a cluster has done. */
export interface Totals {
  /** Requests sent from peer to peer, delivered or not. */
  readonly rpcs: number;
  /** Of these requests and of the replies that were delivered. */
  readonly bytes: number;
  /** Commands that were applied, each counted once. */
  readonly commands: number;
}

/**
 * What the 6.5840 lab's tester does to a cluster and asks of it, with its limits. "Connected" are the peers that
 * `disconnect` and `crash` have not cut off. Where the tester polls, these wait for events; they see at once what has
 * happened.
 *
 * Whatever is asked for, every entry that any peer applies is checked against what the others have applied. When two
 * differ, or a peer applies out of order, or two peers lead in one term, or a thread dies unasked, then the cluster has
 * failed: all of these, and `stop()`, reject with that LabError from then on. (A thread may die unasked when the option
 * `restart` was given.)
 *
 * Entries of the log's own take indices too: entry 1 is the configuration, and a no-op opens every term. So indices
 * are consecutive only within a term.
 */
export interface LabHelpers {
  /** The peers that are not cut off. */
  readonly connected: ReadonlySet<PeerId>;
  /**
   * The leader that the connected peers have: of several, as an old one may not know better, that of the latest term.
   * @throws LabError when there is none for 5 s, or two in one term.
   */
  checkOneLeader(): Promise<Peer>;
  /**
   * The term, on which all connected peers must agree.
   * @throws LabError when they do not for half a second.
   */
  checkTerms(): Promise<number>;
  /** @throws LabError when a connected peer says that it leads. */
  checkNoLeader(): Promise<void>;
  /** How many peers have applied the entry at `index`, and its command. The lab calls it nCommitted. */
  committed(index: number): Promise<Committed>;
  /** The peers that have applied a command equal to this, at whatever index. */
  appliedBy(command: unknown): Promise<readonly PeerId[]>;
  /**
   * Waits until `count` peers have applied the entry at `index`. With `startTerm`: undefined as soon as any connected
   * peer is in a later term, since the entry may have been lost with its leader.
   * @throws LabError after 30 s.
   */
  wait(index: number, count: number, startTerm?: number): Promise<Committed | undefined>;
  /**
   * Has `command` applied by at least `expectedPeers` peers, and returns its index. Asks the connected peers in turn for
   * the one that leads, for up to 10 s. With `retry` a command that was taken and is not applied within 2 s, or that
   * another took the place of, is handed in again; it may then be applied twice.
   * @throws LabError when it is not applied in time; without `retry` (the default) after 2 s.
   */
  one(command: unknown, expectedPeers: number, options?: { readonly retry?: boolean }): Promise<number>;
  /**
   * Hands a command to this very peer, and returns as soon as that has it in its log; undefined when it does not lead
   * or is down. Nobody waits for what becomes of the command. The lab calls it Start.
   */
  begin(id: PeerId, command: unknown): Promise<Began | undefined>;
  /** Cuts a peer off from all others. */
  disconnect(id: PeerId): Promise<void>;
  /** Joins a peer again with all that are connected. */
  connect(id: PeerId): Promise<void>;
  /** Cuts a peer off and kills its thread. */
  crash(id: PeerId): Promise<void>;
  /** Starts a peer again from its store, after a crash if it still runs. It stays cut off until `connect`. */
  restart(id: PeerId): Promise<void>;
  /** How many requests have been delivered to a peer, or to all together, since the cluster began. */
  rpcCount(id?: PeerId): Promise<number>;
  /** What the cluster has done since it began. */
  totals(): Promise<Totals>;
  /** Ends the cluster. @throws LabError if it has failed before. */
  stop(): Promise<void>;
}

/** The helpers for a cluster that `watch` follows; all but `stop`. */
export function labHelpers(supervisor: Supervisor, watch: ClusterWatch): Omit<LabHelpers, "stop"> {
  const { log } = watch;
  const connected = new Set(supervisor.peers.map(({ id }) => id));
  let lastAsked = 0;

  const connectedPeers = () => supervisor.peers.filter(({ id }) => connected.has(id));
  const statuses = () => Promise.all(connectedPeers().map((peer) => peer.status()));

  function known(index: number): Committed {
    const entry = log.at(index);
    return { count: log.peersAt(index).length, command: entry?.command, term: entry?.term };
  }

  async function begin(id: PeerId, command: unknown): Promise<Began | undefined> {
    watch.check();
    const peer = supervisor.peer(id);
    const began = await new Promise<Began | undefined>((resolve, reject) => {
      const settled = (error?: unknown) =>
        error === undefined || isRefusal(error) ? resolve(undefined) : reject(error);
      peer.propose(command, { onAppended: resolve }).then(() => settled(), settled);
    });
    if (began !== undefined) watch.leads(id, began.term);
    return began;
  }

  async function beginAtLeader(command: unknown): Promise<Began | undefined> {
    for (let asked = 0; asked < supervisor.peers.length; asked++) {
      lastAsked = (lastAsked + 1) % supervisor.peers.length;
      const id = supervisor.peers[lastAsked]?.id;
      const began = id !== undefined && connected.has(id) ? await begin(id, command) : undefined;
      if (began !== undefined) return began;
    }
    return undefined;
  }

  /** Whether enough peers have applied `command` at `index`, or never will because another stands there. */
  function agreement(index: number, command: unknown, expectedPeers: number): "agreed" | "lost" | undefined {
    const entry = log.at(index);
    if (entry === undefined) return undefined;
    if (!isDeepStrictEqual(entry.command, command)) return "lost";
    return log.peersAt(index).length >= expectedPeers ? "agreed" : undefined;
  }

  async function disconnect(id: PeerId): Promise<void> {
    watch.check();
    connected.delete(id);
    await supervisor.faults.isolate(id);
  }

  async function crash(id: PeerId): Promise<void> {
    await disconnect(id);
    await supervisor.peer(id).crash();
  }

  return {
    connected,
    begin,

    async checkOneLeader() {
      const limit = performance.now() + ELECTION_LIMIT_MS;
      for (;;) {
        watch.check();
        const leader = latestLeader(await statuses());
        if (leader !== undefined) return supervisor.peer(leader);
        const left = limit - performance.now();
        if (left <= 0) throw new LabError(`No leader within ${ELECTION_LIMIT_MS} ms among ${names(connected)}.`);
        await watch.next(left);
      }
    },

    async checkTerms() {
      const limit = performance.now() + TERMS_LIMIT_MS;
      for (;;) {
        watch.check();
        const terms = await statuses();
        const term = terms[0]?.currentTerm;
        if (term !== undefined && terms.every(({ currentTerm }) => currentTerm === term)) return term;
        const left = limit - performance.now();
        if (left <= 0) {
          const seen = terms.map(({ id, currentTerm }) => `${id} in ${currentTerm}`).join(", ");
          throw new LabError(`The connected peers do not agree on the term: ${seen || "there are none"}.`);
        }
        await watch.next(left);
      }
    },

    async checkNoLeader() {
      watch.check();
      for (const { id, role, currentTerm } of await statuses()) {
        if (role === "leader")
          throw new LabError(`${id} says that it leads in term ${currentTerm}, and nobody should.`);
      }
    },

    async committed(index) {
      watch.check();
      return known(index);
    },

    async appliedBy(command) {
      watch.check();
      return log.peersThatApplied(command);
    },

    async wait(index, count, startTerm) {
      const limit = performance.now() + WAIT_LIMIT_MS;
      for (;;) {
        watch.check();
        const seen = known(index);
        if (seen.count >= count) return seen;
        if (startTerm !== undefined && (await statuses()).some(({ currentTerm }) => currentTerm > startTerm)) {
          return undefined;
        }
        const left = limit - performance.now();
        if (left <= 0) {
          throw new LabError(
            `Index ${index} was to be applied by ${count} peers within ${WAIT_LIMIT_MS} ms, and was by ${names(log.peersAt(index))}.`,
          );
        }
        await watch.next(left);
      }
    },

    async one(command, expectedPeers, { retry = false } = {}) {
      const limit = performance.now() + ONE_LIMIT_MS;
      const what = () => `The command ${inspectShort(command)} was to be applied by ${expectedPeers} peers`;
      while (performance.now() < limit) {
        const began = await beginAtLeader(command);
        if (began === undefined) {
          await watch.next(NO_LEADER_PAUSE_MS);
          continue;
        }
        const { index, term } = began;
        const seen = await watch.until(AGREEMENT_LIMIT_MS, () => agreement(index, command, expectedPeers));
        if (seen === "agreed") return index;
        if (retry) continue;
        const at = `index ${index} of term ${term}`;
        if (seen === "lost") throw new LabError(`${what()} at ${at}, and another entry was applied there.`);
        const by = names(log.peersAt(index));
        throw new LabError(`${what()} at ${at} within ${AGREEMENT_LIMIT_MS} ms, and was by ${by}.`);
      }
      throw new LabError(`${what()} within ${ONE_LIMIT_MS} ms. Connected are ${names(connected)}.`);
    },

    disconnect,
    crash,

    async connect(id) {
      watch.check();
      await supervisor.faults.connect(id);
      connected.add(id);
    },

    async restart(id) {
      await crash(id);
      await supervisor.peer(id).start();
    },

    async rpcCount(id) {
      watch.check();
      const { byPeer } = await supervisor.counters();
      const peers = id === undefined ? supervisor.peers : [supervisor.peer(id)];
      return peers.reduce((sum, peer) => sum + (byPeer[peer.id]?.received ?? 0), 0);
    },

    async totals() {
      watch.check();
      const { rpcs, bytes } = await supervisor.counters();
      return { rpcs, bytes, commands: log.commands };
    },
  };
}

/** Whether the peer did not take the command, or died before it said so. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof RaftError &&
    (error.code === "ERR_NOT_LEADER" || error.code === "ERR_PEER_DOWN" || error.code === "ERR_UNKNOWN_OUTCOME")
  );
}

function latestLeader(statuses: readonly PeerStatus[]): PeerId | undefined {
  const leaders = new Map<number, PeerId>();
  for (const { id, role, currentTerm } of statuses) {
    if (role !== "leader") continue;
    const other = leaders.get(currentTerm);
    if (other !== undefined) throw new LabError(`Both ${other} and ${id} say that they lead in term ${currentTerm}.`);
    leaders.set(currentTerm, id);
  }
  return leaders.get(Math.max(...leaders.keys()));
}

function names(peers: Iterable<PeerId>): string {
  return [...peers].join(", ") || "nobody";
}
