import { runAlone } from "./run.ts";

/*
 * Commands a second in a closed loop: so many clients, each with one command outstanding. The clients are promises of the
 * app's thread, as they are in an app, which is a thread of its own here; what they cost is told beside the figures.
 *
 *     npx tsx bench/throughput.ts --peers 3 --outstanding 1,64,1000,4000 --bytes 256 --durability disk --runs 5
 */
await runAlone("throughput");
