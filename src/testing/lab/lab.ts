import { setTimeout as delay } from "node:timers/promises";
import type { PeerId } from "../../raft/message.ts";
import type { Random } from "../../raft/random.ts";
import type { Cluster } from "../cluster.ts";
import { LabError } from "../lab-error.ts";
import type { Began } from "../lab-helpers.ts";

/** The lab's RaftElectionTimeout, in milliseconds: what a scenario waits for an election to be over. */
export const T = 1_000;

/** How often a scenario begins again what the term changed under. */
export const TRIES = 5;

/** What a scenario is given: the cluster, time, chance, and names for peers. */
export class Lab {
  readonly cluster: Cluster;
  readonly ids: readonly PeerId[];
  readonly #random: Random;
  readonly #signal: AbortSignal;
  #step = "it began";

  /** @param signal ends every sleep, when the scenario is over for other reasons. */
  constructor(cluster: Cluster, random: Random, signal: AbortSignal) {
    this.cluster = cluster;
    this.ids = cluster.peers.map(({ id }) => id);
    this.#random = random;
    this.#signal = signal;
  }

  /** What the scenario was doing last. */
  get lastStep(): string {
    return this.#step;
  }

  /** Says what the scenario does next; a failure is reported with it. */
  step(text: string): void {
    this.#step = text;
  }

  /** The peer that stands so many places after another, in a ring. */
  after(id: PeerId, places: number): PeerId {
    return this.#at((this.ids.indexOf(id) + places) % this.ids.length);
  }

  /** A whole number from 0 up to but not including `limit`. */
  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  happens(probability: number): boolean {
    return this.#random() < probability;
  }

  /** A command that is unlikely to come twice. */
  number(): number {
    return this.below(2 ** 48);
  }

  randomPeer(): PeerId {
    return this.#at(this.below(this.ids.length));
  }

  async sleep(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#signal });
  }

  /** The one leader, after as long a time as the lab's tester lets pass before it looks. */
  async leader(): Promise<PeerId> {
    await this.sleep(450 + this.below(100));
    return (await this.cluster.checkOneLeader()).id;
  }

  /**
   * Has a command applied by `peers` peers, and hands it in once. Only if the term has changed meanwhile it is handed in
   * again: other programs may hold a leader's thread up for longer than an election timeout, and nothing is promised to
   * a command whose leader was replaced.
   */
  async agree(command: unknown, peers: number): Promise<number> {
    for (let tries = 1; ; tries++) {
      const before = await this.#latestTerm();
      try {
        return await this.cluster.one(command, peers);
      } catch (error) {
        if (tries === TRIES || (await this.#latestTerm()) === before) throw error;
      }
    }
  }

  async disconnect(...ids: readonly PeerId[]): Promise<void> {
    for (const id of ids) await this.cluster.disconnect(id);
  }

  async connect(...ids: readonly PeerId[]): Promise<void> {
    for (const id of ids) await this.cluster.connect(id);
  }

  /** Starts peers again, all at once, and connects each as soon as it runs. */
  async restart(...ids: readonly PeerId[]): Promise<void> {
    await Promise.all(
      ids.map(async (id) => {
        await this.cluster.restart(id);
        await this.cluster.connect(id);
      }),
    );
  }

  async isUp(id: PeerId): Promise<boolean> {
    return (await this.cluster.peer(id).status()).state === "up";
  }

  /**
   * Hands a command of its own to every peer that is up, connected or not, all at once: an old leader that does not
   * know better takes it too. Returns who did, in the order of the peers.
   */
  async beginEverywhere(command: () => unknown): Promise<readonly (Began & { readonly id: PeerId })[]> {
    const began = await Promise.all(
      this.ids.map(async (id) => {
        if (!(await this.isUp(id))) return [];
        const at = await this.cluster.begin(id, command());
        return at === undefined ? [] : [{ id, ...at }];
      }),
    );
    return began.flat();
  }

  /** @throws LabError if any peer has applied `command`. */
  async expectNowhere(command: unknown): Promise<void> {
    const peers = await this.cluster.appliedBy(command);
    expect(peers.length === 0, () => `The command ${String(command)} should be applied nowhere, and is at ${peers}.`);
  }

  /** Lets the network between the peers behave, or drop and delay messages as the lab's does. */
  async network(profile: { readonly unreliable: boolean; readonly longReordering?: boolean }): Promise<void> {
    await this.cluster.faults.labrpc({ ...profile, longDelays: true });
  }

  async #latestTerm(): Promise<number> {
    const statuses = await Promise.all(this.cluster.peers.map((peer) => peer.status()));
    return Math.max(...statuses.map(({ currentTerm }) => currentTerm));
  }

  #at(position: number): PeerId {
    const id = this.ids[position];
    if (id === undefined) throw new RangeError(`There is no peer at position ${position}.`);
    return id;
  }
}

/** @throws LabError unless `condition` holds. */
export function expect(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new LabError(message());
}
