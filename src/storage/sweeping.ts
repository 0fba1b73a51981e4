import type { MachinePointer } from "./layout.ts";
import type { LogBounds } from "./log-records.ts";
import * as machine from "./machine-records.ts";
import type { NumberedTable, ReadableRecords, RecordWrite, Table } from "./records.ts";
import { endOf, type SnapshotBounds } from "./snapshot-records.ts";

/** What is in use of each table. */
export interface Bounds {
  readonly log: LogBounds;
  readonly snapshots: SnapshotBounds;
  readonly machine: MachinePointer | null;
}

/** The tables in which records are left over. */
export type SweptTable = Exclude<Table, "meta">;

/** How many records are removed at a time: quickly done, small ones of the log as chunks of some 100 KiB. */
const AT_A_TIME: Readonly<Record<SweptTable, number>> = { log: 128, terms: 128, snapshot: 16, machine: 128 };

/** Any table can have left-overs when a store is opened: what did not come to its end before. */
export const ALL_TABLES: ReadonlySet<SweptTable> = new Set(["log", "terms", "snapshot", "machine"] as const);

/** The tables in which a change from `before` to `after` leaves records over. */
export function leftOver(before: Bounds, after: Bounds): SweptTable[] {
  const tables: SweptTable[] = [];
  if (before.log.firstIndex !== after.log.firstIndex) tables.push("log", "terms");
  if (before.snapshots.stagedFrom !== after.snapshots.stagedFrom) tables.push("snapshot");
  if (before.machine?.side !== after.machine?.side) tables.push("machine");
  return tables;
}

/**
 * Removes some of what is left over, twice what `added` brings at least, so that it comes to an end.
 * @param tables in which something may be left over.
 * @param bounds before `added`, which may not have anything to do with the same records.
 */
export function planSweep(
  records: ReadableRecords,
  tables: ReadonlySet<SweptTable>,
  bounds: Bounds,
  added: readonly RecordWrite[] = [],
): { writes: RecordWrite[]; tables: Set<SweptTable> } {
  const writes: RecordWrite[] = [];
  const remaining = new Set<SweptTable>();
  for (const table of tables) {
    if (table === "machine") {
      const side = machine.otherSide(machine.sideOf(bounds.machine));
      const found = machine.planSweep(records, side, AT_A_TIME.machine + 1);
      if (found.length > AT_A_TIME.machine) remaining.add(table);
      writes.push(...found.slice(0, AT_A_TIME.machine));
      continue;
    }
    const growth = added.reduce((sum, write) => sum + (write.table === table && write.value !== undefined ? 1 : 0), 0);
    let room = Math.max(AT_A_TIME[table], 2 * growth);
    for (const [from, to] of unused(table, bounds)) {
      const keys = records.keysFrom(table, from, room + 1).filter((key) => key < to);
      if (keys.length > room) remaining.add(table);
      for (const key of keys.slice(0, room)) writes.push({ table, key, value: undefined });
      room -= Math.min(room, keys.length);
    }
  }
  return { writes, tables: remaining };
}

/** The keys that are not in use, as ranges without their ends. */
function unused(
  table: NumberedTable,
  { log, snapshots }: Pick<Bounds, "log" | "snapshots">,
): [from: number, to: number][] {
  if (table === "log") return [[0, log.firstIndex + log.shift]];
  if (table === "terms") return [[0, (log.terms[0]?.firstIndex ?? 0) + log.shift]];
  const { pointer, stagedFrom } = snapshots;
  return [
    [0, pointer?.firstKey ?? 0],
    [endOf(pointer), stagedFrom],
  ];
}
