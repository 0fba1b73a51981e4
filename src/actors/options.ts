import { inspect } from "node:util";
import * as v from "valibot";
import type { MachineSpec } from "../machine/load.ts";
import { RaftError } from "../raft/errors.ts";
import type { Durability } from "../storage/store.ts";
import type { Logger } from "./logger.ts";
import { KNOWN_OPTIONS, optionsSchema } from "./options-schema.ts";
import type { Trace } from "./protocol.ts";
import type { Verify } from "./verification.ts";

/** How to make a {@link SupervisorOptions.machine} that takes options. */
export interface MachineOptions {
  /** See {@link SupervisorOptions.machine}. */
  readonly module: URL | string;
  /** What the constructor of the class is given, in each peer's thread; must be fit for `structuredClone`. */
  readonly options?: unknown;
}

/** When a peer that crashed is started again, as supervisors of OTP do. */
export interface RestartOptions {
  /**
   * How many crashes within `periodMs` are put up with; one more, and the peer is given up. 0 gives up at the first,
   * Infinity never. It bounds what a peer that cannot live costs the others. Default 10.
   */
  readonly intensity?: number | undefined;
  /** The span in which crashes are counted, in milliseconds. Default 10,000. */
  readonly periodMs?: number | undefined;
  /**
   * The shortest and the longest wait before a restart, in milliseconds; it doubles with each crash in the period.
   * Default [10, 1000].
   */
  readonly backoffMs?: readonly [number, number] | undefined;
}

/** What `Supervisor.start` takes. All of it may be left out. */
export interface SupervisorOptions {
  /**
   * How many peers, 1 to 64, which are then called p1, p2, ...; or their names. A cluster of n goes on while more than
   * n/2 live: 3 bear the loss of one, 5 of two, and every command is written n times. Names are folder names: up to 64
   * letters, digits, `_`, `-` and `.`, not a dot first. They bootstrap a new directory, and must be the same ones when
   * it is opened again. Default 3.
   */
  readonly peers?: number | readonly string[] | undefined;
  /**
   * The folder that holds the cluster, one folder a peer inside it; made if need be, and open in one supervisor at a
   * time. Relative to the working directory. Default: a temporary one, removed when the supervisor stops.
   */
  readonly directory?: string | undefined;
  /**
   * The module whose default export is the {@link StateMachineClass} that the peers run: a URL, `file:` or `data:`, or
   * a path relative to the working directory. It is a module and not a class, since each peer's thread loads its own.
   * Default: the key-value map.
   */
  readonly machine?: URL | string | MachineOptions | undefined;
  /**
   * What a write is worth: "disk" survives a power loss; "process" survives a killed process but not the machine, and
   * does not wait for the disk. Default "disk".
   */
  readonly durability?: Durability | undefined;
  /**
   * How often a leader with nothing to say is heard, in milliseconds: at most half of the shortest election timeout,
   * so that one late message deposes nobody. Default 50.
   */
  readonly heartbeatMs?: number | undefined;
  /**
   * Bounds of the random election timeout (§5.2), in milliseconds. The shorter is how long a dead leader is waited
   * for, and must outlast a stall of its thread or a slow write; the wider the range, the rarer are split votes.
   * Default [150, 300].
   */
  readonly electionMs?: readonly [number, number] | undefined;
  /**
   * How far apart two peers' clocks may run, as a part of the time that passes, from 0 up to but not including 1: it
   * shortens the lease of "lease" reads. They are all clocks of one machine, which do not drift; raise it where that is
   * in doubt. Default 0.05.
   */
  readonly maxClockDrift?: number | undefined;
  /** When crashed peers are started again; false: never by themselves. */
  readonly restart?: RestartOptions | false | undefined;
  /**
   * An integer that timeouts and faults draw from, to get the same draws again. Threads and disks keep their own time
   * all the same. Default: drawn at random.
   */
  readonly seed?: number | undefined;
  /**
   * The most bytes one encoded command or query may take, at most 64 MiB. A command is written and sent in one piece,
   * and others wait behind it. Default 1 MiB.
   */
  readonly maxCommandBytes?: number | undefined;
  /**
   * How many bytes of commands and queries may wait for their answers in the app, 256 counted for each beside its own, past
   * which calls are rejected with `ERR_OVERLOADED`: it bounds memory when commands come faster than a majority writes them. (A
   * waiting call takes 1 to 2 KB of the heap, whatever its size.) The same bound holds for
   * what waits at each peer, commands and queries apart, and for what a peer has not answered after its callers gave
   * up. At least `maxCommandBytes`. Default 64 MiB.
   */
  readonly maxPendingBytes?: number | undefined;
  /**
   * How many entries a peer applies between two snapshots of its state machine, at most; the peers take turns. 0: never by
   * itself. It bounds the log: up to twice as many entries are kept, and as many are applied again after a restart. Larger
   * states want larger numbers, since a snapshot writes all of the state. Default 10,000.
   */
  readonly snapshotEvery?: number | undefined;
  /**
   * How much of a store that was used before is read before its peer's first start, in a process of its own: a file
   * that has gone bad can end the process that follows it, and must not end the app. "full": all pages and records, and
   * one write; it takes some seconds for a million entries, and `verify` events tell how far it is. "ends": what a peer
   * needs to start, and one write, whatever the size; what is broken elsewhere is met later, and then may end the app.
   * false: nothing. A peer whose store is broken is given up with `ERR_STORAGE_CORRUPT`, and the others start.
   * Default "full".
   */
  readonly verify?: Verify | undefined;
  /**
   * How long one call of the state machine may take, in milliseconds; 0: as long as it likes. A peer whose machine does
   * not return sooner is taken to loop for ever: its thread is ended with `ERR_MACHINE_STUCK`, and started again; the
   * third time in a row at the same entry it is given up. What counts is one `apply`, one `query`, and of `snapshot` and
   * `restore` the time from chunk to chunk; loading the module may always take 10 seconds. Choose it far above the
   * longest call that is well, on the busiest machine; where threads are held at breakpoints, 0. Default 10,000.
   */
  readonly stuckMs?: number | undefined;
  /**
   * What each peer reports of itself, for tests and tools that look inside. "applied": every command that it applies, as
   * `applied` events. true: those, and every step of the algorithm, as `trace` events: messages received and sent, changes
   * of role, term and vote, what is written and what is committed. Both cost throughput; false costs nothing. Default
   * false.
   */
  readonly trace?: Trace | undefined;
  /**
   * A folder, made if need be, in which each life of each peer leaves a file with all that its algorithm was given and did,
   * to be replayed and checked by `flotilla/testing`. It holds the commands too. Each file ends at 256 MiB, and an old one
   * is never written over: a peer that finds its file there does not start. Relative to the working directory. Default:
   * nothing is recorded, which costs nothing.
   */
  readonly record?: string | undefined;
  /**
   * How many bytes of the log's end each peer keeps in memory. Followers that lag behind by less are served without
   * reading the disk. Default 16 MiB.
   */
  readonly cacheBytes?: number | undefined;
  /**
   * Takes a line for each event that an operator may want to read, in the thread that called `Supervisor.start`:
   * `error` when a peer is given up or hangs, `warn` when one died or failed at a snapshot, `info` for starts, stops and
   * leaders, `debug` for snapshots. Default: none, and nothing is printed.
   */
  readonly logger?: Logger | undefined;
}

/** {@link RestartOptions} with nothing left out. */
export interface RestartPolicy {
  readonly intensity: number;
  readonly periodMs: number;
  readonly backoffMs: readonly [number, number];
}

/** {@link SupervisorOptions} checked, with nothing left out; all but `logger` is data that can be sent to a thread. */
export interface ParsedOptions {
  readonly peers: readonly string[];
  /** Absolute; undefined for a temporary one. */
  readonly directory: string | undefined;
  readonly machine: MachineSpec;
  readonly durability: Durability;
  readonly heartbeatMs: number;
  readonly electionMs: readonly [number, number];
  readonly maxClockDrift: number;
  readonly restart: RestartPolicy | false;
  readonly seed: number;
  readonly maxCommandBytes: number;
  readonly maxPendingBytes: number;
  readonly snapshotEvery: number;
  readonly verify: Verify;
  readonly stuckMs: number;
  readonly trace: Trace;
  /** Absolute. */
  readonly record: string | undefined;
  readonly cacheBytes: number;
  readonly logger: Logger | undefined;
}

const QUOTING = { depth: 1, maxStringLength: 200, maxArrayLength: 10, breakLength: Number.POSITIVE_INFINITY };

/**
 * Checks the options and fills in what was left out.
 * @throws RaftError `ERR_INVALID_OPTION` that names the option, says what was expected and quotes what was given; for
 * a name that is not known, the nearest that is.
 */
export function parseOptions(options: unknown = {}): ParsedOptions {
  if (Array.isArray(options)) throw invalid("", "an object with options", options);
  const { success, output, issues } = v.safeParse(optionsSchema, options, { abortEarly: true });
  if (!success) throw describe(issues[0]);
  const { heartbeatMs, electionMs, maxCommandBytes, maxPendingBytes } = output;
  if (heartbeatMs * 2 > electionMs[0]) {
    throw invalid("heartbeatMs", `at most half of the shortest election timeout, ${electionMs[0]}`, heartbeatMs);
  }
  if (maxPendingBytes < maxCommandBytes) {
    throw invalid("maxPendingBytes", `at least maxCommandBytes, ${maxCommandBytes}`, maxPendingBytes);
  }
  return {
    ...output,
    directory: output.directory,
    record: output.record,
    logger: output.logger,
    machine: output.machine ?? { module: undefined, options: undefined },
  };
}

function describe(issue: v.BaseIssue<unknown>): RaftError {
  const path = (issue.path ?? []).map(({ key }) => key as string | number);
  const name = path.map((key, at) => (typeof key === "number" ? `[${key}]` : at === 0 ? key : `.${key}`)).join("");
  if (issue.type !== "strict_object") return invalid(name, issue.message, issue.input);
  const last = path.at(-1);
  if (issue.expected !== "never" || last === undefined) return invalid(name, issue.message, issue.input);
  const nearest = nearestOf(String(last), KNOWN_OPTIONS[path.slice(0, -1).join(".")] ?? []);
  const hint = nearest === undefined ? "" : `: did you mean ${nearest}?`;
  return new RaftError("ERR_INVALID_OPTION", `${name}: no such option${hint}`);
}

function invalid(name: string, expected: string, value: unknown): RaftError {
  const where = name === "" ? "options" : name;
  return new RaftError("ERR_INVALID_OPTION", `${where}: expected ${expected}, got ${inspect(value, QUOTING)}`);
}

/** The name that takes the fewest edits to get from `name`, if they are few. */
function nearestOf(name: string, known: readonly string[]): string | undefined {
  const distances = known.map((candidate) => ({
    candidate,
    distance: edits(name.toLowerCase(), candidate.toLowerCase()),
  }));
  const [nearest] = distances.sort((left, right) => left.distance - right.distance);
  return nearest !== undefined && nearest.distance <= Math.max(2, name.length / 3) ? nearest.candidate : undefined;
}

/** Levenshtein's distance, one row at a time. */
function edits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [at, char] of [...from].entries()) {
    const above = row;
    row = [at + 1];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (above[column - 1] ?? 0) + (char === to[column - 1] ? 0 : 1);
      row.push(Math.min(replaced, (above[column] ?? 0) + 1, (row[column - 1] ?? 0) + 1));
    }
  }
  return row.at(-1) ?? 0;
}
