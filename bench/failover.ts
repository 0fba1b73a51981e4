import { runAlone } from "./run.ts";

/*
 * From a leader's crash, pause or partition to the next commit, over hundreds of trials.
 *
 *     npx tsx bench/failover.ts --faults crash,pause,partition --trials 300
 */
await runAlone("failover");
