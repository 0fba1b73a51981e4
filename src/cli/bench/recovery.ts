import type { Bench } from "./bench.ts";
import { measureCatchUp, measureInstall } from "./recovery/lagging.ts";
import { restartsOfLogs, restartsOfStates } from "./recovery/restarts.ts";
import { AWAYS } from "./recovery/setting.ts";

/** How long a peer is away for. */
export const recovery: Bench = {
  name: "recovery",
  summary: "restarts over log and state sizes; how a follower that was away catches up, and what others feel of it",
  options: {
    parts: { default: "log,state,catch-up,install", quick: "log,state,catch-up,install", help: "what is measured" },
    entries: { default: "100000,1000000,10000000", quick: "10000,100000", help: "lengths of the log, for restarts" },
    keys: { default: "10000,100000,1000000", quick: "10000,100000", help: "sizes of the state, for restarts" },
    machine: {
      default: "memory,durable",
      quick: "memory,durable",
      help: "the map in memory, the durable one, or both",
    },
    away: {
      default: "stopped,partitioned",
      quick: "stopped,partitioned",
      help: "how a follower lags: its thread was stopped, or it was partitioned from the others",
    },
    missed: { default: "2000000", quick: "50000", help: "entries that the lagging follower has missed" },
    "state-mb": { default: "500", quick: "20", help: "size of the snapshot that is installed" },
    bytes: { default: "256", quick: "256", help: "size of the values" },
    rate: { default: "0", quick: "0", help: "commands a second meanwhile; 0: half of what the cluster can do" },
    durability: { default: "disk", quick: "disk", help: "disk or process" },
    seconds: { default: "4", quick: "1", help: "for which others are measured before" },
    "warm-up": { default: "4", quick: "1", help: "seconds of their load before that" },
    runs: { default: "3", quick: "1", help: "of each" },
  },
  prepare(options) {
    const parts = options.choices("parts", ["log", "state", "catch-up", "install"]);
    const common = {
      durability: options.durability(),
      bytes: options.bytes(),
      rate: options.number("rate", 0, 1e6),
      ...options.times(),
    };
    const settings = options.machines().map((machine) => ({ ...common, machine }));
    const entries = options.integers("entries");
    const keys = options.integers("keys");
    const aways = options.choices("away", AWAYS);
    const missed = options.integer("missed");
    const stateMb = options.number("state-mb", 0.001, 100_000);
    return async function* (context) {
      for (const setting of settings) {
        if (parts.includes("log")) yield* restartsOfLogs(context, setting, entries);
        if (parts.includes("state")) yield* restartsOfStates(context, setting, keys);
      }
      for (const setting of settings) {
        for (const away of aways) {
          if (parts.includes("catch-up")) yield await measureCatchUp(context, setting, away, missed);
          if (parts.includes("install")) yield await measureInstall(context, setting, away, stateMb);
        }
      }
    };
  },
};
