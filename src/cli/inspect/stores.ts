import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { findIdentity, type Identity } from "../../actors/directory.ts";
import { isStore } from "../../storage/inspect-store.ts";
import type { StoreReport } from "../../storage/store-report.ts";
import { UsageError } from "../usage.ts";

/** A store to be looked at. */
export interface FoundStore {
  readonly peer: string;
  readonly path: string;
  /** Who it must be, as far as the cluster says. */
  readonly expected: { readonly cluster: string; readonly peer: string; readonly store: string } | undefined;
  /** It was not made yet. */
  readonly isUnborn: boolean;
}

export interface FoundStores {
  readonly directory: string;
  /** Undefined when the directory is a store, or does not say. */
  readonly cluster: string | undefined;
  readonly stores: readonly FoundStore[];
  /** What is wrong with the directory itself. */
  readonly problems: readonly string[];
}

/**
 * The stores in the directory of a cluster, or the one that `given` itself is.
 * @throws UsageError when there are none.
 */
export function findStores(given: string): FoundStores {
  const directory = resolve(given);
  if (!existsSync(directory) || !statSync(directory).isDirectory()) {
    throw new UsageError(`inspect: there is no directory ${directory}`);
  }
  if (isStore(directory)) {
    return { directory, cluster: undefined, stores: [unknownStore(directory)], problems: [] };
  }
  let identity: Identity | undefined;
  const problems: string[] = [];
  try {
    identity = findIdentity(directory);
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  const stores = identity === undefined ? strayStores(directory) : storesOf(directory, identity);
  if (identity === undefined && problems.length === 0) {
    if (stores.length === 0) throw new UsageError(`inspect: ${directory} holds no cluster, and is no store`);
    problems.push("there are stores, but no cluster.json");
  }
  return { directory, cluster: identity?.cluster, stores, problems };
}

/** What is wrong with a store beside what it says itself: that it is another's. */
export function problemsOf({ expected }: FoundStore, { identity }: StoreReport): string[] {
  if (expected === undefined || identity === undefined) return [];
  const differs = (["cluster", "peer", "store"] as const).filter((field) => identity[field] !== expected[field]);
  return differs.map((field) => `it is of ${field} "${identity[field]}", where "${expected[field]}" should be`);
}

function storesOf(directory: string, { cluster, peers }: Identity): FoundStore[] {
  return Object.entries(peers).map(([peer, { store, born }]) => {
    const path = join(directory, peer);
    return { peer, path, expected: { cluster, peer, store }, isUnborn: !born && !isStore(path) };
  });
}

function strayStores(directory: string): FoundStore[] {
  const folders = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders
    .map(({ name }) => join(directory, name))
    .filter(isStore)
    .map(unknownStore);
}

function unknownStore(path: string): FoundStore {
  return { peer: basename(path), path, expected: undefined, isUnborn: false };
}
