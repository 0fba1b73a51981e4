import { readFileSync, statfsSync } from "node:fs";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import type { Machine } from "./document.ts";

/** Of Linux, those on which a file is in memory. */
const MEMORY_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x01021994, "tmpfs"],
  [0x858458f6, "ramfs"],
]);
const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  ...MEMORY_FILE_SYSTEMS,
  [0xef53, "ext4"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x794c7630, "overlay"],
  [0x2fc12fc1, "zfs"],
  [0xf2f52010, "f2fs"],
]);

/** Whether what is in a folder is on no disk. */
export function isInMemory(folder: string): boolean {
  return MEMORY_FILE_SYSTEMS.has(statfsSync(folder).type);
}

/** What this is measured on; `folder` is where the stores are. */
export function describeMachine(folder: string): Machine {
  const all = cpus();
  const kind = statfsSync(folder).type;
  const { version, dependencies = {} } = JSON.parse(
    readFileSync(new URL("../../../package.json", import.meta.url), "utf8"),
  );
  return {
    cpu: all[0]?.model.trim() ?? "unknown",
    cores: all.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    disk: FILE_SYSTEMS.get(kind) ?? `file system 0x${kind.toString(16)}`,
    load: loadavg()[0] ?? 0,
    versions: { flotilla: version, node: process.version, ...dependencies },
    flags: nodeFlags(process.execArgv, process.env["NODE_OPTIONS"]),
  };
}

/** Flags that say which modules Node loads first, each with the module behind it: how the source runs, and no tuning. */
const LOADING = new Set(["--import", "--require", "-r", "--loader", "--experimental-loader"]);

/** The flags that change how Node runs, such as `--v8-pool-size=2`: of its command line, and of its environment. */
export function nodeFlags(execArgv: readonly string[], nodeOptions = ""): readonly string[] {
  const all = [...execArgv, ...nodeOptions.split(/\s+/)];
  return all.filter((flag, at) => {
    const isModule = LOADING.has(all[at - 1] ?? "");
    return flag.startsWith("-") && !isModule && !LOADING.has(flag.split("=", 1)[0] ?? "");
  });
}

/** On one line. */
export function machineLine({ cores, cpu, memoryGib, system, disk, versions, flags, load }: Machine): string {
  const { node, flotilla, lmdb = "?" } = versions;
  const software = `Node ${[node, ...flags].join(" ")}, flotilla ${flotilla}, lmdb ${lmdb}`;
  return `${cores} × ${cpu}, ${memoryGib} GiB, ${disk}, ${system}, ${software}; load ${load.toFixed(1)} at the start`;
}
