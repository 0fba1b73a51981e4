import type { SnapshotInfo } from "../raft/effects.ts";
import { type Batch, batchPosition, sliceBatch } from "../raft/entry.ts";
import { invariant } from "../raft/errors.ts";
import type { StoredLog } from "../raft/log.ts";
import { corrupt, sealBatch, unsealBatch } from "./codec.ts";
import { batchWrite, type LogPointer, metaWrite, termWrite } from "./layout.ts";
import type { ReadableRecords, RecordWrite } from "./records.ts";

/** The live log among the records: where it is, and what the next batch has to fit. */
export type LogBounds = Omit<StoredLog, "lastTime"> & Pick<LogPointer, "shift">;

/** In one place: bounds are made with every batch, and an engine is slow with copies of objects that it then adds to. */
function bounds(
  firstIndex: number,
  lastIndex: number,
  terms: LogBounds["terms"],
  firstPosition: number,
  endPosition: number,
  shift: number,
): LogBounds {
  return { firstIndex, lastIndex, terms, firstPosition, endPosition, shift };
}

/** The term of the entry at `index`, or of the one before the first; undefined where there is none. */
export function termAt({ firstIndex, lastIndex, terms }: LogBounds, index: number): number | undefined {
  if (index < firstIndex - 1 || index > lastIndex) return undefined;
  return terms.findLast((run) => run.firstIndex <= index)?.term;
}

/** For messages. */
export function describeLog({ firstIndex, lastIndex, terms }: LogBounds): string {
  return `a log of ${firstIndex}..${lastIndex} with the terms ${JSON.stringify(terms)}`;
}

/**
 * Whether no entry is missing between the snapshot and the log, and both tell the same term of the snapshot's last one.
 */
export function meets(log: LogBounds, snapshot: SnapshotInfo | undefined): boolean {
  if (snapshot === undefined) return log.firstIndex === 1 && log.lastIndex >= 1;
  return termAt(log, snapshot.index) === snapshot.term;
}

/** Consecutive batches from the one that holds entry `from` on, until they take `maxBytes` or the log ends. */
export function readBatches(records: ReadableRecords, log: LogBounds, from: number, maxBytes: number): Batch[] {
  const { firstIndex, lastIndex } = log;
  invariant(
    from >= firstIndex && from <= lastIndex,
    () => `cannot read ${from} of a log of ${firstIndex}..${lastIndex}`,
  );
  let batch = batchHolding(records, log, from);
  const batches = [batch];
  let bytes = batch.bytes.byteLength;
  while (batch.lastIndex < lastIndex && bytes < maxBytes) {
    batch = batchBehind(records, log, batch);
    batches.push(batch);
    bytes += batch.bytes.byteLength;
  }
  return batches;
}

/** §7: the whole log is let go; what comes next stands behind the entry of `snapshot`. */
export function planReset(writes: RecordWrite[], log: LogBounds, snapshot: SnapshotInfo): LogBounds {
  const { index, term, time } = snapshot;
  const base = { firstIndex: index, term };
  // The run's key, the first one in use, has to be greater than that of the last entry.
  const shift = log.shift + Math.max(0, log.lastIndex + 1 - index);
  const position = log.endPosition;
  writes.push(metaWrite("log", { firstIndex: index + 1, shift, position, time }), termWrite(base, shift));
  return bounds(index + 1, index, [base], position, position, shift);
}

/** Removes the entries from `from` on. @returns also what stays of the batch that was cut, or ends, there. */
export function planTruncation(
  records: ReadableRecords,
  writes: RecordWrite[],
  log: LogBounds,
  from: number,
): { log: LogBounds; kept: Batch | undefined } {
  const { firstIndex, shift } = log;
  invariant(
    from >= firstIndex && from > 1,
    () => `cannot drop the entries from ${from} on of a log that begins at ${firstIndex}`,
  );
  let kept: Batch | undefined;
  if (from > firstIndex) {
    const whole = batchHolding(records, log, from - 1);
    kept = sliceBatch(whole, whole.firstIndex, from - 1);
    if (kept !== whole) writes.push({ table: "log", key: kept.firstIndex + shift, value: sealBatch(kept) });
  }
  for (const table of ["log", "terms"] as const) {
    for (const key of records.keysFrom(table, from + shift)) writes.push({ table, key, value: undefined });
  }
  const endPosition = kept === undefined ? log.firstPosition : endOf(kept);
  const terms = log.terms.filter((run) => run.firstIndex < from);
  return { log: bounds(firstIndex, from - 1, terms, log.firstPosition, endPosition, shift), kept };
}

export function planAppend(writes: RecordWrite[], log: LogBounds, batch: Batch): LogBounds {
  const { lastIndex, endPosition, shift } = log;
  const isEmpty = lastIndex < log.firstIndex;
  const lastTerm = log.terms.at(-1)?.term ?? 0;
  const position = batchPosition(batch);
  invariant(
    batch.firstIndex === lastIndex + 1 && (isEmpty || position === endPosition) && batch.term >= lastTerm,
    () =>
      `a batch from ${batch.firstIndex} at ${position} in term ${batch.term} does not fit a log that ends ` +
      `with ${lastIndex} at ${endPosition} in term ${lastTerm}`,
  );
  writes.push(batchWrite(batch, shift));
  let { terms } = log;
  if (batch.term !== lastTerm) {
    const run = { firstIndex: batch.firstIndex, term: batch.term };
    writes.push(termWrite(run, shift));
    terms = [...terms, run];
  }
  const firstPosition = isEmpty ? position : log.firstPosition;
  return bounds(log.firstIndex, batch.lastIndex, terms, firstPosition, endOf(batch), shift);
}

/**
 * The entries up to `to` are let go.
 * @param planned batches of the same save, which the records do not have yet.
 */
export function planCompaction(
  records: ReadableRecords,
  writes: RecordWrite[],
  log: LogBounds,
  to: number,
  planned: readonly Batch[],
): LogBounds {
  invariant(to <= log.lastIndex, () => `cannot compact to ${to} a log that ends with ${log.lastIndex}`);
  const last =
    planned.find((batch) => batch.firstIndex <= to && batch.lastIndex >= to) ?? batchHolding(records, log, to);
  invariant(
    last.lastIndex === to,
    () => `cannot compact to ${to}, in the middle of a batch of ${last.firstIndex}..${last.lastIndex}`,
  );
  const position = endOf(last);
  writes.push(metaWrite("log", { firstIndex: to + 1, shift: log.shift, position, time: last.time }));
  const terms = log.terms.slice(log.terms.findLastIndex((run) => run.firstIndex <= to));
  return bounds(to + 1, log.lastIndex, terms, position, log.endPosition, log.shift);
}

function endOf(batch: Batch): number {
  return batchPosition(batch) + batch.bytes.byteLength;
}

/** The batch that holds entry `index`. */
function batchHolding(records: ReadableRecords, log: LogBounds, index: number): Batch {
  const key = records.floor("log", index + log.shift);
  const batch = key === undefined ? undefined : batchAt(records, log, key - log.shift);
  if (batch === undefined || batch.lastIndex < index) throw corrupt(`entry ${index} of the log is missing`);
  return batch;
}

function batchBehind(records: ReadableRecords, log: LogBounds, batch: Batch): Batch {
  const index = batch.lastIndex + 1;
  const next = batchAt(records, log, index);
  if (batchPosition(next) !== endOf(batch) || next.term < batch.term) {
    throw corrupt(`the log record of entry ${index} does not fit the one before it`);
  }
  return next;
}

/** The batch that begins with entry `index`. */
export function batchAt(records: ReadableRecords, { shift }: Pick<LogPointer, "shift">, index: number): Batch {
  const record = records.get("log", index + shift);
  if (record === undefined) throw corrupt(`entry ${index} of the log is missing`);
  return unsealBatch(index, record);
}
