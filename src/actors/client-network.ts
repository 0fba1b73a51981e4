import type { PeerId } from "../raft/message.ts";
import type { Random } from "../raft/random.ts";
import type { FaultTable } from "./faults.ts";

/** What becomes of a request or an answer between a client and a peer. */
export type Fate = "blocked" | "lost" | { readonly delayMs: number };

const AT_ONCE: Fate = { delayMs: 0 };

/**
 * The clients' side of the network. Clients reach peers directly, so the faults between them are acted out where the
 * calls leave and the answers come in; peers and their network know nothing of it. Of a rule, `duplicate` and `reorder`
 * do not concern clients: without a session, a copy of a command would be a second command.
 */
export class ClientNetwork {
  readonly #faults: FaultTable;
  readonly #random: Random;

  constructor(faults: FaultTable, random: Random) {
    this.#faults = faults;
    this.#random = random;
  }

  /** Whether nothing passes between a client and a peer. */
  isBlocked(client: string | undefined, peer: PeerId): boolean {
    return client !== undefined && this.#faults.clientRule(client, peer)?.blocked === true;
  }

  /** @param client its name; undefined: one that no fault is about. */
  fate(client: string | undefined, peer: PeerId): Fate {
    const rule = client === undefined ? undefined : this.#faults.clientRule(client, peer);
    if (rule === undefined) return AT_ONCE;
    if (rule.blocked) return "blocked";
    if (rule.drop !== undefined && this.#random() < rule.drop) return "lost";
    if (rule.delayMs === undefined) return AT_ONCE;
    const [min, max] = rule.delayMs;
    return { delayMs: min + this.#random() * (max - min) };
  }
}
