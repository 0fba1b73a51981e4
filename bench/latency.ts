import { runAlone } from "./run.ts";

/*
 * Latencies in an open loop at fixed rates, counted from when a command was due; while all peers take snapshots all the
 * time, and while they do not.
 *
 *     npx tsx bench/latency.ts --rate 1000,10000 --state-mb 500 --durability disk --machine memory,durable --runs 5
 */
await runAlone("latency");
