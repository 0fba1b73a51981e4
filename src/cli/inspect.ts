import { inspectStore } from "../storage/inspect-store.ts";
import { EMPTY_REPORT } from "../storage/store-report.ts";
import { type Entry, readEntry } from "./inspect/entries.ts";
import { type Inspected, inText, toJson } from "./inspect/report.ts";
import { type FoundStore, findStores, problemsOf } from "./inspect/stores.ts";
import { parseWithArguments, UsageError } from "./usage.ts";

const HELP = `flotilla inspect <directory>: what is in the stores of a cluster, and whether they are sound

The directory is that of a cluster, or of one peer's store. Nothing that is stored is changed. The cluster may be
running. Each store is read in a process of its own, so a broken one is reported and ends nothing.

Options:
  --entries <a..b>  also the entries of the log from index a to b; either may be left out
  --json            all of it as one JSON document; bytes as base64, bigints as strings
  --help            this text

Exit codes: 0 all stores are sound, 1 something is wrong with one, 2 wrong usage.
`;

/** The subcommand `inspect`. @returns the exit code. @throws UsageError */
export async function inspect(args: string[]): Promise<number> {
  const { values, positionals } = parseWithArguments(args, {
    entries: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [directory, ...others] = positionals;
  if (directory === undefined) throw new UsageError("inspect: a directory is missing");
  if (others.length > 0) throw new UsageError(`inspect: expected one directory, got also "${others.join('", "')}"`);
  const range = values.entries === undefined ? undefined : parseRange(values.entries);
  const found = findStores(directory);
  const stores: Inspected[] = [];
  for (const store of found.stores) stores.push(await look(store, range));
  const cluster = { directory: found.directory, cluster: found.cluster, problems: found.problems };
  process.stdout.write(values.json ? toJson(cluster, stores) : inText(cluster, stores));
  const isSound = found.problems.length === 0 && stores.every(({ report }) => report.problems.length === 0);
  return isSound ? 0 : 1;
}

async function look(store: FoundStore, range: readonly [number, number] | undefined): Promise<Inspected> {
  const { peer, path } = store;
  if (store.isUnborn)
    return { peer, path, report: { ...EMPTY_REPORT, remarks: ["it was never started"] }, entries: [] };
  const entries: Entry[] = [];
  const onEntries = (read: readonly Parameters<typeof readEntry>[0][]) => {
    for (const entry of read) entries.push(readEntry(entry));
  };
  try {
    const report = await inspectStore(path, { entries: range, onEntries });
    const problems = [...report.problems, ...problemsOf(store, report)];
    return { peer, path, report: { ...report, problems }, entries: range === undefined ? undefined : entries };
  } catch (error) {
    const problems = [error instanceof Error ? error.message : String(error)];
    return { peer, path, report: { ...EMPTY_REPORT, problems }, entries: undefined };
  }
}

function parseRange(text: string): readonly [number, number] {
  const [, from, to] = /^(\d*)\.\.(\d*)$/.exec(text) ?? [];
  const range = [Number(from || 1), to ? Number(to) : Number.MAX_SAFE_INTEGER] as const;
  if (from === undefined || range[0] > range[1] || !range.every(Number.isSafeInteger)) {
    throw new UsageError(`--entries: expected two indices such as 10..20, got "${text}"`);
  }
  return range;
}
