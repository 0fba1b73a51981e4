import { runAlone } from "./run.ts";

/*
 * The same closed loop against what people would run instead, as far as it is installed: etcd, and ra in one Erlang node and
 * in three. docs/versus.md tells how to install them, and what differs.
 *
 *     npx tsx bench/versus.ts --outstanding 1,64,1000 --operations put,read --bytes 256 --runs 5
 */
await runAlone("versus");
