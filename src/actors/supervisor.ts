import { MessageChannel, type MessagePort, type Worker } from "node:worker_threads";
import { encode } from "../machine/codec.ts";
import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { hashSeed, seededRandom } from "../raft/random.ts";
import { AsyncQueue } from "./async-queue.ts";
import { Board, createBoard, type PeerStatus } from "./board.ts";
import { ClientNetwork } from "./client-network.ts";
import { Control } from "./control.ts";
import { type ClusterDirectory, openDirectory } from "./directory.ts";
import { FaultTable, type LinkRule } from "./faults.ts";
import { createGates, guardExit } from "./gates.ts";
import type { LabrpcProfile } from "./labrpc.ts";
import type { Counters } from "./network.ts";
import { type ParsedOptions, parseOptions, type SupervisorOptions } from "./options.ts";
import { Proposer } from "./proposer.ts";
import {
  type ClusterEvent,
  type Consistency,
  type EventData,
  fromErrorData,
  type News,
  type SharedWords,
  type SupervisorData,
} from "./protocol.ts";
import type { SupervisorApi } from "./supervisor-thread.ts";
import { spawnThread } from "./thread.ts";

/** How long a call waits by default, in milliseconds. */
const DEFAULT_TIMEOUT_MS = 5_000;

/** What every call that waits can be given. */
export interface WaitOptions {
  /** Ends the wait; a command that was handed over by then has an unknown outcome. */
  readonly signal?: AbortSignal;
  /** As which client the call is made, for the rules of `faults.client`. */
  readonly client?: string;
  /** How long to wait, in milliseconds. Default 5,000; a few election timeouts, so that a change of leader is survived. */
  readonly timeoutMs?: number;
}

export interface ProposeOptions extends WaitOptions {
  /**
   * Called once the leader has the command in its log, and only there: it says where the command will stand if it is
   * committed, and nothing about whether it will be.
   */
  readonly onAppended?: (at: { readonly index: number; readonly term: number }) => void;
}

export interface QueryOptions extends WaitOptions {
  /**
   * `linearizable` (default): reflects all that was acknowledged to anybody before the query began. `local`: reflects
   * whatever the peer has applied, which may be old; needs no leader.
   */
  readonly consistency?: Consistency;
}

/** A command that was committed and applied. */
export interface Proposed<Result = unknown> {
  readonly index: number;
  readonly term: number;
  /** What `apply` returned. */
  readonly result: Result;
}

/** What disturbs the network between the peers. Each promise settles when the rule is in force. */
export interface Faults {
  /** Blocks both directions between peers that share no group; those not named form one more group together. */
  partition(...groups: readonly (readonly PeerId[])[]): Promise<void>;
  /** Blocks all links of a peer, both directions. */
  isolate(id: PeerId): Promise<void>;
  /** Undoes `isolate`, towards all peers that are not isolated themselves. */
  connect(id: PeerId): Promise<void>;
  /** Ends every partition, isolation and rule, those of clients too; not `labrpc`. */
  heal(): Promise<void>;
  /** A rule for one direction of one link; `{}` ends it. */
  link(from: PeerId, to: PeerId, rule: LinkRule): Promise<void>;
  /** A rule for all links; `{}` ends it. */
  all(rule: LinkRule): Promise<void>;
  /**
   * What stands between a client and the peers: the peers it reaches, or a rule for its way to all of them. Concerns the
   * calls that name this client in their options.
   */
  client(name: string, reach: readonly PeerId[] | LinkRule): Promise<void>;
  /** Imitates the network of the MIT labs, with its numbers; undefined ends it. */
  labrpc(profile: LabrpcProfile | undefined): Promise<void>;
}

/** One peer, seen from the app. It stays the same over all starts of the peer's thread. */
export class Peer {
  readonly id: PeerId;
  readonly #supervisor: Internals;

  /** @internal */
  constructor(id: PeerId, supervisor: Internals) {
    this.id = id;
    this.#supervisor = supervisor;
  }

  /**
   * Hands a command to this very peer; once, and to no other.
   * @throws RaftError `ERR_NOT_LEADER` when it does not lead: nothing was appended, `leader` says whom it follows.
   */
  propose<Result = unknown>(command: unknown, options: ProposeOptions = {}): Promise<Proposed<Result>> {
    return this.#supervisor.propose(command, options, this.id) as Promise<Proposed<Result>>;
  }

  /** Asks this very peer. */
  query<Answer = unknown>(query: unknown, options: QueryOptions = {}): Promise<Answer> {
    return this.#supervisor.query(query, options, this.id) as Promise<Answer>;
  }

  /** What the peer last said of itself, and how its thread is. Answers for a busy, paused or dead peer too. */
  async status(): Promise<PeerStatus> {
    return this.#supervisor.status(this.id);
  }

  /** Kills the thread where it stands. Resolves when it has ended; the restart policy decides what follows. */
  crash(): Promise<void> {
    return this.#supervisor.control("crash", this.id);
  }

  /** Closes the peer's store, ends its thread, and keeps it down until `start`. */
  stop(): Promise<void> {
    return this.#supervisor.control("stopPeer", this.id);
  }

  /** Starts a peer that is down or given up, from its store. Resolves when it takes part. */
  start(): Promise<void> {
    return this.#supervisor.control("startPeer", this.id);
  }

  /** Freezes the peer's loop: it neither hears nor speaks, and its mail waits. Resolves when it stands still. */
  pause(): Promise<void> {
    return this.#supervisor.control("pause", this.id);
  }

  /** Lets a paused peer go on, with all the mail that has come in. */
  resume(): Promise<void> {
    return this.#supervisor.control("resume", this.id);
  }
}

/** What a peer's handle needs of its supervisor. */
interface Internals {
  propose(command: unknown, options: ProposeOptions, to: PeerId | undefined): Promise<Proposed>;
  query(query: unknown, options: QueryOptions, to: PeerId | undefined): Promise<unknown>;
  status(id: PeerId): PeerStatus;
  control(name: "crash" | "stopPeer" | "startPeer" | "pause" | "resume", id: PeerId): Promise<void>;
}

/**
 * A cluster in this process: starts the peers, each in a thread of its own, carries what they say to each other, and
 * starts them again when they die. The supervisor has a thread of its own too, so an app that blocks its thread does
 * not disturb the cluster.
 *
 * Embedding it in a worker thread that is ended by `terminate()` is not supported.
 */
export class Supervisor {
  readonly peers: readonly Peer[];
  readonly faults: Faults;
  readonly #options: ParsedOptions;
  readonly #directory: ClusterDirectory;
  readonly #worker: Worker;
  readonly #control: Control<SupervisorApi>;
  readonly #news: MessagePort;
  readonly #board: Board;
  readonly #proposer: Proposer;
  readonly #listeners = new Set<AsyncQueue<ClusterEvent>>();
  readonly #unguard: () => void;
  #stopped: Promise<void> | undefined;

  /**
   * Starts a cluster, or goes on with one that was stopped or killed, if `directory` holds one. Resolves when a majority
   * of the peers is up.
   * @throws RaftError `ERR_INVALID_OPTION`, `ERR_DIRECTORY_IN_USE`, `ERR_MACHINE_MODULE`, or what keeps a majority from
   * starting. Nothing is left running then.
   */
  static async start(options: SupervisorOptions = {}): Promise<Supervisor> {
    const parsed = parseOptions(options);
    const directory = await openDirectory(parsed);
    const supervisor = new Supervisor(parsed, directory);
    try {
      await supervisor.#control.call("start");
    } catch (error) {
      await supervisor.stop();
      throw error;
    }
    return supervisor;
  }

  private constructor(options: ParsedOptions, directory: ClusterDirectory) {
    this.#options = options;
    this.#directory = directory;
    const ids = directory.peers.map(({ id }) => id);
    const shared: SharedWords = {
      gates: createGates(),
      board: createBoard(ids),
      pauses: new SharedArrayBuffer(ids.length * Int32Array.BYTES_PER_ELEMENT),
    };
    this.#board = new Board(shared.board, ids);
    this.#unguard = guardExit(new Int32Array(shared.gates));
    const clientFaults = new FaultTable(ids);
    const clients = new ClientNetwork(clientFaults, seededRandom(hashSeed(options.seed, "clients")));
    this.#proposer = new Proposer(options.maxPendingBytes, clients, {
      onLeader: (peer, term) => this.#tell({ type: "leader", peer, term }),
      onApplied: (peer, incarnation, entries) => this.#tell({ type: "applied", peer, incarnation, entries }),
    });
    const control = new MessageChannel();
    const news = new MessageChannel();
    const { durability, machine, heartbeatMs, electionMs, cacheBytes, restart, seed, trace } = options;
    const data: SupervisorData = {
      peers: directory.peers,
      directory: directory.path,
      cluster: directory.cluster,
      ...{ seed, durability, machine, heartbeatMs, electionMs, cacheBytes, restart, trace, shared },
      control: control.port2,
      news: news.port2,
    };
    this.#worker = spawnThread("supervisor-thread", {
      name: "flotilla supervisor",
      workerData: data,
      transferList: [control.port2, news.port2],
    });
    this.#control = new Control(control.port1, this.#worker);
    this.#news = news.port1;
    this.#news.on("message", (message: News) => this.#onNews(message));
    // Whatever ends this thread unasked: all that waits is settled, and the directory can be opened again.
    this.#worker.on("error", () => {});
    this.#worker.once("exit", () => {
      this.#stopped ??= this.#close(
        new RaftError("ERR_STOPPED", "the supervisor's thread has died", { outcome: "unknown" }),
      );
      // What goes wrong in it is for those who call `stop`; nobody has to.
      this.#stopped.catch(() => {});
    });

    const internals: Internals = {
      propose: (command, callOptions, to) => this.#propose(command, callOptions, to),
      query: (query, callOptions, to) => this.#query(query, callOptions, to),
      status: (id) => this.#board.status(id),
      control: async (name, id) => {
        // Who has ended a peer finds no calls handed to it from then on.
        const ended = name === "crash" || name === "stopPeer" ? this.#proposer.laneEnd(id) : undefined;
        await this.#control.call(name, id);
        await ended;
      },
    };
    this.peers = ids.map((id) => new Peer(id, internals));
    this.faults = {
      partition: (...groups) => this.#control.call("partition", ...groups),
      isolate: (id) => this.#control.call("isolate", id),
      connect: (id) => this.#control.call("connect", id),
      heal: async () => {
        clientFaults.heal();
        this.#proposer.reroute();
        await this.#control.call("heal");
      },
      link: (from, to, rule) => this.#control.call("link", from, to, rule),
      all: (rule) => this.#control.call("all", rule),
      client: async (name, reach) => {
        clientFaults.client(name, reach);
        this.#proposer.reroute();
      },
      labrpc: (profile) => this.#control.call("labrpc", profile),
    };
  }

  /** The folder that holds the cluster. */
  get directory(): string {
    return this.#directory.path;
  }

  /** @throws RaftError `ERR_UNKNOWN_PEER` */
  peer(id: PeerId): Peer {
    const peer = this.peers.find((candidate) => candidate.id === id);
    if (peer !== undefined) return peer;
    const names = this.peers.map((candidate) => candidate.id).join(", ");
    throw new RaftError("ERR_UNKNOWN_PEER", `no peer is named "${id}"; there are ${names}`);
  }

  /**
   * Has a command applied by the cluster: resolves when a majority holds it on disk and the leader has applied it.
   * Waits for a leader and follows changes of leadership as long as it is certain that nothing was appended; a command
   * is handed over once and never sent again when its outcome is unknown.
   *
   * @param command anything that msgpack can carry; see the limits in the README.
   * @throws RaftError see {@link RaftError.outcome} for what became of the command.
   */
  propose<Result = unknown>(command: unknown, options: ProposeOptions = {}): Promise<Proposed<Result>> {
    return this.#propose(command, options, undefined) as Promise<Proposed<Result>>;
  }

  /** Asks the state machine, by default with the guarantee of linearizability (§8). */
  query<Answer = unknown>(query: unknown, options: QueryOptions = {}): Promise<Answer> {
    return this.#query(query, options, undefined) as Promise<Answer>;
  }

  /** The peer that leads; waits until one is known. @throws RaftError `ERR_ABORTED`, `ERR_STOPPED` */
  async leader({ signal }: { readonly signal?: AbortSignal } = {}): Promise<Peer> {
    return this.peer(await this.#proposer.waitForLeader(signal));
  }

  /** What has gone over the network between the peers so far. */
  counters(): Promise<Counters> {
    return this.#control.call("counters");
  }

  /**
   * What happens from now on. Ends with the signal or with the supervisor. Events that are not read yet are kept: read
   * on, or end it.
   */
  events({ signal }: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<ClusterEvent> {
    const onAbort = () => queue.end();
    const queue = new AsyncQueue<ClusterEvent>(() => {
      this.#listeners.delete(queue);
      signal?.removeEventListener("abort", onAbort);
    });
    if (signal?.aborted || this.#stopped !== undefined) queue.end();
    else {
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#listeners.add(queue);
    }
    return queue;
  }

  /**
   * Ends the peers and the threads, settles all that waits, and frees the directory; a temporary one is removed. May be
   * called again, and resolves when all is done.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #propose(command: unknown, options: ProposeOptions, to: PeerId | undefined): Promise<Proposed> {
    const data = encode(command, "command", this.#options.maxCommandBytes);
    const { signal, timeoutMs = DEFAULT_TIMEOUT_MS, onAppended, client } = options;
    return this.#proposer.submit("propose", data, { to, timeoutMs, signal, onAppended, client });
  }

  async #query(query: unknown, options: QueryOptions, to: PeerId | undefined): Promise<unknown> {
    const data = encode(query, "query", this.#options.maxCommandBytes);
    const { signal, timeoutMs = DEFAULT_TIMEOUT_MS, consistency = "linearizable", client } = options;
    const call = { to, timeoutMs, signal, onAppended: undefined, client };
    return (await this.#proposer.submit(consistency, data, call)).result;
  }

  #onNews(news: News): void {
    switch (news.kind) {
      case "lane":
        this.#proposer.addLane(news.peer, news.port);
        break;
      case "event":
        this.#tell(eventOf(news.event));
        break;
      default:
        news satisfies never;
    }
  }

  #tell(event: ClusterEvent): void {
    for (const listener of this.#listeners) listener.push(event);
  }

  async #stop(): Promise<void> {
    const stopped = new RaftError("ERR_STOPPED", "the supervisor was stopped");
    this.#proposer.end(stopped);
    await this.#control.call("stop").catch(() => {});
    await this.#worker.terminate();
    await this.#close(stopped);
  }

  /** A supervisor's thread that died took its peers with it, and could not say so. */
  #markDown(): void {
    for (const { id } of this.peers) {
      const { state } = this.#board.status(id);
      if (state === "up" || state === "paused") this.#board.setState(id, "down");
    }
  }

  async #close(error: RaftError): Promise<void> {
    this.#proposer.end(error);
    this.#news.close();
    this.#control.close();
    this.#unguard();
    for (const listener of [...this.#listeners]) listener.end();
    this.#markDown();
    await this.#directory.release();
  }
}

function eventOf(event: EventData): ClusterEvent {
  switch (event.type) {
    case "crash":
      return { ...event, error: event.error === undefined ? undefined : fromErrorData(event.error) };
    case "given-up":
      return { ...event, error: fromErrorData(event.error) };
    default:
      return event;
  }
}
