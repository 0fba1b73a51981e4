import { randomUUID } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { inspect } from "node:util";
import * as v from "valibot";
import { RaftError } from "../raft/errors.ts";
import { isFull } from "../storage/room.ts";
import type { Durability } from "../storage/store.ts";
import { type DirectoryLock, lockDirectory, readBootId } from "./directory-lock.ts";
import { codeOf, makeDirectorySynced, replaceSynced, syncContent, syncNames } from "./durable-files.ts";

/** A peer's place in a {@link ClusterDirectory}, when it was opened. */
export interface PeerDirectory {
  readonly id: string;
  /** The folder of its store; it is there. */
  readonly path: string;
  /** Which store it must be: the store repeats it. */
  readonly store: string;
  /** Whether the store was made once. If it is not there now, it is lost, and the peer must not get another. */
  readonly born: boolean;
}

/** The folder of a cluster, locked, and who the cluster and its stores are. */
export interface ClusterDirectory {
  /** Absolute. */
  readonly path: string;
  /** The cluster's id, made once. */
  readonly cluster: string;
  /** Whether it was made for this run only. */
  readonly temporary: boolean;
  /** In the order in which they were given. */
  readonly peers: readonly PeerDirectory[];
  /**
   * Gives the directory back; with `remove` it is deleted, but for what is not the cluster's. By default a temporary
   * one is. Call it once nothing writes to the stores any more: what durability "process" left unsynced is synced here.
   * A second call does nothing.
   * @throws RaftError `ERR_STORAGE_FAILED`, among others; the lock is released all the same.
   */
  release(options?: { readonly remove: boolean }): Promise<void>;
}

/** What {@link openDirectory} is told. */
export interface DirectoryOptions {
  /** Undefined for a fresh folder among the system's temporary ones. */
  readonly directory: string | undefined;
  /** The names of all peers; for a directory that was used, the same as then, in any order. */
  readonly peers: readonly string[];
  readonly durability: Durability;
}

const FORMAT = 1;
const IDENTITY = "cluster.json";

const identitySchema = v.object({
  format: v.literal(FORMAT),
  cluster: v.string(),
  peers: v.record(v.string(), v.object({ store: v.string(), born: v.boolean() })),
  /**
   * The boot of the machine in which stores were written without being synced. It stands here from before the first
   * such write until they are synced: after another boot they may be broken, for LMDB orders its writes by syncing.
   */
  bootId: v.optional(v.string()),
});
/** What `cluster.json` says: who the cluster is, and which store each peer must have. */
export type Identity = v.InferOutput<typeof identitySchema>;

/**
 * Opens the folder of a cluster, makes it if need be, and locks it. Who the cluster is stands in `cluster.json`, which
 * is on disk before this returns.
 *
 * The durability may differ from the one before. After "process", a clean stop has synced the stores; after a stop
 * that was not clean, in the same boot, all is still in the system's memory, and opening with "disk" syncs it first.
 * In another boot what was not synced is lost. Where the system does not tell its boots apart, that goes unnoticed.
 * @throws RaftError
 * - `ERR_DIRECTORY_IN_USE` when another supervisor has it open,
 * - `ERR_INVALID_OPTION` when its peers are others than those given,
 * - `ERR_STORAGE_LOST` when a newer flotilla wrote it, when there are stores but no `cluster.json`, or when the machine
 *   went down after durability "process",
 * - `ERR_STORAGE_CORRUPT` when `cluster.json` or the lock cannot be understood,
 * - `ERR_STORAGE_FULL` or `ERR_STORAGE_FAILED` with the cause when the disk refuses.
 */
export async function openDirectory(options: DirectoryOptions): Promise<ClusterDirectory> {
  const temporary = options.directory === undefined;
  const wanted = options.directory ?? join(tmpdir(), "flotilla-");
  return reporting(`cannot open the directory ${wanted}`, async () => {
    const path = temporary ? await mkdtemp(wanted) : resolve(wanted);
    try {
      return await lockAndOpen(path, temporary, options);
    } catch (error) {
      if (temporary) await rm(path, { recursive: true, force: true });
      throw error;
    }
  });
}

async function lockAndOpen(path: string, temporary: boolean, options: DirectoryOptions): Promise<ClusterDirectory> {
  makeDirectorySynced(path);
  const lock = await lockDirectory(path);
  try {
    const identity = await settleIdentity(path, options);
    let released: Promise<void> | undefined;
    return {
      path,
      cluster: identity.cluster,
      temporary,
      peers: options.peers.map((id) => ({ id, path: join(path, id), ...peerOf(path, identity, id) })),
      release({ remove } = { remove: temporary }) {
        released ??= reporting(`cannot release ${path}`, () =>
          remove ? removeAll(path, lock, options.peers) : close(path, lock),
        );
        return released;
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function close(path: string, lock: DirectoryLock): Promise<void> {
  try {
    // Not what was read when it was opened: peers were born since.
    const { bootId, ...identity } = readIdentity(path);
    if (bootId === undefined) return;
    for (const peer of Object.keys(identity.peers)) await syncStore(join(path, peer));
    writeIdentity(path, identity);
  } finally {
    await lock.release();
  }
}

async function removeAll(path: string, lock: DirectoryLock, peers: readonly string[]): Promise<void> {
  try {
    for (const peer of peers) await rm(join(path, peer), { recursive: true, force: true });
    await rm(join(path, IDENTITY), { force: true });
  } finally {
    await lock.release();
  }
  try {
    await rmdir(path);
  } catch (error) {
    // Something else is in there, or somebody opened it anew.
    if (!["ENOTEMPTY", "EEXIST", "ENOENT"].includes(codeOf(error) ?? "")) throw error;
  }
}

/**
 * Notes, durably, that a peer's store is made. Call it after the store is on disk and before the peer speaks, from
 * one thread of the process that has the directory open.
 * @throws RaftError `ERR_UNKNOWN_PEER`, or `ERR_STORAGE_LOST`, `_CORRUPT` or `_FAILED`.
 */
export function markBorn(directory: string, peer: string): void {
  try {
    const identity = readIdentity(directory);
    const known = peerOf(directory, identity, peer);
    if (known.born) return;
    // The store has synced its files, but not their names.
    syncNames(join(directory, peer));
    writeIdentity(directory, { ...identity, peers: { ...identity.peers, [peer]: { ...known, born: true } } });
  } catch (cause) {
    throw failed(`cannot note that ${peer} is born`, cause);
  }
}

/**
 * Notes, durably, that the store of a peer is another from now on; see rebuild.ts, which says when that is right. For
 * who has the directory open.
 */
export function assignStore(directory: string, peer: string, store: string): void {
  const identity = readIdentity(directory);
  const known = peerOf(directory, identity, peer);
  writeIdentity(directory, { ...identity, peers: { ...identity.peers, [peer]: { ...known, store } } });
}

/** Reads or makes the identity, checks it, and makes the stores' folders. */
async function settleIdentity(path: string, { peers, durability }: DirectoryOptions): Promise<Identity> {
  const found = findIdentity(path);
  const bootId = await readBootId();
  if (found === undefined) refuseStrayStores(path, peers);
  else {
    refuseOtherPeers(path, found, peers);
    refuseOtherBoot(path, found, bootId);
  }
  const folders = peers.map((peer) => join(path, peer));
  const unsynced = durability === "process" ? bootId : undefined;
  if (found?.bootId !== undefined && unsynced === undefined) {
    for (const folder of folders) await syncStore(folder);
  }
  const identity = { ...(found ?? newIdentity(peers)), bootId: unsynced };
  writeIdentity(path, identity);
  for (const folder of folders) makeDirectorySynced(folder);
  return identity;
}

function peerOf(path: string, { peers }: Identity, peer: string): { store: string; born: boolean } {
  const found = Object.hasOwn(peers, peer) ? peers[peer] : undefined;
  if (found === undefined) throw new RaftError("ERR_UNKNOWN_PEER", `${inspect(peer)} is no peer of ${path}`);
  return found;
}

function newIdentity(peers: readonly string[]): Identity {
  const stores = peers.map((peer) => [peer, { store: randomUUID(), born: false }] as const);
  return { format: FORMAT, cluster: randomUUID(), peers: Object.fromEntries(stores) };
}

function readIdentity(path: string): Identity {
  const identity = findIdentity(path);
  if (identity === undefined) throw new RaftError("ERR_STORAGE_LOST", `${join(path, IDENTITY)} is gone`);
  return identity;
}

/**
 * What the `cluster.json` of a directory says; undefined when there is none.
 * @throws RaftError `ERR_STORAGE_CORRUPT` when it cannot be understood, `ERR_STORAGE_LOST` when it is of a newer format.
 */
export function findIdentity(path: string): Identity | undefined {
  const file = join(path, IDENTITY);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    const content: unknown = JSON.parse(text);
    refuseNewerFormat(file, content);
    return v.parse(identitySchema, content);
  } catch (cause) {
    if (cause instanceof RaftError) throw cause;
    throw new RaftError("ERR_STORAGE_CORRUPT", `${file} cannot be understood: ${inspect(text.slice(0, 100))}`, {
      cause,
    });
  }
}

function refuseNewerFormat(file: string, content: unknown): void {
  const format = (content as { format?: unknown } | null)?.format;
  if (typeof format !== "number" || format <= FORMAT) return;
  throw new RaftError(
    "ERR_STORAGE_LOST",
    `${file} is of format ${format}, written by a newer flotilla; this one reads up to ${FORMAT}`,
  );
}

function refuseOtherPeers(path: string, identity: Identity, peers: readonly string[]): void {
  const stored = Object.keys(identity.peers).sort();
  const given = [...peers].sort();
  if (stored.length === given.length && stored.every((peer, at) => peer === given[at])) return;
  throw new RaftError(
    "ERR_INVALID_OPTION",
    `peers: expected ${inspect(stored)}, as ${path} has, got ${inspect(given)}`,
  );
}

function refuseOtherBoot(path: string, identity: Identity, bootId: string | undefined): void {
  if (identity.bootId === undefined || identity.bootId === bootId) return;
  throw new RaftError(
    "ERR_STORAGE_LOST",
    `${path} was written with durability "process", and the machine went down before it was stopped: what was not ` +
      "synced is lost, and its stores may be broken. Start anew in another directory, or restore a copy",
  );
}

/** Without its identity a store cannot be told from another's; a new identity would make all of them another's. */
function refuseStrayStores(path: string, peers: readonly string[]): void {
  for (const peer of peers) {
    const folder = join(path, peer);
    const [file] = existsSync(folder) ? readdirSync(folder) : [];
    if (file === undefined) continue;
    throw new RaftError("ERR_STORAGE_LOST", `${path} has a folder ${peer} with ${file} in it, but no ${IDENTITY}`);
  }
}

function writeIdentity(path: string, identity: Identity): void {
  replaceSynced(join(path, IDENTITY), `${JSON.stringify(identity, undefined, 2)}\n`);
}

async function syncStore(folder: string): Promise<void> {
  if (existsSync(folder)) await syncContent(folder);
}

/** Makes errors of the file system say what was tried. */
async function reporting<Result>(what: string, attempt: () => Promise<Result>): Promise<Result> {
  try {
    return await attempt();
  } catch (cause) {
    throw failed(what, cause);
  }
}

function failed(what: string, cause: unknown): RaftError {
  if (cause instanceof RaftError) return cause;
  const code = isFull(cause) ? "ERR_STORAGE_FULL" : "ERR_STORAGE_FAILED";
  return new RaftError(code, `${what}: ${(cause as Error).message}`, { cause });
}
