import { randomInt } from "node:crypto";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import * as v from "valibot";
import type { MachineSpec } from "../machine/load.ts";
import type { Logger } from "./logger.ts";
import type { RestartPolicy } from "./options.ts";
import type { Trace } from "./protocol.ts";
import type { Verify } from "./verification.ts";

const MAX_PEERS = 64;
const MAX_COMMAND_BYTES = 64 << 20;
/** The longest that a timer of Node can wait. */
const MAX_MS = 2 ** 31 - 1;

/** What a peer may be called: it is the name of a folder, on any system. */
const PEER_NAME = /^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$/;
/** Files that lie beside the peers' folders, and keys that no object of peers should have. */
const RESERVED_NAMES = ["lock", "cluster.json", "__proto__", "constructor", "prototype"];
/** What a thread can import by its URL. */
const IMPORTABLE = /^(file|data):/;

/** Every message of a schema is what was expected; `invalid` makes a sentence of it. */
function where<Input>(holds: (input: Input) => boolean, expected: string) {
  return v.check<Input, string>(holds, expected);
}

function numberThat(holds: (input: number) => boolean, expected: string) {
  return v.pipe(v.number(expected), where(holds, expected));
}

function integerIn(min: number, max: number, expected: string) {
  return numberThat((input) => Number.isInteger(input) && input >= min && input <= max, expected);
}

function milliseconds(min: number) {
  return numberThat((input) => input >= min && input <= MAX_MS, `milliseconds, a number from ${min} to ${MAX_MS}`);
}

const wholeBytes = integerIn(0, Number.MAX_SAFE_INTEGER, "a whole number of bytes");

const path = v.pipe(
  v.string("a path"),
  v.minLength(1, "a path"),
  v.transform((relative) => resolve(relative)),
);

function bounds(min: number) {
  return v.strictTuple([milliseconds(min), milliseconds(min)], "two bounds in milliseconds");
}

const peerName = v.pipe(
  v.string("a name"),
  where((name) => PEER_NAME.test(name), "a name of up to 64 letters, digits, _, - and ., not a dot first"),
  where((name) => !RESERVED_NAMES.includes(name.toLowerCase()), `a name other than ${RESERVED_NAMES.join(", ")}`),
);

const EXPECTED_PEERS = `a count from 1 to ${MAX_PEERS}, or as many names`;

const peerCount = v.pipe(
  integerIn(1, MAX_PEERS, EXPECTED_PEERS),
  v.transform((count) => Array.from({ length: count }, (_, at) => `p${at + 1}`)),
);

const peerNames = v.pipe(
  v.array(peerName, EXPECTED_PEERS),
  where((names) => names.length >= 1 && names.length <= MAX_PEERS, EXPECTED_PEERS),
  where(
    // Some file systems take "a" and "A" for the same folder.
    (names) => new Set(names.map((name) => name.toLowerCase())).size === names.length,
    "names that differ, and not only by case",
  ),
);

const EXPECTED_MODULE = "the file: or data: URL, or the path, of a module that exports a class by default";

const machineModule = v.pipe(
  v.custom<URL | string>(
    (input) => input instanceof URL || (typeof input === "string" && input !== ""),
    EXPECTED_MODULE,
  ),
  v.transform((module) => {
    if (module instanceof URL) return module.href;
    // A scheme has two letters or more; a single one is a drive.
    return /^[a-z][a-z\d+.-]+:/i.test(module) ? module : pathToFileURL(resolve(module)).href;
  }),
  where((href) => IMPORTABLE.test(href), EXPECTED_MODULE),
);

const machineAlone = v.pipe(
  machineModule,
  v.transform((module) => ({ module, options: undefined })),
);

const machineWithOptions = v.strictObject(
  {
    module: machineModule,
    options: v.optional(v.pipe(v.unknown(), where(isCloneable, "something that can be sent to a thread"))),
  },
  EXPECTED_MODULE,
);

const EXPECTED_INTENSITY = "how many crashes, a whole number or Infinity";

const restartPolicy = v.strictObject(
  {
    intensity: v.optional(
      numberThat((input) => input >= 0 && (Number.isInteger(input) || input === Infinity), EXPECTED_INTENSITY),
      10,
    ),
    periodMs: v.optional(milliseconds(1), 10_000),
    backoffMs: v.optional(
      v.pipe(
        bounds(0),
        where(([shortest, longest]) => shortest <= longest, "the longer bound to be no less than the shorter"),
      ),
      [10, 1_000],
    ),
  },
  "false, or an object with intensity, periodMs and backoffMs",
);

/**
 * `SupervisorOptions` as a schema that fills in the defaults. Each message is what was expected. Choices are
 * made by hand, since of a union's mistakes one would not know which to tell.
 */
export const optionsSchema = v.strictObject(
  {
    peers: v.optional(
      v.lazy((input): v.GenericSchema<unknown, string[]> => (Array.isArray(input) ? peerNames : peerCount)),
      3,
    ),
    directory: v.optional(path),
    machine: v.optional(
      v.lazy(
        (input): v.GenericSchema<unknown, MachineSpec> =>
          typeof input === "object" && !(input instanceof URL) ? machineWithOptions : machineAlone,
      ),
    ),
    durability: v.optional(v.picklist(["disk", "process"], '"disk" or "process"'), "disk"),
    heartbeatMs: v.optional(milliseconds(1), 50),
    electionMs: v.optional(
      v.pipe(
        bounds(1),
        where(([shorter, longer]) => shorter < longer, "the longer bound to be greater than the shorter"),
      ),
      [150, 300],
    ),
    maxClockDrift: v.optional(
      numberThat((input) => input >= 0 && input < 1, "a number from 0 up to but not including 1"),
      0.05,
    ),
    restart: v.optional(
      v.lazy(
        (input): v.GenericSchema<unknown, RestartPolicy | false> =>
          input === false ? v.literal(false) : restartPolicy,
      ),
      {},
    ),
    seed: v.optional(integerIn(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, "an integer"), () =>
      randomInt(2 ** 32),
    ),
    maxCommandBytes: v.optional(
      integerIn(1, MAX_COMMAND_BYTES, `a whole number of bytes, from 1 to ${MAX_COMMAND_BYTES}`),
      1 << 20,
    ),
    maxPendingBytes: v.optional(wholeBytes, 64 << 20),
    snapshotEvery: v.optional(
      integerIn(0, Number.MAX_SAFE_INTEGER, "a whole number of entries, or 0 for never"),
      10_000,
    ),
    verify: v.optional(v.custom<Verify>(isVerify, '"full", "ends" or false'), "full"),
    stuckMs: v.optional(milliseconds(0), 10_000),
    trace: v.optional(v.custom<Trace>(isTrace, 'true, "applied" or false'), false),
    record: v.optional(path),
    cacheBytes: v.optional(wholeBytes, 16 << 20),
    logger: v.optional(v.custom<Logger>(isLogger, "an object with the functions debug, info, warn and error")),
  },
  "an object with options",
);

/** The names that the options, and the objects in them, may have. */
export const KNOWN_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  "": Object.keys(optionsSchema.entries),
  restart: Object.keys(restartPolicy.entries),
  machine: Object.keys(machineWithOptions.entries),
};

function isLogger(value: unknown): boolean {
  const functions: Partial<Record<string, unknown>> = Object(value);
  return ["debug", "info", "warn", "error"].every((level) => typeof functions[level] === "function");
}

function isTrace(value: unknown): boolean {
  return typeof value === "boolean" || value === "applied";
}

function isVerify(value: unknown): boolean {
  return value === "full" || value === "ends" || value === false;
}

function isCloneable(value: unknown): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}
