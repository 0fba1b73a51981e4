import type { PeerId } from "../raft/message.ts";
import type { LinkRule } from "./faults.ts";
import type { LabrpcProfile } from "./labrpc.ts";

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
