import { decode } from "../../machine/codec.ts";
import { readSessionHeader, SESSION_HEADER_BYTES } from "../../machine/sessions.ts";
import { EntryKind, parseConfiguration, wholeOf } from "../../raft/entry.ts";
import type { EntryReport } from "../../storage/store-report.ts";

/** An entry of the log, to be shown. */
export interface Entry {
  readonly index: number;
  readonly term: number;
  /** When the leader appended it, in milliseconds of its wall clock. */
  readonly time: number;
  readonly kind: string;
  /** What it says, decoded; undefined for a no-op. */
  readonly command?: unknown;
  /** The client's session and the number in it, of a command in one. */
  readonly session?: { readonly id: number; readonly sequence: number };
  /** Why the command could not be decoded. */
  readonly undecodable?: string;
}

const KINDS = new Map<number, string>(Object.entries(EntryKind).map(([name, kind]) => [kind, name]));

/** Decodes an entry. What makes no sense is said instead. */
export function readEntry({ index, term, time, kind, data }: EntryReport): Entry {
  const entry = { index, term, time, kind: KINDS.get(kind) ?? `unknown (${kind})` };
  try {
    switch (kind) {
      case EntryKind.noop:
        return entry;
      case EntryKind.configuration:
        return { ...entry, command: parseConfiguration(data) };
      case EntryKind.sessionCommand: {
        const { session: id, sequence } = readSessionHeader(wholeOf(data));
        const command = data.subarray(SESSION_HEADER_BYTES);
        const session = { id: id === 0 ? index : id, sequence };
        return command.byteLength === 0 ? { ...entry, session } : { ...entry, session, command: decode(command) };
      }
      default:
        return { ...entry, command: decode(data) };
    }
  } catch (error) {
    return { ...entry, undecodable: error instanceof Error ? error.message : String(error) };
  }
}
