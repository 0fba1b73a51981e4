import { type ChildProcess, spawn } from "node:child_process";
import { performance } from "node:perf_hooks";
import type { History } from "../load.ts";
import { underLoad } from "./program.ts";
import type { AppOptions } from "./under-load.ts";

/** How an app ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** From when it said that it would, in ms. */
  readonly tookMs: number;
  readonly stderr: string;
}

/** A process of its own that runs `under-load.ts`. */
export interface App {
  readonly process: ChildProcess;
  /** Resolves when its first command is acknowledged. */
  readonly busy: Promise<void>;
  readonly exited: Promise<Exit>;
  /** What it has said of its commands. One that was under way when it died may be applied too. */
  histories(): History[];
}

/** How long an app may live, in all. */
const PATIENCE_MS = 60_000;

export function startApp(options: AppOptions): App {
  const child = spawn(process.execPath, [...underLoad(), JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const hung = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  const histories = new Map<string, History>();
  const historyOf = (key: string): History => {
    const history = histories.get(key) ?? { key, acknowledged: [], refused: [], unknown: [] };
    histories.set(key, history);
    return history;
  };
  let exitingAt = Number.NaN;
  let stderr = "";
  let isBusy = () => {};
  const busy = new Promise<void>((resolve) => {
    isBusy = resolve;
  });
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [what, key = "", number] = line.split(" ");
      if (what === "exiting") exitingAt = performance.now();
      else if (what === "a") {
        historyOf(key).acknowledged.push(Number(number));
        isBusy();
      } else if (what === "u") historyOf(key).unknown.push(Number(number));
    }
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  let exitedAt = Number.NaN;
  child.on("exit", () => {
    exitedAt = performance.now();
  });
  const exited = new Promise<Exit>((resolve) => {
    // Not "exit": its last words are still in the pipe then.
    child.on("close", (code, signal) => {
      clearTimeout(hung);
      resolve({ code, signal, tookMs: exitedAt - exitingAt, stderr });
    });
  });
  return {
    process: child,
    busy: Promise.race([
      busy,
      exited.then(({ stderr }) => Promise.reject(new Error(`the app ended early: ${stderr}`))),
    ]),
    exited,
    histories: () =>
      [...histories.values()].map((history) => {
        const last = Math.max(0, ...history.acknowledged, ...history.unknown);
        return { ...history, unknown: [...history.unknown, last + 1] };
      }),
  };
}
