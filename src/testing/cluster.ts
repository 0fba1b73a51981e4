import type { SupervisorOptions } from "../actors/options.ts";
import type { Trace } from "../actors/protocol.ts";
import { Supervisor } from "../actors/supervisor.ts";
import { type LabHelpers, labHelpers } from "./lab-helpers.ts";
import { ClusterWatch } from "./watch.ts";

/** A supervisor with its peers, and what a test wants to do to them. */
export type Cluster = Supervisor & LabHelpers;

/** Those of the supervisor. The directory is a temporary one. */
export interface ClusterOptions extends Omit<SupervisorOptions, "directory" | "trace"> {
  /** At least what is applied is traced, as the helpers follow that. Default "applied". */
  readonly trace?: Exclude<Trace, false> | undefined;
}

/**
 * Starts a cluster for a test, and resolves when all its peers are up. Peers that are crashed stay down until they are started, unless the option `restart`
 * says otherwise. `stop()` removes all that is on disk.
 *
 * @throws RaftError as `Supervisor.start` does, and when any peer does not start.
 */
export async function spawnCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const supervisor = await Supervisor.start({ restart: false, ...options, trace: options.trace ?? "applied" });
  const watch = new ClusterWatch(options.restart !== undefined && options.restart !== false);
  const following = watch.follow(supervisor.events({ maxUnread: Number.POSITIVE_INFINITY }));
  const stop = async () => {
    await watch.settle();
    await Supervisor.prototype.stop.call(supervisor);
    await following;
    watch.check();
  };
  const cluster = Object.assign(supervisor, { ...labHelpers(supervisor, watch), stop });
  try {
    // Those that are up already resolve at once.
    await Promise.all(supervisor.peers.map((peer) => peer.start()));
  } catch (error) {
    await cluster.stop().catch(() => {});
    throw error;
  }
  return cluster;
}
