import { MessageChannel, type MessagePort, type Worker } from "node:worker_threads";
import { encodeRange } from "../machine/codec.ts";
import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { hashSeed, seededRandom } from "../raft/random.ts";
import { ring } from "./bell.ts";
import { Board, createBoard } from "./board.ts";
import { type GivenQueryOptions, invalidFreshness, invalidRoute } from "./call-options.ts";
import { ClientNetwork } from "./client-network.ts";
import { Control } from "./control.ts";
import { isProposeTraced, publishEvent, tracePropose } from "./diagnostics.ts";
import { type ClusterDirectory, openDirectory } from "./directory.ts";
import { type ClusterEvents, EventFeed, type EventsOptions } from "./event-feed.ts";
import type { Faults } from "./fault-control.ts";
import { FaultTable } from "./faults.ts";
import { createGates, guardExit } from "./gates.ts";
import { logEvent } from "./logger.ts";
import { createMachineCalls } from "./machine-calls.ts";
import { collectMetrics, type Metric } from "./metrics.ts";
import type { Counters } from "./network.ts";
import { type ParsedOptions, parseOptions, type SupervisorOptions } from "./options.ts";
import { type Internals, Peer, type Proposed, type ProposeOptions, type QueryOptions } from "./peer-handle.ts";
import { Proposer } from "./proposer.ts";
import {
  type ClusterEvent,
  type EventData,
  fromErrorData,
  type News,
  type SharedWords,
  type SupervisorData,
} from "./protocol.ts";
import { Session } from "./session.ts";
import type { SessionOptions } from "./session-options.ts";
import type { SupervisorApi } from "./supervisor-thread.ts";
import { spawnThread } from "./thread.ts";
import type { CallResult } from "./waiting-call.ts";

/** How long a call waits by default, in milliseconds. */
const DEFAULT_TIMEOUT_MS = 5_000;

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
  readonly #bells: Int32Array;
  readonly #proposer: Proposer;
  readonly #events: EventFeed;
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
      calls: createMachineCalls(ids.length),
      pauses: new SharedArrayBuffer(ids.length * Int32Array.BYTES_PER_ELEMENT),
      bells: new SharedArrayBuffer(ids.length * Int32Array.BYTES_PER_ELEMENT),
    };
    this.#board = new Board(shared.board, ids);
    this.#bells = new Int32Array(shared.bells);
    this.#events = new EventFeed(ids);
    this.#unguard = guardExit(new Int32Array(shared.gates));
    const clientFaults = new FaultTable(ids);
    const clients = new ClientNetwork(clientFaults, seededRandom(hashSeed(options.seed, "clients")));
    this.#proposer = new Proposer(options.maxPendingBytes, clients, {
      onLeader: (peer, term) => this.#tell({ type: "leader", peer, term }),
      onApplied: (peer, incarnation, entries) => this.#tell({ type: "applied", peer, incarnation, entries }),
      onTrace: (peer, incarnation, steps) => this.#tell({ type: "trace", peer, incarnation, steps }),
    });
    const control = new MessageChannel();
    const news = new MessageChannel();
    const {
      durability,
      machine,
      heartbeatMs,
      electionMs,
      maxClockDrift,
      cacheBytes,
      maxPendingBytes,
      restart,
      seed,
      trace,
      record,
      snapshotEvery,
      verify,
      stuckMs,
    } = options;
    const data: SupervisorData = {
      peers: directory.peers,
      directory: directory.path,
      cluster: directory.cluster,
      ...{
        seed,
        durability,
        machine,
        heartbeatMs,
        electionMs,
        maxClockDrift,
        cacheBytes,
        maxPendingBytes,
        restart,
        trace,
        record,
        snapshotEvery,
        verify,
        stuckMs,
        shared,
      },
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
      query: async (query, callOptions, to) => (await this.#query(query, callOptions, to)).result,
      status: (id) => this.#board.status(id),
      control: async (name, id) => {
        // Who has ended a peer finds no calls handed to it from then on.
        const ended = name === "crash" || name === "stopPeer" ? this.#proposer.laneEnd(id) : undefined;
        await this.#control.call(name, id);
        await ended;
      },
      snapshot: (id) => this.#control.call("snapshot", id),
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

  /**
   * Asks the state machine, by default with the guarantee of linearizability (§8).
   * @throws RaftError `ERR_INVALID_OPTION` or `ERR_UNKNOWN_PEER` at once; `ERR_NOT_LEADER` or `ERR_TIMEOUT` when nobody answers
   * in time.
   */
  async query<Answer = unknown>(query: unknown, options: QueryOptions = {}): Promise<Answer> {
    return (await this.#query(query, options, undefined)).result as Answer;
  }

  /**
   * A client's session: what is proposed in it is carried out exactly once and in order, through whatever happens to the
   * peers, until its deadline. Costs one command when it is first used. One is enough for an app; commands in it do not
   * overtake each other, so callers that have nothing to do with each other may want one each.
   * @throws RaftError `ERR_INVALID_OPTION`, `ERR_UNKNOWN_PEER`
   */
  session(options: SessionOptions = {}): Session {
    const invalid = invalidRoute(options);
    if (invalid !== undefined) throw invalid;
    for (const id of options.via ?? []) this.peer(id);
    const { maxCommandBytes, electionMs } = this.#options;
    return new Session(
      {
        proposer: this.#proposer,
        maxCommandBytes,
        // By then a leader that died has a successor, mostly.
        retryMs: electionMs[1] * 2,
        defaultTimeoutMs: DEFAULT_TIMEOUT_MS,
        query: (query, callOptions) => this.#query(query, callOptions, undefined),
      },
      options,
    );
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
   * Counters and gauges as plain data, for an exporter to Prometheus or OpenTelemetry; see `examples/metrics.ts`. Costs
   * nothing but the call; only the durations of commands are taken from the first call on.
   * @throws RaftError `ERR_STOPPED`
   */
  async metrics(): Promise<readonly Metric[]> {
    return collectMetrics({
      network: await this.counters(),
      statuses: this.peers.map(({ id }) => this.#board.status(id)),
      calls: this.#proposer.calls,
      events: this.#events.meter,
      waitingCalls: this.#proposer.waitingCalls,
      waitingBytes: this.#proposer.waitingBytes,
    });
  }

  /**
   * What happens from now on. Ends with the signal, with the supervisor, or with `return()`, which `break` in a
   * `for await` calls. Events that are not read yet are kept, up to a limit.
   * @throws RaftError `ERR_INVALID_OPTION`
   */
  events(options: EventsOptions = {}): ClusterEvents {
    return this.#events.read(options, this.#stopped !== undefined);
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

  /** Not async: it would cost two promises more, and each command passes here. */
  #propose(command: unknown, options: ProposeOptions, to: PeerId | undefined): Promise<Proposed> {
    try {
      const data = encodeRange(command, "command", this.#options.maxCommandBytes);
      const { signal, timeoutMs = DEFAULT_TIMEOUT_MS, onAppended, client } = options;
      const call = { to, timeoutMs, signal, onAppended, client, via: undefined };
      if (!isProposeTraced()) return this.#proposer.submit("propose", data, call);
      return tracePropose(() => this.#proposer.submit("propose", data, call), { supervisor: this, command, peer: to });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #query(query: unknown, options: GivenQueryOptions, to: PeerId | undefined): Promise<CallResult> {
    const invalid = invalidFreshness(options) ?? invalidRoute(options);
    if (invalid !== undefined) throw invalid;
    for (const id of options.via ?? []) this.peer(id);
    const data = encodeRange(query, "query", this.#options.maxCommandBytes);
    const { signal, timeoutMs = DEFAULT_TIMEOUT_MS, consistency = "linearizable", client, minIndex = 0 } = options;
    const via = options.via === undefined ? undefined : new Set(options.via);
    const call = { to, timeoutMs, signal, onAppended: undefined, client, via, minIndex };
    return this.#proposer.submit(consistency, data, call);
  }

  #onNews(news: News): void {
    switch (news.kind) {
      case "lane": {
        const position = this.#directory.peers.findIndex(({ id }) => id === news.peer);
        this.#proposer.addLane(news.peer, news.port, () => ring(this.#bells, position));
        break;
      }
      case "event":
        // Who hears of a thread's end is to find that its calls have ended, too.
        if (news.event.type === "crash" || news.event.type === "down") this.#proposer.endLane(news.event.peer);
        this.#tell(eventOf(news.event));
        break;
      default:
        news satisfies never;
    }
  }

  #tell(event: ClusterEvent): void {
    this.#events.push(event);
    publishEvent(this, event);
    if (this.#options.logger !== undefined) logEvent(this.#options.logger, event);
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
    this.#events.end();
    this.#markDown();
    await this.#directory.release();
  }
}

function eventOf(event: EventData): ClusterEvent {
  switch (event.type) {
    case "crash":
      return { ...event, error: event.error === undefined ? undefined : fromErrorData(event.error) };
    case "given-up":
    case "disk-full":
    case "snapshot-failed":
      return { ...event, error: fromErrorData(event.error) };
    default:
      return event;
  }
}
