import { randomUUID } from "node:crypto";
import { readdirSync, renameSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { RaftError } from "../raft/errors.ts";
import type { PeerId } from "../raft/message.ts";
import { majority } from "../raft/quorum.ts";
import { copyStore } from "../storage/copy-store.ts";
import { inspectStore } from "../storage/inspect-store.ts";
import { assignStore, type ClusterDirectory, findIdentity, openDirectory, type PeerDirectory } from "./directory.ts";
import { syncNames } from "./durable-files.ts";

/** What a lost peer was made from. */
export interface Rebuilt {
  readonly peer: PeerId;
  /** Whose log and snapshot it got. */
  readonly from: PeerId;
  readonly lastIndex: number;
  /** The term it begins with, in which it has not voted. */
  readonly currentTerm: number;
  /** Where its old folder is now; undefined when there was none. */
  readonly aside: string | undefined;
}

/** A peer whose store is sound. */
interface Survivor {
  readonly id: PeerId;
  readonly path: string;
  readonly currentTerm: number;
  readonly incarnation: number;
  readonly lastTerm: number;
  readonly lastIndex: number;
}

/**
 * Gives peers that have lost their stores new ones, of which everybody may believe what they believed of the old. The
 * cluster must be stopped, so that nobody acts on a message of before.
 *
 * Two things were lost with a store. First, votes (§5.2): a vote for another peer was given in a term that this peer had
 * on disk before it asked. So a peer that begins in a term behind those of all survivors has not voted in it. A vote for
 * itself came to nothing, or a survivor had heard of it. Second, entries (§5.4): those that were committed are on a
 * majority, and so, when fewer than that are lost, on a survivor. The survivor whose log is the most up to date has all
 * of them, by the same argument by which a leader has (§5.4.3). So the new store is that log, and no vote.
 * @param lost fewer than a majority of the peers. All others must be sound.
 * @throws RaftError `ERR_INVALID_OPTION` for too many, or for names that are none of its peers; `ERR_STORAGE_CORRUPT` when
 * one of the others is not sound, or none of them has ever run; and as `openDirectory` does. What there was is left.
 */
export async function rebuildPeers(directory: string, lost: readonly PeerId[]): Promise<Rebuilt[]> {
  const identity = findIdentity(directory);
  if (identity === undefined) throw new RaftError("ERR_STORAGE_LOST", `${directory} is no cluster's directory`);
  const peers = Object.keys(identity.peers);
  checkLost(peers, lost);
  const opened = await openDirectory({ directory, peers, durability: "disk" });
  try {
    const survivors: Survivor[] = [];
    for (const peer of opened.peers) {
      // A peer that was never born has promised nothing and holds nothing.
      if (!lost.includes(peer.id) && peer.born) survivors.push(await survivorOf(opened, peer));
    }
    const rebuilt: Rebuilt[] = [];
    for (const peer of opened.peers) if (lost.includes(peer.id)) rebuilt.push(await rebuild(opened, peer, survivors));
    return rebuilt;
  } finally {
    await opened.release({ remove: false });
  }
}

function checkLost(peers: readonly PeerId[], lost: readonly PeerId[]): void {
  const stranger = lost.find((id) => !peers.includes(id));
  if (stranger !== undefined) {
    throw new RaftError("ERR_INVALID_OPTION", `"${stranger}" is none of the peers: ${peers.join(", ")}`);
  }
  const { size } = new Set(lost);
  if (size > 0 && size < majority(peers.length) && size < peers.length) return;
  throw new RaftError(
    "ERR_INVALID_OPTION",
    `${size} of ${peers.length} peers cannot be rebuilt: what they acknowledged may have been on them alone`,
  );
}

async function survivorOf({ cluster }: ClusterDirectory, { id, path, store }: PeerDirectory): Promise<Survivor> {
  const { problems, hardState, incarnation, identity, log } = await inspectStore(path);
  const unsound = (why: string) =>
    new RaftError("ERR_STORAGE_CORRUPT", `the store of ${id} at ${path} is no help: ${why}`);
  const [problem] = problems;
  if (problem !== undefined) throw unsound(problem);
  if (identity?.cluster !== cluster || identity.peer !== id || identity.store !== store) {
    throw unsound("it is another's");
  }
  const last = log?.terms.at(-1);
  if (hardState === undefined || incarnation === undefined || log === undefined || last === undefined) {
    throw unsound("it cannot be read");
  }
  const { currentTerm } = hardState;
  return { id, path, currentTerm, incarnation, lastTerm: last.term, lastIndex: log.lastIndex };
}

async function rebuild(
  { cluster, path: directory }: ClusterDirectory,
  { id, path }: PeerDirectory,
  survivors: readonly Survivor[],
): Promise<Rebuilt> {
  const [best] = [...survivors].sort((one, other) => upToDate(other, one));
  if (best === undefined) throw new RaftError("ERR_STORAGE_CORRUPT", `no peer of ${directory} has ever run`);
  const store = randomUUID();
  const made = join(directory, `.${id}.new`);
  await rm(made, { recursive: true, force: true });
  const currentTerm = Math.max(...survivors.map((survivor) => survivor.currentTerm)) + 1;
  const incarnation = Math.max(...survivors.map((survivor) => survivor.incarnation)) + 1;
  const identity = { cluster, peer: id, store };
  await copyStore(best.path, made, { identity, hardState: { currentTerm, votedFor: undefined }, incarnation });
  // Opening the directory has made an empty folder where there was none.
  const aside = readdirSync(path).length === 0 ? undefined : `${path}.lost-${store}`;
  if (aside === undefined) await rm(path, { recursive: true });
  else renameSync(path, aside);
  renameSync(made, path);
  syncNames(directory);
  // Until this is written the new store is another's, and after it the old one is: neither is taken for the other.
  assignStore(directory, id, store);
  return { peer: id, from: best.id, lastIndex: best.lastIndex, currentTerm, aside };
}

/** §5.4.1: positive when the log of `one` is more up to date. */
function upToDate(one: Survivor, other: Survivor): number {
  return one.lastTerm - other.lastTerm || one.lastIndex - other.lastIndex;
}
