import { inspect } from "node:util";
import type { MachineSpec } from "../../machine/load.ts";
import { RaftError } from "../../raft/errors.ts";
import type { Workload } from "./workload.ts";

/**
 * What a machine's module says of how it is to be simulated; undefined for the map that ships.
 * @throws RaftError `ERR_MACHINE_MODULE` when it says nothing.
 */
export async function loadWorkload({ module: href }: MachineSpec): Promise<Workload | undefined> {
  if (href === undefined) return undefined;
  const exports: { simulation?: unknown } = await import(/* @vite-ignore */ href);
  const workload = exports.simulation;
  if (isWorkload(workload)) return workload;
  throw new RaftError(
    "ERR_MACHINE_MODULE",
    `${href}: simulation: expected an export such as { command: (random, count) => ... }, got ${inspect(workload)}`,
  );
}

function isWorkload(value: unknown): value is Workload {
  return typeof value === "object" && value !== null && "command" in value && typeof value.command === "function";
}
