import type { KeyValueCommand, KeyValueQuery } from "../../machine/key-value-types.ts";
import type { Random } from "../../raft/random.ts";
import type { KeyValueInput } from "../linearizability/key-value.ts";
import type { Draw } from "./draw.ts";
import type { Plan } from "./plan.ts";

/**
 * What clients do to a machine in a simulation; a machine's module exports one as `simulation`. Everything that is drawn
 * must come from `random`.
 */
export interface Workload {
  /** The next command. `count` is different at each call. */
  command(random: Random, count: number): unknown;
  /** The next query. Default: there are none. */
  query?(random: Random): unknown;
  /** Asks a replica when the run is over. @returns what is wrong with it; undefined: nothing. */
  check?(machine: { query(query: unknown): unknown }): string | undefined;
}

/** An operation of a client: what is sent, and, if a model is to judge the answers, what it is told. */
export interface Step {
  readonly command?: unknown;
  readonly query?: unknown;
  readonly input?: KeyValueInput;
}

/** What is wanted next; `bytes`: a command that no history knows of, and that is at least so large if there are such. */
export type Wanted = "command" | "query" | { readonly bytes: number };

export type NextStep = (draw: Draw, wanted: Wanted, count: number) => Step;

/** For a module's own machine: nothing is known of its answers but that all replicas give the same. */
export function customSteps(workload: Workload): NextStep {
  return (draw, wanted, count) =>
    wanted === "query" && workload.query !== undefined
      ? { query: workload.query(draw.random) }
      : { command: workload.command(draw.random, count) };
}

const WRITES = { put: 5, append: 5, cas: 3, delete: 1, get: 1 } as const;

/** For the map that ships: a few keys, values that nobody else writes, and all kinds of commands. */
export function keyValueSteps({ keys }: Pick<Plan, "keys">): NextStep {
  /** What was written to each key lately, for `cas` to succeed now and then. */
  const recent = new Map<string, string>();
  return (draw, wanted, count) => {
    const key = `k${draw.integer(1, keys)}`;
    if (typeof wanted === "object") {
      return { command: { op: "put", key: "elsewhere", value: `${count} `.padEnd(wanted.bytes, ".") } };
    }
    if (wanted === "query") return { query: { op: "get", key } satisfies KeyValueQuery, input: { op: "get", key } };
    const value = `${count} `;
    const command = ((): KeyValueCommand & KeyValueInput => {
      const op = draw.weighted(WRITES);
      switch (op) {
        case "put":
        case "append":
          return { op, key, value };
        case "cas":
          return { op, key, expected: recent.get(key), value };
        case "delete":
        case "get":
          return { op, key };
      }
    })();
    if (command.op === "put" || command.op === "cas") recent.set(key, value);
    return { command, input: command };
  };
}
