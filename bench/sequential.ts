import { runAlone } from "./run.ts";

/*
 * What one client waits for that appends to one key, each append after the answer to the one before: the lab's Speed
 * tests, on disk.
 *
 *     npx tsx bench/sequential.ts --appends 1000 --durability disk,process --snapshot-every 0,1000 --runs 5
 */
await runAlone("sequential");
