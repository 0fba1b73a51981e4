import { constants, existsSync } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import { noGate } from "./gate.ts";
import { journalFile } from "./journal-file.ts";
import { openJournaled } from "./journaled.ts";
import { type Meta, metaWrite } from "./layout.ts";
import { dataFile, prepareFolder, sync, syncFolders } from "./lmdb-file.ts";
import { valueFile, valueFilesIn } from "./value-files.ts";

/** Copies what a store that nobody has open consists of into a folder that is there. */
export async function copyFiles(from: string, to: string): Promise<void> {
  const files = [
    dataFile,
    journalFile,
    ...valueFilesIn(from).map((number) => (path: string) => valueFile(path, number)),
  ];
  for (const file of files) {
    if (existsSync(file(from))) await copyFile(file(from), file(to), constants.COPYFILE_FICLONE);
  }
}

/**
 * Makes the store of one peer from that of another: the same log and snapshot, but another's identity and promises.
 * On return it is on disk.
 * @param from the folder of a store that is sound and that nobody has open.
 * @param to the folder of the new one; it may not be there.
 */
export async function copyStore(
  from: string,
  to: string,
  { identity, hardState, incarnation }: Pick<Meta, "identity" | "hardState" | "incarnation">,
): Promise<void> {
  await mkdir(to);
  await copyFiles(from, to);
  prepareFolder(to);
  const records = await openJournaled({ path: to, durability: "disk", gate: noGate });
  try {
    records.commit([
      metaWrite("identity", identity),
      metaWrite("hardState", hardState),
      metaWrite("incarnation", incarnation),
    ]);
  } finally {
    await records.close();
  }
  for (const file of [dataFile(to), ...valueFilesIn(to).map((number) => valueFile(to, number))]) sync(file);
  syncFolders(to);
}
