import { inspect as show } from "node:util";
import type { StoreReport } from "../../storage/store-report.ts";
import type { Entry } from "./entries.ts";
import type { FoundStores } from "./stores.ts";

/** A store that was looked at. */
export interface Inspected {
  readonly peer: string;
  readonly path: string;
  readonly report: StoreReport;
  /** Those that were asked for; undefined when none were. */
  readonly entries: readonly Entry[] | undefined;
}

type Cluster = Omit<FoundStores, "stores">;

/** All of it for a program, as the documentation of {@link StoreReport} says. */
export function toJson(cluster: Cluster, stores: readonly Inspected[]): string {
  const document = {
    ...cluster,
    stores: stores.map(({ peer, path, report, entries }) => ({
      peer,
      path,
      sound: report.problems.length === 0,
      ...report,
      ...(entries === undefined ? {} : { entries }),
    })),
  };
  return `${JSON.stringify(jsonable(document), undefined, 2)}\n`;
}

/** What commands can hold and JSON cannot is replaced: bytes by base64, bigints by their digits. */
function jsonable(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(jsonable);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, jsonable(inner)]));
}

/** All of it for a person. */
export function inText({ directory, cluster, problems }: Cluster, stores: readonly Inspected[]): string {
  const head = cluster === undefined ? [] : [`cluster ${cluster} in ${directory}`];
  const paragraphs = [[...head, ...problems.map((problem) => `BROKEN: ${problem}`)], ...stores.map(storeLines)];
  return paragraphs
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map((line) => `${line}\n`).join(""))
    .join("\n");
}

function storeLines({ peer, path, report, entries }: Inspected): string[] {
  const { problems, remarks } = report;
  const lines = [...fields(report), ...problems.map((problem) => ["problem", problem] as const)];
  for (const remark of remarks) lines.push(["remark", remark]);
  return [
    `${peer}: ${problems.length === 0 ? "sound" : "BROKEN"} (${path})`,
    ...lines.map(([name, value]) => `  ${name.padEnd(14)} ${value}`),
    ...(entries ?? []).map(entryLine),
  ];
}

function fields(report: StoreReport): (readonly [name: string, value: string])[] {
  const { identity, format, incarnation, hardState, configuration, log, snapshot, applied, records } = report;
  if (records.good + records.bad === 0) return [];
  const lines: (readonly [string, string])[] = [];
  const add = <Value>(name: string, value: Value | undefined, text: (value: Value) => string) =>
    lines.push([name, value === undefined ? "cannot be read" : text(value)]);
  add("store", identity, ({ store, peer }) => `${store} of ${peer}, format ${format ?? "?"}`);
  add("incarnation", incarnation, String);
  add("term", hardState, ({ currentTerm, votedFor }) => `${currentTerm}, voted for ${votedFor ?? "nobody"}`);
  add("configuration", configuration, ({ voters }) => voters.join(", "));
  add("log", log, ({ firstIndex, lastIndex, terms, batches, bytes }) => {
    const range = lastIndex < firstIndex ? `empty, behind entry ${lastIndex}` : `entries ${firstIndex}..${lastIndex}`;
    const runs = terms.map((run) => `${run.term} from ${run.firstIndex}`).join(", ");
    const size = bytes === undefined ? "" : `; ${bytes} bytes in ${batches} records`;
    return `${range}; terms ${runs || "?"}${size}`;
  });
  lines.push([
    "snapshot",
    snapshot === undefined
      ? "none"
      : `entries 1..${snapshot.index}, the last of term ${snapshot.term}; ` +
        `${snapshot.bytes} bytes in ${snapshot.chunks} chunks, of version ${snapshot.version}`,
  ]);
  if (applied !== undefined) {
    lines.push(["state", `of a durable machine, version ${applied.version}, behind entry ${applied.index}`]);
  }
  const unused = records.unused === 0 ? "" : `, ${records.unused} of them of records that wait to be removed`;
  lines.push(["checksums", `${records.good} good, ${records.bad} bad${unused}`]);
  return lines;
}

function entryLine({ index, term, time, kind, session, undecodable, ...entry }: Entry): string {
  const at = time === 0 ? "-".padEnd(24) : new Date(time).toISOString();
  const in_ = session === undefined ? "" : ` (session ${session.id}, ${session.sequence})`;
  const what = undecodable ?? ("command" in entry ? show(entry.command, SHOWING) : "");
  return `  ${String(index).padStart(8)}  term ${term}  ${at}  ${kind}${in_}  ${what}`.trimEnd();
}

const SHOWING = { depth: 4, breakLength: Number.POSITIVE_INFINITY, compact: true, maxStringLength: 200 };
