import type { Port } from "../../../actors/task.ts";
import type { Durability } from "../../../storage/store.ts";

/** What a write of the pipeline is: a transaction of LMDB, or a record in the journal that a store has in front of it. */
export type PipelineWrites = "transactions" | "journal";

/** Which thread of the bare pipeline this is: the peers and, as the supervisor's thread is in a cluster, the way between them. */
export type PipelineTask =
  | {
      readonly role: "leader" | "follower";
      /** Among the peers; the leader is the first. */
      readonly position: number;
      readonly peers: number;
      readonly path: string;
      readonly durability: Durability;
      readonly writes: PipelineWrites;
      readonly router: Port;
      /** Of the leader. */
      readonly client: Port | undefined;
      /** A word a peer, and one that is set when it is over. */
      readonly bells: SharedArrayBuffer;
    }
  | { readonly role: "router"; readonly ports: readonly Port[]; readonly bells: SharedArrayBuffer };

/** From the client to the leader: packed entries. */
export interface PipelineRequest {
  readonly packed: Uint8Array;
}

/** From the leader to the client: so many more are on the disks of a majority. */
export type PipelineReply = number | "ready";

/** Between peers, by way of the router. */
export type PipelineMessage =
  | { readonly kind: "entries"; readonly to: number; readonly lastIndex: number; readonly batches: Uint8Array }
  | { readonly kind: "ack"; readonly to: 0; readonly from: number; readonly lastIndex: number };
