import { decode } from "../../machine/codec.ts";
import { EntryKind, parseConfiguration } from "../../raft/entry.ts";
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
const SESSION_BYTES = 16;

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
        const header = new DataView(data.buffer, data.byteOffset, data.byteLength);
        const session = { id: header.getFloat64(0, true), sequence: header.getFloat64(8, true) };
        return { ...entry, session, command: decode(data.subarray(SESSION_BYTES)) };
      }
      default:
        return { ...entry, command: decode(data) };
    }
  } catch (error) {
    return { ...entry, undecodable: error instanceof Error ? error.message : String(error) };
  }
}
