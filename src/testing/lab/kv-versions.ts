import { RaftError } from "../../raft/errors.ts";
import { type KvCaller, KvClients } from "./kv-clients.ts";
import type { KvTest } from "./kv-generic.ts";
import { expect, type Lab, T } from "./lab.ts";

const KEYS = 100;
const ROUNDS = 3;
/** What a call may take before its outcome is left unknown, as the lab's ErrMaybe has it. */
const PATIENCE_MS = 10_000;

/** Of a key: how many puts have succeeded, and of how many nobody knows. */
interface Puts {
  ok: number;
  maybe: number;
}

/** Each put names the version that it replaces: in the end a key has as many versions as it had puts that succeeded. */
export async function versionedPuts(lab: Lab, { clients: count, unreliable, crash }: KvTest): Promise<void> {
  const clients = new KvClients(lab, unreliable);
  const callers = await Promise.all(Array.from({ length: count }, () => clients.make()));
  const puts = Array.from({ length: KEYS }, (): Puts => ({ ok: 0, maybe: 0 }));
  for (let round = 1; round <= ROUNDS; round++) {
    const over = { isOver: false };
    const working = Promise.all(callers.map((caller) => work(lab, caller, puts, over)));
    // What fails first is reported.
    working.catch(() => {});
    lab.step(`round ${round} of ${ROUNDS}: clients put${crash ? ", the leader crashes" : ""}`);
    await lab.sleep(T);
    if (crash) {
      const leader = await lab.leader();
      await lab.cluster.crash(leader);
      await lab.restart(leader);
    }
    over.isOver = true;
    await working;
    lab.step(`round ${round} of ${ROUNDS}: count the versions`);
    await Promise.all(callers.map((caller, me) => expectVersions(caller, puts, me, count)));
    await clients.check();
  }
}

/** Of every so many keys one. */
async function expectVersions(caller: KvCaller, puts: readonly Puts[], from: number, every: number): Promise<void> {
  for (const [key, { ok, maybe }] of puts.entries()) {
    // What nobody has put is as well not asked for.
    if (key % every !== from || ok + maybe === 0) continue;
    const { version } = await caller.entry(`k${key}`);
    expect(
      version >= ok && version <= ok + maybe,
      () => `k${key} has version ${version} after ${ok} puts and ${maybe} that are not known of.`,
    );
  }
}

async function work(
  lab: Lab,
  caller: KvCaller,
  puts: readonly Puts[],
  over: { readonly isOver: boolean },
): Promise<void> {
  for (let at = 0; !over.isOver; at++) {
    const key = lab.below(puts.length);
    const count = puts[key];
    if (count === undefined) continue;
    try {
      const { version } = await caller.entry(`k${key}`, PATIENCE_MS);
      const { ok } = await caller.set(`k${key}`, `${caller.name} ${at}`, version, PATIENCE_MS);
      if (ok) count.ok++;
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      if (error.outcome === "unknown") count.maybe++;
    }
  }
}
