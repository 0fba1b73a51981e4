import { isDeepStrictEqual } from "node:util";
import { type Append, commandOf, type History, keysOf, numbersIn } from "./history.ts";

/** An entry of a peer's log, as it is on disk. */
export interface LogEntry {
  readonly index: number;
  readonly term: number;
  readonly kind: number;
  /** Undefined for a no-op or a configuration. */
  readonly command: unknown;
}

/** A peer at the end. */
export interface FinalPeer {
  readonly id: string;
  readonly lastApplied: number;
  /** Of its whole state. */
  readonly digest: string;
}

/** All that the verdict rests on. */
export interface Evidence {
  readonly histories: readonly History[];
  /** The texts in the state, by key. */
  readonly values: ReadonlyMap<string, unknown>;
  readonly peers: readonly FinalPeer[];
  /** Of every peer; each is gone through once. */
  readonly logs: readonly { readonly id: string; readonly entries: Iterable<LogEntry> }[];
}

/** Holds the cluster to what it promised. @returns a sentence for each thing that is wrong; none, and all is well. */
export function judge({ histories, values, peers, logs }: Evidence): string[] {
  const [first, ...others] = logs;
  const reference = first === undefined ? [] : [...first.entries];
  return [
    ...differingPeers(peers),
    ...others.flatMap(({ id, entries }) => differingLog(first?.id ?? "", reference, id, entries)),
    ...histories.flatMap((history) => wrongInState(history, values)),
    ...wrongInLog(histories, reference),
  ];
}

/** State Machine Safety (Figure 3), by its outcome: all have applied as much, and it made the same of all. */
function differingPeers(peers: readonly FinalPeer[]): string[] {
  const [first, ...others] = peers;
  if (first === undefined) return ["there are no peers"];
  return others
    .filter(({ lastApplied, digest }) => lastApplied !== first.lastApplied || digest !== first.digest)
    .map(({ id, lastApplied, digest }) => {
      const one = `${first.id} has applied ${first.lastApplied} entries with the digest ${first.digest.slice(0, 12)}`;
      return `${one}, ${id} ${lastApplied} with ${digest.slice(0, 12)}`;
    });
}

/** Log Matching (Figure 3). The first difference says it all. */
function differingLog(
  firstId: string,
  reference: readonly LogEntry[],
  id: string,
  entries: Iterable<LogEntry>,
): string[] {
  let at = 0;
  for (const entry of entries) {
    if (!isDeepStrictEqual(entry, reference[at]))
      return [`the logs of ${firstId} and ${id} differ at index ${entry.index}`];
    at++;
  }
  if (at === reference.length) return [];
  return [`the log of ${firstId} has ${reference.length} entries, that of ${id} only ${at}`];
}

/**
 * Each acknowledged number is there once, no refused one, and an unknown one at most once. A command was begun when all
 * with lower numbers were settled, so no acknowledged number may stand behind a higher one.
 */
function wrongInState(history: History, values: ReadonlyMap<string, unknown>): string[] {
  const { client, attempts } = history;
  const seen = new Set<number>();
  const problems: string[] = [];
  for (const key of keysOf(history)) {
    const value = values.get(key) ?? "";
    let highest = -1;
    for (const number of numbersIn(String(value))) {
      const attempt = attempts[number];
      const name = `command ${number} of ${client}`;
      if (attempt === undefined || commandOf(client, number).key !== key) {
        problems.push(`${key} holds something that nobody wrote there`);
        continue;
      }
      if (attempt.outcome === "refused") problems.push(`${name} was refused, and is in the state`);
      if (seen.has(number)) problems.push(`${name} is in the state twice`);
      else if (attempt.outcome === "acked" && number < highest) {
        problems.push(`${name} is in the state behind command ${highest}, which was begun after it was acknowledged`);
      }
      seen.add(number);
      highest = Math.max(highest, number);
    }
  }
  attempts.forEach(({ outcome }, number) => {
    if (outcome === "acked" && !seen.has(number)) {
      problems.push(`command ${number} of ${client} was acknowledged, and is not in the state`);
    }
  });
  return problems;
}

/** Each acknowledged command stands where its acknowledgement said, and no command anywhere else too. */
function wrongInLog(histories: readonly History[], log: readonly LogEntry[]): string[] {
  const problems: string[] = [];
  const offset = log[0]?.index ?? 0;
  for (const { client, attempts } of histories) {
    attempts.forEach((attempt, number) => {
      if (attempt.outcome !== "acked") return;
      const entry = log[attempt.index - offset];
      if (entry?.term === attempt.term && isDeepStrictEqual(entry.command, commandOf(client, number))) return;
      const where = `index ${attempt.index} in term ${attempt.term}`;
      problems.push(
        `command ${number} of ${client} was acknowledged at ${where}, and something else is in the log there`,
      );
    });
  }
  const times = new Map<string, number>();
  const clients = new Set(histories.map(({ client }) => client));
  for (const { command } of log) {
    const append = command as Partial<Append> | undefined;
    // Other clients may have used the directory before.
    if (typeof append?.key !== "string" || !clients.has(append.key.slice(0, append.key.lastIndexOf("/")))) continue;
    const name = `${append.key} ${append.value}`;
    const count = (times.get(name) ?? 0) + 1;
    times.set(name, count);
    if (count === 2) problems.push(`the command that adds ${append.value}to ${append.key} is in the log twice`);
  }
  return problems;
}
