import { inspect } from "node:util";
import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { checkLabrpcProfile, type LabrpcProfile } from "./labrpc.ts";

/** What a link does to each message, by itself and at random. What is left out does not happen. */
export interface LinkRule {
  /** Probability, 0 to 1, that a message is lost. */
  readonly drop?: number;
  /** How long a message takes, drawn evenly from `[min, max]` in milliseconds. Messages may overtake each other. */
  readonly delayMs?: readonly [min: number, max: number];
  /** Probability that a message arrives twice. The copy follows at once, or takes a delay of its own. */
  readonly duplicate?: number;
  /** Probability that a message is held back for 1 to 20 ms, so that later ones overtake it. */
  readonly reorder?: number;
  /** Nothing passes. */
  readonly blocked?: boolean;
}

/** Bounds of how long `reorder` holds a message back, in ms. */
export const REORDER_MS: readonly [min: number, max: number] = [1, 20];

const FIELDS = ["drop", "delayMs", "duplicate", "reorder", "blocked"] as const satisfies (keyof LinkRule)[];
/** Timers take no more. */
const MAX_DELAY_MS = 2 ** 31 - 1;
const BLOCKED: LinkRule = { blocked: true };

/** What a client reaches: these peers, or all of them under a rule. */
type Reach = { readonly peers: ReadonlySet<PeerId> } | { readonly rule: LinkRule };

/**
 * The faults in force between peers, and between clients and peers. Changes nothing by itself: who carries messages
 * asks `rule` when one is sent and again when it is delivered.
 *
 * Layers add up. A link is blocked when a partition, an isolation, `all` or `link` blocks it; of the other fields
 * those of `link` come before those of `all`. Clients are not peers: only `client` concerns them.
 */
export class FaultTable {
  readonly #peers: readonly PeerId[];
  /** Peers reach each other when a group holds both; undefined: no partition. */
  #groups: readonly ReadonlySet<PeerId>[] | undefined;
  readonly #isolated = new Set<PeerId>();
  #all: LinkRule | undefined;
  readonly #links = new Map<PeerId, Map<PeerId, LinkRule>>();
  readonly #clients = new Map<string, Reach>();
  #profile: LabrpcProfile | undefined;

  constructor(peers: readonly PeerId[]) {
    this.#peers = [...peers];
  }

  /** The network of the lab, if it is to be imitated. */
  get profile(): LabrpcProfile | undefined {
    return this.#profile;
  }

  /**
   * Blocks both directions between peers that share no group, in place of the partition before. Peers that are not
   * named form one more group together; a peer in two groups is a bridge between them; no groups, no partition.
   * @throws RaftError `ERR_UNKNOWN_PEER`
   */
  partition(...groups: readonly (readonly PeerId[])[]): void {
    const sets = groups.map((group) => new Set(this.#checkPeers(group)));
    const rest = this.#peers.filter((peer) => !sets.some((set) => set.has(peer)));
    this.#groups = sets.length === 0 ? undefined : [...sets, new Set(rest)];
  }

  /**
   * Blocks all links of a peer, both directions, until `connect`.
   * @throws RaftError `ERR_UNKNOWN_PEER`
   */
  isolate(id: PeerId): void {
    this.#isolated.add(this.#checkPeer(id));
  }

  /**
   * Undoes `isolate`: the peer reaches again all that are not isolated themselves. A partition stays.
   * @throws RaftError `ERR_UNKNOWN_PEER`
   */
  connect(id: PeerId): void {
    this.#isolated.delete(this.#checkPeer(id));
  }

  /** Ends the partition, every isolation and every rule, those of clients too. The `labrpc` profile stays. */
  heal(): void {
    this.#groups = undefined;
    this.#isolated.clear();
    this.#all = undefined;
    this.#links.clear();
    this.#clients.clear();
  }

  /**
   * Puts a rule on the link from one peer to another, this direction only, in place of the one before; `{}` ends it.
   * @throws RaftError `ERR_UNKNOWN_PEER`, `ERR_INVALID_OPTION`
   */
  link(from: PeerId, to: PeerId, rule: LinkRule): void {
    this.#checkPeer(from);
    this.#checkPeer(to);
    if (from === to) throw new RaftError("ERR_INVALID_OPTION", `A link joins two peers, got "${from}" twice.`);
    const checked = checkRule(rule);
    const links = this.#links.get(from) ?? new Map<PeerId, LinkRule>();
    if (isEmpty(checked)) links.delete(to);
    else links.set(to, checked);
    if (links.size === 0) this.#links.delete(from);
    else this.#links.set(from, links);
  }

  /**
   * Puts a rule on every link between peers, in place of the one before; `{}` ends it.
   * @throws RaftError `ERR_INVALID_OPTION`
   */
  all(rule: LinkRule): void {
    const checked = checkRule(rule);
    this.#all = isEmpty(checked) ? undefined : checked;
  }

  /**
   * Says which peers the client of that name reaches, or under which rule it reaches all; in place of what was said
   * before. `[]` cuts it off, `{}` frees it.
   * @throws RaftError `ERR_UNKNOWN_PEER`, `ERR_INVALID_OPTION`
   */
  client(name: string, reach: readonly PeerId[] | LinkRule): void {
    if (typeof name !== "string" || name === "") {
      throw new RaftError("ERR_INVALID_OPTION", `Expected the name of a client, got ${inspect(name)}.`);
    }
    if (isList(reach)) {
      this.#clients.set(name, { peers: new Set(this.#checkPeers(reach)) });
      return;
    }
    const rule = checkRule(reach);
    if (isEmpty(rule)) this.#clients.delete(name);
    else this.#clients.set(name, { rule });
  }

  /**
   * Imitates the network of the lab, on top of all rules; undefined ends it.
   * @throws RaftError `ERR_INVALID_OPTION`
   */
  labrpc(profile: LabrpcProfile | undefined): void {
    this.#profile = profile === undefined ? undefined : checkLabrpcProfile(profile);
  }

  /** The rule in force from one peer to another; undefined when nothing stands between them. */
  rule(from: PeerId, to: PeerId): LinkRule | undefined {
    const all = this.#all;
    const link = this.#links.get(from)?.get(to);
    if (all?.blocked || link?.blocked || this.#isCut(from, to)) return BLOCKED;
    if (all === undefined) return link;
    return link === undefined ? all : { ...all, ...link };
  }

  /** The rule in force between a client and a peer, both directions; undefined when nothing stands between them. */
  clientRule(name: string, peer: PeerId): LinkRule | undefined {
    const reach = this.#clients.get(name);
    if (reach === undefined) return undefined;
    if ("rule" in reach) return reach.rule;
    return reach.peers.has(peer) ? undefined : BLOCKED;
  }

  #isCut(from: PeerId, to: PeerId): boolean {
    if (this.#isolated.size > 0 && (this.#isolated.has(from) || this.#isolated.has(to))) return true;
    return this.#groups !== undefined && !this.#groups.some((group) => group.has(from) && group.has(to));
  }

  #checkPeer(id: PeerId): PeerId {
    if (this.#peers.includes(id)) return id;
    const names = this.#peers.map((peer) => `"${peer}"`).join(", ");
    throw new RaftError("ERR_UNKNOWN_PEER", `No peer is named ${inspect(id)}; there are ${names}.`);
  }

  #checkPeers(ids: readonly PeerId[]): readonly PeerId[] {
    if (!isList(ids)) throw new RaftError("ERR_INVALID_OPTION", `Expected a list of peers, got ${inspect(ids)}.`);
    for (const id of ids) this.#checkPeer(id);
    return ids;
  }
}

/** `Array.isArray`, which does not know read-only arrays. */
function isList(value: readonly PeerId[] | LinkRule): value is readonly PeerId[] {
  return Array.isArray(value);
}

function isEmpty(rule: LinkRule): boolean {
  return Object.keys(rule).length === 0;
}

function isField(name: string): name is keyof LinkRule {
  return FIELDS.some((field) => field === name);
}

/** A copy of the rule without what is undefined, or an error that quotes what is wrong with it. */
function checkRule(rule: LinkRule): LinkRule {
  if (typeof rule !== "object" || rule === null || Array.isArray(rule)) {
    throw new RaftError("ERR_INVALID_OPTION", `Expected a rule such as { drop: 0.1 }, got ${inspect(rule)}.`);
  }
  const checked: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(rule) as [string, unknown][]) {
    if (!isField(name)) {
      throw new RaftError("ERR_INVALID_OPTION", `No rule is named "${name}"; there are ${FIELDS.join(", ")}.`);
    }
    if (value === undefined) continue;
    const expected = whatIsWrong(name, value);
    if (expected !== undefined) {
      throw new RaftError(
        "ERR_INVALID_OPTION",
        `Expected the rule \`${name}\` to be ${expected}, got ${inspect(value)}.`,
      );
    }
    checked[name] = name === "delayMs" ? [...(value as readonly number[])] : value;
  }
  return checked;
}

/** What the value of a rule should have been; undefined if that is what it is. */
function whatIsWrong(name: keyof LinkRule, value: unknown): string | undefined {
  switch (name) {
    case "drop":
    case "duplicate":
    case "reorder":
      return typeof value === "number" && value >= 0 && value <= 1 ? undefined : "a probability from 0 to 1";
    case "delayMs":
      return isDelay(value) ? undefined : `[min, max] in milliseconds, 0 <= min <= max <= ${MAX_DELAY_MS}`;
    case "blocked":
      return typeof value === "boolean" ? undefined : "a boolean";
  }
}

function isDelay(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [min, max]: unknown[] = value;
  return typeof min === "number" && typeof max === "number" && min >= 0 && min <= max && max <= MAX_DELAY_MS;
}
