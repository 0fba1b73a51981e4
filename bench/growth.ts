import { runAlone } from "./run.ts";

/*
 * What a command costs as the log, the state, the peers and the clients grow, with memory and files beside it; and what an
 * idle cluster costs.
 *
 *     npx tsx bench/growth.ts --parts log,state,peers,clients,idle --entries 100000,10000000
 */
await runAlone("growth");
