import { runAlone } from "./run.ts";

/*
 * What this machine allows, and what part of it a cluster reaches in the same run: fsyncs, LMDB's commits in one and in
 * several environments at once, hops between threads, and a pipeline with the cluster's threads but no Raft in it.
 *
 *     npx tsx bench/limit.ts --outstanding 1,64,1000,4000 --bytes 256 --durability disk --runs 5
 */
await runAlone("limit");
