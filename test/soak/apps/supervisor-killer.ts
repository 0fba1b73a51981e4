import { workerData } from "node:worker_threads";
import { KeyValueMap } from "../../../src/machine/key-value.ts";
import type { KeyValueQuery } from "../../../src/machine/key-value-types.ts";

/** A map that can bring the supervisor's thread down, by sending it what is no mail. */
export default class SupervisorKiller extends KeyValueMap {
  override query(query: KeyValueQuery | { readonly op: "kill-supervisor" }) {
    if (query.op !== "kill-supervisor") return super.query(query);
    workerData.rpc.postMessage("garbage");
    return 0;
  }
}
