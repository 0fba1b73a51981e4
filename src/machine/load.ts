import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { RaftError } from "../raft/errors.ts";
import { KeyValueMap } from "./key-value.ts";
import type { AnyStateMachine, DurableStateMachine, StateMachine, StateMachineClass } from "./state-machine.ts";

/** Which state machine the peers of a cluster run. */
export interface MachineSpec {
  /** The URL of the module whose default export is the class; undefined for the built-in {@link KeyValueMap}. */
  readonly module: string | undefined;
  /** What the constructor is given. */
  readonly options?: unknown;
}

const METHODS = ["apply", "query", "snapshot", "restore"] as const satisfies readonly (keyof StateMachine)[];
const DURABLE_METHODS = ["apply", "query"] as const satisfies readonly (keyof DurableStateMachine)[];

/**
 * Imports the machine's module into this thread and makes one instance.
 * @throws RaftError `ERR_MACHINE_MODULE`, with the `cause` where there is one: the module is missing or fails, is
 * TypeScript that this Node cannot load, exports no class by default, or the class cannot be made or lacks a method.
 */
export async function loadMachine(spec: MachineSpec): Promise<AnyStateMachine> {
  return (await loadFactory(spec))();
}

/**
 * Imports the machine's module into this thread. @returns what makes an instance; it throws what `loadMachine` does.
 * @throws RaftError as `loadMachine` does.
 */
export async function loadFactory({ module: href, options }: MachineSpec): Promise<() => AnyStateMachine> {
  if (href === undefined) return () => new KeyValueMap();
  const Machine = await importClass(href);
  return () => {
    let machine: AnyStateMachine;
    try {
      machine = new Machine(options);
    } catch (cause) {
      throw failed(`the state machine of ${href} cannot be made: ${messageOf(cause)}`, cause);
    }
    const missing = isDurable(machine)
      ? DURABLE_METHODS.filter((method) => typeof machine[method] !== "function")
      : METHODS.filter((method) => typeof machine[method] !== "function");
    if (missing.length > 0) throw failed(`the state machine of ${href} has no method ${missing.join(", ")}`);
    return machine;
  };
}

/** Whether the state is kept in the store. */
export function isDurable(machine: AnyStateMachine): machine is DurableStateMachine {
  return "durable" in machine && machine.durable === true;
}

async function importClass(href: string): Promise<StateMachineClass> {
  if (needsTsx(href)) await registerTsx(href);
  let exports: { default?: unknown };
  try {
    exports = await import(/* @vite-ignore */ href);
  } catch (cause) {
    throw failed(`the state machine's module cannot be loaded: ${href}: ${messageOf(cause)}`, cause);
  }
  // A module that was compiled to CommonJS comes as the default export, with its own default inside.
  const outer = exports.default;
  const found = typeof outer === "object" && outer !== null ? (outer as { default?: unknown }).default : outer;
  if (typeof found !== "function") throw failed(`${href} has no default export that is a class`);
  return found as StateMachineClass;
}

/** Whether `href` is TypeScript and nothing in this thread can load it: this file itself is JavaScript by now. */
function needsTsx(href: string): boolean {
  const typescript = (process.features as { typescript?: string | false }).typescript;
  return /\.[cm]?tsx?$/.test(href) && !typescript && !import.meta.url.endsWith(".ts");
}

/**
 * Makes this thread load TypeScript by the tsx that the machine's own package has. It must come before the first
 * import, since Node remembers a failed one; and both its halves, since the package may be CommonJS.
 */
async function registerTsx(href: string): Promise<void> {
  try {
    const require = createRequire(href);
    const packageFile = require.resolve("tsx/package.json");
    const { exports } = require(packageFile) as { exports: Record<string, { import: { default: string } }> };
    for (const half of ["./esm/api", "./cjs/api"]) {
      // By file, since `require.resolve` knows only the CommonJS build, which cannot register in an ES module's place.
      const file = exports[half]?.import.default ?? half;
      const api: { register(): unknown } = await import(new URL(file, pathToFileURL(packageFile)).href);
      api.register();
    }
  } catch (cause) {
    throw failed(
      `the state machine's module is TypeScript, which Node ${process.versions.node} cannot load by itself: ${href}: ` +
        `compile it, install tsx beside it, or use Node 22.18 or later`,
      cause,
    );
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function failed(message: string, cause?: unknown): RaftError {
  return new RaftError("ERR_MACHINE_MODULE", message, cause === undefined ? {} : { cause });
}
