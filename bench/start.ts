import { runAlone } from "./run.ts";

/*
 * From the start of a program on the command line to its first commit, in a new directory and in one that was used before.
 * What counts is the built package: npm run build, then
 *
 *     npx tsx bench/start.ts --dist --runs 10
 */
await runAlone("start");
