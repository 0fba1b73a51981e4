import { workerData } from "node:worker_threads";
import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { majority } from "../raft/quorum.ts";
import { Board } from "./board.ts";
import { type ControlApi, serve } from "./control.ts";
import { markBorn } from "./directory.ts";
import { FaultTable, type LinkRule } from "./faults.ts";
import { closeGates, guardExit } from "./gates.ts";
import type { LabrpcProfile } from "./labrpc.ts";
import { MachineCalls } from "./machine-calls.ts";
import { type Counters, Network } from "./network.ts";
import { PeerHost } from "./peer-host.ts";
import { type ErrorData, type EventData, fromErrorData, type News, type SupervisorData } from "./protocol.ts";
import { Verification } from "./verification.ts";

// The supervisor's own thread: an app that blocks its thread for seconds causes no election.

/** The peers and the network between them. */
class Ward {
  readonly #data: SupervisorData;
  readonly #hosts = new Map<PeerId, PeerHost>();
  readonly #faults: FaultTable;
  readonly #network: Network;
  readonly #gates: Int32Array;
  readonly #up = new Set<PeerId>();
  /** Why a peer will not come up, or not before somebody does something about it. */
  readonly #failed = new Map<PeerId, ErrorData>();
  #onEvent = (): void => {};

  constructor(data: SupervisorData) {
    this.#data = data;
    const ids = data.peers.map(({ id }) => id);
    this.#faults = new FaultTable(ids);
    this.#network = new Network({
      peers: ids,
      faults: this.#faults,
      seed: data.seed,
      schedule: (delayMs, task) => {
        const timer = setTimeout(task, delayMs);
        return () => clearTimeout(timer);
      },
      deliver: (to, delivery) => {
        const transfer = delivery.kind === "packet" ? [delivery.bytes.buffer] : [];
        this.#hosts.get(to)?.deliver(delivery, transfer);
      },
    });
    const { shared } = data;
    const board = new Board(shared.board, ids);
    const gates = new Int32Array(shared.gates);
    this.#gates = gates;
    const pauses = new Int32Array(shared.pauses);
    const bells = new Int32Array(shared.bells);
    guardExit(gates);
    const { verify, durability } = data;
    const verification =
      verify === false ? undefined : new Verification({ verify, durability, tell: (event) => this.#tell(event) });
    data.peers.forEach(({ id, path, store, born }, position) => {
      let isBorn = born;
      const {
        cluster,
        machine,
        heartbeatMs,
        electionMs,
        maxClockDrift,
        cacheBytes,
        maxPendingBytes,
        seed,
        trace,
        record,
        snapshotEvery,
      } = data;
      const host = new PeerHost({
        id,
        position,
        restart: data.restart,
        // A store that is to be made has nothing in it, and one that is lost is found out when it is opened.
        verify: verification === undefined || !born ? undefined : (signal) => verification.verify(id, path, signal),
        data: () => ({
          id,
          group: "main",
          peers: ids,
          path,
          identity: { cluster, peer: id, store },
          configuration: { voters: ids },
          born: isBorn,
          ...{
            durability,
            machine,
            heartbeatMs,
            electionMs,
            maxClockDrift,
            cacheBytes,
            maxPendingBytes,
            seed,
            trace,
            record,
            snapshotEvery,
            shared,
          },
        }),
        gates,
        pauses,
        bells,
        board,
        calls: new MachineCalls(shared.calls, position),
        stuckMs: data.stuckMs,
        network: this.#network,
        born: () => {
          if (!isBorn) markBorn(data.directory, id);
          isBorn = true;
        },
        lane: (port) => this.#publish({ kind: "lane", peer: id, port }, [port]),
        tell: (event) => this.#tell(event),
      });
      this.#hosts.set(id, host);
    });
  }

  /** Starts all peers; resolves when a majority is up, rejects when there will be none. */
  async start(): Promise<void> {
    const needed = majority(this.#hosts.size);
    const settled = new Promise<void>((resolve, reject) => {
      this.#onEvent = () => {
        const first = this.#failed.values().next().value;
        if (this.#up.size >= needed) resolve();
        else if (this.#hosts.size - this.#failed.size < needed && first !== undefined) reject(fromErrorData(first));
      };
    });
    for (const host of this.#hosts.values()) host.start().catch(() => {});
    await settled;
    this.#onEvent = () => {};
  }

  host(id: PeerId): PeerHost {
    const host = this.#hosts.get(id);
    if (host !== undefined) return host;
    throw new RaftError(
      "ERR_UNKNOWN_PEER",
      `no peer is named "${id}"; there are ${[...this.#hosts.keys()].join(", ")}`,
    );
  }

  /** Changes what stands between the peers, and tells whom each reaches from then on, if that is not as before. */
  changeFaults(change: (faults: FaultTable) => void): void {
    const before = this.#reach();
    change(this.#faults);
    for (const [peer, peers] of this.#reach()) {
      if (before.get(peer)?.join() !== peers.join()) this.#tell({ type: "reach", peer, peers });
    }
  }

  #reach(): Map<PeerId, readonly PeerId[]> {
    const ids = [...this.#hosts.keys()];
    const isOpen = (from: PeerId, to: PeerId) => from !== to && this.#faults.rule(from, to)?.blocked !== true;
    return new Map(ids.map((from) => [from, ids.filter((to) => isOpen(from, to))]));
  }

  counters(): Counters {
    return this.#network.counters();
  }

  /** Ends all peers. What hangs is left; the rest is closed. */
  async stop(): Promise<void> {
    closeGates(this.#gates);
    const stops = await Promise.allSettled([...this.#hosts.values()].map((host) => host.stop()));
    this.#network.close();
    for (const stop of stops) if (stop.status === "rejected") throw stop.reason;
  }

  #tell(event: EventData): void {
    if (event.type === "up") {
      this.#up.add(event.peer);
      this.#failed.delete(event.peer);
    } else if (event.type === "given-up" || event.type === "disk-full") {
      this.#up.delete(event.peer);
      this.#failed.set(event.peer, event.error);
    } else if (event.type === "crash" || event.type === "down") {
      this.#up.delete(event.peer);
      if (this.#data.restart === false && event.type === "crash") {
        this.#failed.set(
          event.peer,
          event.error ?? { code: "ERR_PEER_DOWN", message: `${event.peer} crashed`, outcome: "unknown" },
        );
      }
    }
    this.#publish({ kind: "event", event }, []);
    this.#onEvent();
  }

  #publish(news: News, transfer: readonly (ArrayBuffer | import("node:worker_threads").MessagePort)[]): void {
    this.#data.news.postMessage(news, transfer);
  }
}

/** All that the app can ask of this thread. */
function api(ward: Ward) {
  return {
    start: () => ward.start(),
    stop: () => ward.stop(),
    startPeer: (id: PeerId) => ward.host(id).start(),
    stopPeer: (id: PeerId) => ward.host(id).stop(),
    crash: (id: PeerId) => ward.host(id).crash(),
    pause: (id: PeerId) => ward.host(id).pause(),
    resume: (id: PeerId) => ward.host(id).resume(),
    snapshot: (id: PeerId) => ward.host(id).snapshot(),
    counters: () => ward.counters(),
    partition: (...groups: (readonly PeerId[])[]) => ward.changeFaults((faults) => faults.partition(...groups)),
    isolate: (id: PeerId) => ward.changeFaults((faults) => faults.isolate(id)),
    connect: (id: PeerId) => ward.changeFaults((faults) => faults.connect(id)),
    heal: () => ward.changeFaults((faults) => faults.heal()),
    link: (from: PeerId, to: PeerId, rule: LinkRule) => ward.changeFaults((faults) => faults.link(from, to, rule)),
    all: (rule: LinkRule) => ward.changeFaults((faults) => faults.all(rule)),
    labrpc: (profile: LabrpcProfile | undefined) => ward.changeFaults((faults) => faults.labrpc(profile)),
  } satisfies ControlApi;
}
export type SupervisorApi = ReturnType<typeof api>;

const data = workerData as SupervisorData;
serve(api(new Ward(data)), data.control);
