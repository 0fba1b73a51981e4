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

/** A peer's log. What a snapshot covers may be compacted away, at another place on each peer. */
export interface PeerLog {
  readonly id: string;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** From `firstIndex` to `lastIndex`; gone through once. */
  readonly entries: Iterable<LogEntry>;
}

/** All that the verdict rests on. */
export interface Evidence {
  readonly histories: readonly History[];
  /** The texts in the state, by key. */
  readonly values: ReadonlyMap<string, unknown>;
  readonly peers: readonly FinalPeer[];
  /** Of every peer. */
  readonly logs: readonly PeerLog[];
}

/**
 * Holds the cluster to what it promised. Commands that every peer has compacted away are judged by the state alone.
 * @returns a sentence for each thing that is wrong; none, and all is well.
 */
export function judge({ histories, values, peers, logs }: Evidence): string[] {
  const [longest, ...others] = logs.toSorted((one, other) => one.firstIndex - other.firstIndex);
  if (longest === undefined) return ["there are no peers"];
  const reference = { ...longest, entries: [...longest.entries] };
  return [
    ...differingPeers(peers),
    ...others.flatMap((log) => differingLog(reference, log)),
    ...histories.flatMap((history) => wrongInState(history, values)),
    ...wrongInLog(histories, reference),
  ];
}

/** The log that reaches back furthest. */
interface ReferenceLog extends PeerLog {
  readonly entries: readonly LogEntry[];
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

/** Log Matching (Figure 3), where both still have their logs. The first difference says it all. */
function differingLog(reference: ReferenceLog, { id, lastIndex, entries }: PeerLog): string[] {
  for (const entry of entries) {
    if (entry.index > reference.lastIndex) break;
    if (!isDeepStrictEqual(entry, reference.entries[entry.index - reference.firstIndex])) {
      return [`the logs of ${reference.id} and ${id} differ at index ${entry.index}`];
    }
  }
  if (lastIndex === reference.lastIndex) return [];
  return [`the log of ${reference.id} ends at index ${reference.lastIndex}, that of ${id} at ${lastIndex}`];
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
function wrongInLog(histories: readonly History[], { firstIndex, entries }: ReferenceLog): string[] {
  const problems: string[] = [];
  for (const { client, attempts } of histories) {
    attempts.forEach((attempt, number) => {
      if (attempt.outcome !== "acked" || attempt.index < firstIndex) return;
      const entry = entries[attempt.index - firstIndex];
      if (entry?.term === attempt.term && isDeepStrictEqual(entry.command, commandOf(client, number))) return;
      const where = `index ${attempt.index} in term ${attempt.term}`;
      problems.push(
        `command ${number} of ${client} was acknowledged at ${where}, and something else is in the log there`,
      );
    });
  }
  const times = new Map<string, number>();
  const clients = new Set(histories.map(({ client }) => client));
  for (const { command } of entries) {
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
