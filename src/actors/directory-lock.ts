import { randomUUID } from "node:crypto";
import { link, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { threadId } from "node:worker_threads";
import { RaftError } from "../raft/errors.ts";
import { codeOf, createSynced } from "./durable-files.ts";

/** Whose lock it is. Complete from the moment the file has its name, since it is written under another first. */
interface Holder {
  readonly pid: number;
  /** When that process started, in clock ticks of its boot, since ids are used again; where there is /proc. */
  readonly processStart?: string | undefined;
  readonly bootId?: string | undefined;
  readonly thread: number;
  /** Never used twice. */
  readonly token: string;
}

/** The right to a directory, until it is released or this process ends. */
export interface DirectoryLock {
  /** Lets others have the directory. Call it once nothing of this process writes there any more. */
  release(): Promise<void>;
}

const ATTEMPTS = 100;

/**
 * The tokens that this thread holds, for all copies of this module in it. It tells a lock that is in use from one that
 * a supervisor of this very thread left behind.
 */
const REGISTRY = Symbol.for("flotilla.directoryLocks");
function heldHere(): Set<string> {
  const global = globalThis as { [REGISTRY]?: Set<string> };
  global[REGISTRY] ??= new Set();
  return global[REGISTRY];
}

/**
 * Locks a directory for this process and for one opener in it. A lock whose process has died is taken over, whatever
 * it was killed in the middle of; so is one that this thread made and no longer holds. One of another thread of this
 * process is never judged dead.
 *
 * The processes must see each other: a directory that containers share, or machines, is not protected.
 *
 * The file `lock` names its holder. To take a dead holder's place one first becomes its successor: makes the file
 * `.lock-after-<its token>`, which one process alone can. The holder is thus the last of a chain that begins at `lock`.
 * The new holder then puts itself at the head, and only then removes the rest. Whoever made a successor, and finds the
 * head still as it was when it looked first, knows that nobody came between; else it stands beside the chain, and
 * tries anew.
 * @throws RaftError `ERR_DIRECTORY_IN_USE` that names the process; `ERR_STORAGE_CORRUPT` when a lock makes no sense.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const token = randomUUID();
  const held = heldHere();
  // Before the file is there, so that no other opener in this thread takes it for left behind.
  held.add(token);
  try {
    const me: Holder = {
      pid: process.pid,
      ...(await processOf(process.pid)),
      bootId: await readBootId(),
      thread: threadId,
      token,
    };
    await acquire(directory, me);
  } catch (error) {
    held.delete(token);
    throw error;
  }
  return {
    async release() {
      const lock = join(directory, "lock");
      try {
        if ((await readHolder(lock))?.token === token) await rm(lock, { force: true });
      } finally {
        held.delete(token);
      }
    },
  };
}

async function acquire(directory: string, me: Holder): Promise<void> {
  const mine = join(directory, `.lock-${me.token}`);
  let cause: unknown;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const chain = await readChain(directory);
    const last = chain.at(-1);
    if (last !== undefined && (await isAlive(last))) {
      const whose = `process ${last.pid}${last.pid === process.pid ? ", which is this one" : ""}`;
      throw new RaftError(
        "ERR_DIRECTORY_IN_USE",
        `${directory} is in use by ${whose} (see ${join(directory, "lock")})`,
      );
    }
    try {
      createSynced(mine, JSON.stringify(me));
      if (await append(directory, mine, chain)) return;
    } catch (error) {
      // Somebody was quicker: took the name, or became the holder and swept our file away.
      if (!["EEXIST", "ENOENT"].includes(codeOf(error) ?? "")) throw error;
      cause = error;
    } finally {
      await rm(mine, { force: true });
    }
  }
  throw new RaftError("ERR_STORAGE_FAILED", `${directory} could not be locked in ${ATTEMPTS} attempts`, { cause });
}

/** The holders from the one at the head to the last. */
async function readChain(directory: string): Promise<Holder[]> {
  const chain: Holder[] = [];
  for (let file = join(directory, "lock"); ; ) {
    const holder = await readHolder(file);
    if (holder === undefined) return chain;
    chain.push(holder);
    file = successorOf(directory, holder);
  }
}

/** Makes `mine` the last of the chain and then its head; false if the chain is another by now. */
async function append(directory: string, mine: string, chain: readonly Holder[]): Promise<boolean> {
  const lock = join(directory, "lock");
  const [head, last] = [chain[0], chain.at(-1)];
  if (head === undefined || last === undefined) {
    await link(mine, lock);
    return true;
  }
  const successor = successorOf(directory, last);
  await link(mine, successor);
  if ((await readHolder(lock))?.token !== head.token) {
    await rm(successor, { force: true });
    return false;
  }
  await rename(mine, lock);
  for (const name of await readdir(directory)) {
    if (name.startsWith(".lock-")) await rm(join(directory, name), { force: true });
  }
  return true;
}

function successorOf(directory: string, holder: Holder): string {
  return join(directory, `.lock-after-${holder.token}`);
}

async function readHolder(file: string): Promise<Holder | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    const holder = JSON.parse(text) as Holder;
    if (Number.isInteger(holder.pid) && /^[\w-]+$/.test(holder.token)) return holder;
  } catch {
    // Told below.
  }
  throw new RaftError("ERR_STORAGE_CORRUPT", `${file} does not say who holds it; remove it if no process does`);
}

async function isAlive(holder: Holder): Promise<boolean> {
  const bootId = await readBootId();
  if (holder.bootId !== undefined && bootId !== undefined && holder.bootId !== bootId) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // Any other error: it is there, and not ours to signal.
    if (codeOf(error) === "ESRCH") return false;
  }
  const now = await processOf(holder.pid);
  if (now.dead) return false;
  const starts = [now.processStart, holder.processStart];
  if (!starts.includes(undefined) && starts[0] !== starts[1]) return false;
  return holder.pid !== process.pid || holder.thread !== threadId || heldHere().has(holder.token);
}

/** What /proc tells of a process, where there is one. */
async function processOf(pid: number): Promise<{ processStart?: string; dead?: boolean }> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, "utf8");
  } catch {
    return {};
  }
  // The second field is the name of the program, in brackets, and may hold anything. See proc(5).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, threads, processStart] = [fields[0], Number(fields[17]), fields[19]];
  // Killed, and not yet waited for by its parent; while threads are left, one may still be in a write.
  const dead = (state === "Z" || state === "X") && threads <= 1;
  return { ...(processStart === undefined ? {} : { processStart }), ...(dead ? { dead } : {}) };
}

/** A name for the time since the machine started; undefined where the system has none. */
export async function readBootId(): Promise<string | undefined> {
  try {
    return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  } catch {
    return undefined;
  }
}
