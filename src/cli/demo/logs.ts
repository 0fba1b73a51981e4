import { openDirectory } from "../../actors/directory.ts";
import { decode } from "../../machine/codec.ts";
import { EntryKind, forEachEntry } from "../../raft/entry.ts";
import { noGate } from "../../storage/gate.ts";
import { LmdbStore } from "../../storage/lmdb.ts";
import type { Store } from "../../storage/store.ts";
import type { LogEntry, PeerLog } from "./verdict.ts";

const READ_BYTES = 1 << 20;

/**
 * Opens the stores of a cluster that was stopped, and hands their logs to `use`. The stores are closed when it returns.
 * @throws RaftError when a store cannot be opened or a record in it is damaged.
 */
export async function withLogs<Result>(
  directory: string,
  peers: readonly string[],
  use: (logs: readonly PeerLog[]) => Result,
): Promise<Result> {
  const cluster = await openDirectory({ directory, peers, durability: "disk" });
  const stores: LmdbStore[] = [];
  try {
    const logs: PeerLog[] = [];
    for (const { id, path, store, born } of cluster.peers) {
      const identity = { cluster: cluster.cluster, peer: id, store };
      const configuration = { voters: peers };
      // No thread is terminated here, so there is nothing to guard against.
      const opened = await LmdbStore.open({ path, identity, configuration, born, durability: "disk", gate: noGate });
      stores.push(opened);
      const { firstIndex, lastIndex } = opened.state;
      logs.push({ id, firstIndex, lastIndex, entries: entriesOf(opened) });
    }
    return use(logs);
  } finally {
    for (const store of stores) await store.close();
    await cluster.release();
  }
}

function* entriesOf(store: Store): Generator<LogEntry> {
  const { firstIndex, lastIndex } = store.state;
  let next = firstIndex;
  while (next <= lastIndex) {
    const entries: LogEntry[] = [];
    for (const batch of store.read(next, READ_BYTES)) {
      forEachEntry(batch, next, (index, kind, data) => {
        const command = kind === EntryKind.command ? decode(data) : undefined;
        entries.push({ index, term: batch.term, kind, command });
      });
      next = batch.lastIndex + 1;
    }
    yield* entries;
  }
}
