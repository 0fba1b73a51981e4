import { eachEntry } from "./plain-log.ts";
import { demand } from "./rules.ts";
import type { Durable, Server } from "./server.ts";
import type { Save } from "./trace.ts";

/** A save is handed out: what of it can be judged before it is durable. */
export function beginSave(server: Server, save: Save): void {
  server.saving = save;
  for (const { number, data } of save.chunks) {
    if (number === 0) server.aside = [];
    demand(
      number === server.aside.length,
      "installSnapshot",
      () => `chunk ${number} is set aside behind ${server.aside.length} others`,
    );
    server.aside.push(data);
  }
  if (save.snapshot !== undefined) takeSnapshot(server, save);
  demand(
    save.resetTo === undefined || save.resetTo.index === save.snapshot?.index,
    "installSnapshot",
    () => `the log is to begin behind ${save.resetTo?.index}, with the snapshot of ${save.snapshot?.index} in force`,
  );
  const covered = (save.snapshot ?? server.durable.snapshot)?.index ?? 0;
  demand(
    save.compactTo === undefined || save.compactTo <= covered,
    "compaction",
    () => `entries up to ${save.compactTo} are discarded, and the snapshot covers ${covered}`,
  );
}

function takeSnapshot(server: Server, { snapshot }: Save): void {
  const { completed, aside } = server;
  const bytes = aside.reduce((sum, chunk) => sum + chunk.bytes, 0);
  demand(
    snapshot !== undefined && completed?.info.index === snapshot.index,
    "ownSnapshot",
    () => `the snapshot of ${snapshot?.index} is saved, and that of ${completed?.info.index} is complete`,
  );
  demand(
    aside.length === snapshot.chunks && bytes === snapshot.bytes,
    "installSnapshot",
    () =>
      `${snapshot.chunks} chunks of ${snapshot.bytes} bytes are in force, ${aside.length} of ${bytes} were set aside`,
  );
  aside.forEach(({ crc }, number) => {
    const received = completed.chunks?.get(number)?.crc ?? crc;
    demand(received === crc, "installSnapshot", () => `chunk ${number} is not the one that was received`);
  });
  server.aside = [];
  server.completed = undefined;
}

/** The save is durable: it must have been all that had changed. */
export function endSave(server: Server): void {
  const { saving, log, durable } = server;
  demand(saving !== undefined, "persistFirst", () => "a save is reported that was not handed out");
  const from = Math.min(server.dirtyFrom, saving.truncateFrom ?? Number.POSITIVE_INFINITY);
  write(durable, saving);
  demandSaved(server, from);
  demand(
    durable.log.lastIndex === log.lastIndex,
    "wholeSave",
    () => `the log on disk ends at ${durable.log.lastIndex}, and the log at ${log.lastIndex}`,
  );
  server.dirtyFrom = Number.POSITIVE_INFINITY;
  server.saving = undefined;
}

/** What is on disk is what is in memory. */
export function demandSaved({ durable, currentTerm, votedFor, log, dirtyFrom }: Server, from = dirtyFrom): void {
  demand(
    durable.currentTerm === currentTerm && durable.votedFor === votedFor,
    "wholeSave",
    () =>
      `term ${durable.currentTerm} with a vote for ${durable.votedFor ?? "nobody"} is on disk, and it is in term ` +
      `${currentTerm} with a vote for ${votedFor ?? "nobody"}`,
  );
  for (let index = Math.max(from, log.baseIndex + 1); index <= log.lastIndex; index++) {
    const entry = log.at(index);
    demand(
      entry !== undefined && durable.log.at(index) !== undefined && durable.log.has(index, entry),
      "wholeSave",
      () => `entry ${index} of term ${entry?.term} is not on disk`,
    );
  }
}

/** Does to what is on disk what a save says, in the order of its fields. */
export function write(durable: Durable, { hardState, snapshot, resetTo, truncateFrom, batches }: Save): void {
  Object.assign(durable, hardState);
  if (snapshot !== undefined) durable.snapshot = snapshot;
  const { log } = durable;
  if (resetTo !== undefined) log.resetTo(resetTo);
  if (truncateFrom !== undefined) log.truncateFrom(truncateFrom);
  eachEntry(batches, (index, entry) => {
    demand(index === log.lastIndex + 1, "wholeSave", () => `entry ${index} is written behind ${log.lastIndex}`);
    log.append(entry);
  });
}
