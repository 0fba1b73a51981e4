import { runAlone } from "./run.ts";

/*
 * How long a restart takes over the length of the log and the size of the state; how fast a follower that was away catches
 * up, by entries and by a snapshot, and what others feel of it.
 *
 *     npx tsx bench/recovery.ts --parts log,state,catch-up,install --entries 100000,10000000 --keys 1000000
 */
await runAlone("recovery");
