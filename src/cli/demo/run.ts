import { performance } from "node:perf_hooks";
import { Supervisor } from "../../actors/supervisor.ts";
import { hashSeed, seededRandom } from "../../raft/random.ts";
import { Figures } from "./figures.ts";
import { describe, problemIn } from "./news.ts";
import { play } from "./script.ts";
import { finalPeers, untilAllAreEqual, valuesOf } from "./settle.ts";
import type { Evidence } from "./verdict.ts";
import type { View } from "./view.ts";
import { startClient } from "./workload.ts";

/** What one run of the demo is told. */
export interface RunOptions {
  readonly directory: string;
  /** How long the script of faults takes; settling and checking come on top. */
  readonly seconds: number;
  readonly seed: number;
  readonly clients: number;
  readonly view: View;
  /** Ends the run, which rejects then; nothing is left running. */
  readonly signal: AbortSignal;
}

/** What a run leaves behind, all but the logs on disk. */
export interface Run {
  readonly evidence: Omit<Evidence, "logs">;
  readonly figures: Figures;
  /** How long the clients worked, in seconds. */
  readonly seconds: number;
  /** What happened in the cluster and was no fault of the script. */
  readonly problems: readonly string[];
}

const PEERS = 5;
const SHOW_EVERY_MS = 100;
const SHOWS_A_SECOND = 1000 / SHOW_EVERY_MS;

/** Starts a cluster and clients, plays the script, waits until all is quiet, and stops the cluster. */
export async function run({ directory, seconds, seed, clients: count, view, signal: given }: RunOptions): Promise<Run> {
  const begin = performance.now();
  const now = () => (performance.now() - begin) / 1000;
  const say = (text: string) => view.say(now(), text);
  const ended = new AbortController();
  const signal = AbortSignal.any([given, ended.signal]);
  const figures = new Figures();
  const problems: string[] = [];
  let step = "";

  say(`${PEERS} peers, each a thread with a store of its own in ${directory}`);
  const supervisor = await Supervisor.start({ peers: PEERS, directory, seed });
  const follow = async () => {
    for await (const event of supervisor.events()) {
      figures.onEvent(event);
      const text = describe(event);
      if (text !== undefined) say(text);
      const problem = problemIn(event);
      if (problem !== undefined) problems.push(problem);
    }
  };
  const following = follow();

  const lastCounts: number[] = [];
  const show = async () => {
    const peers = await Promise.all(supervisor.peers.map((peer) => peer.status()));
    lastCounts.push(figures.acked);
    if (lastCounts.length > SHOWS_A_SECOND + 1) lastCounts.shift();
    const { acked, unknown, elections } = figures;
    const perSecond = acked - (lastCounts[0] ?? 0);
    view.show({ seconds: now(), step, peers, acked, unknown, perSecond, elections });
  };
  const ticker = setInterval(show, SHOW_EVERY_MS);

  try {
    const workEnd = new AbortController();
    const workSignal = AbortSignal.any([signal, workEnd.signal]);
    const name = `${Date.now().toString(36)}-`;
    const clients = Array.from({ length: count }, (_, at) =>
      startClient(supervisor, `${name}${at + 1}`, figures, workSignal),
    );
    const work = Promise.all(clients.map(({ done }) => done));
    const workBegin = performance.now();

    const random = seededRandom(hashSeed(seed, "demo"));
    const playing = play({ supervisor, random, signal, say }, seconds * 1000, ({ title }) => {
      step = title;
      say(`--- ${title}`);
    });
    // A client ends before the script only if it fails.
    const failed = work.then(() => playing);
    await Promise.race([playing, failed]);
    workEnd.abort();
    await work;
    const workSeconds = (performance.now() - workBegin) / 1000;

    step = "all faults are over";
    say(`--- ${step}`);
    await supervisor.faults.heal();
    await untilAllAreEqual(supervisor, signal);
    const histories = clients.map(({ history }) => history);
    const values = await valuesOf(supervisor, histories);
    const peers = await finalPeers(supervisor);
    say("all peers have applied the same");
    await show();
    return { evidence: { histories, values, peers }, figures, seconds: workSeconds, problems };
  } finally {
    clearInterval(ticker);
    ended.abort();
    await supervisor.stop();
    await following;
    view.end();
  }
}
