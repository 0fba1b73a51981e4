import { runAlone } from "./run.ts";

/*
 * Reads a second in a closed loop, in every way there is to read: so many clients, each with one read outstanding. "reads
 * a round" says how many linearizable reads one round of confirmations has served.
 *
 *     npx tsx bench/reads.ts --outstanding 1,64,1000 --ways leader,followers,lease,local,mixed --runs 5
 */
await runAlone("reads");
