import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type * as flotilla from "../../src/actors/supervisor.ts";

/** What every soak loop is told. */
interface CommonOptions {
  /** Moments and victims are drawn from it. */
  readonly seed: number;
  /** Whether it runs the built package instead of the sources: its threads start much faster. */
  readonly dist: boolean;
}

/** What a soak loop is told. */
export interface SoakOptions extends CommonOptions {
  /** How often it does what it does. */
  readonly times: number;
}

/** What a soak that goes by the clock is told. */
export interface TimedSoakOptions extends CommonOptions {
  /** How long it goes on. */
  readonly minutes: number;
  /** The file that it writes what it saw to. */
  readonly out: string | undefined;
  /** With the key-value map whose entries are in the stores. */
  readonly durable: boolean;
}

/** What a loop has measured, by name. */
export type Figures = Readonly<Record<string, string | number>>;

/** The package as sources, or as it was built. */
export async function loadFlotilla(dist: boolean): Promise<typeof flotilla> {
  if (!dist) return import("../../src/actors/supervisor.ts");
  const module = "../../dist/actors/supervisor.js";
  return (await import(module)) as typeof flotilla;
}

const COMMON = { seed: { type: "string" }, dist: { type: "boolean", default: false } } as const;

/**
 * Runs `loop` if `meta` is of the file that was started, as the arguments `--times`, `--seed` and `--dist` say: prints
 * its figures, or why it failed, and then exits with 1.
 */
export async function runAsScript(
  meta: ImportMeta,
  times: number,
  loop: (options: SoakOptions) => Promise<Figures>,
): Promise<void> {
  if (!isStarted(meta)) return;
  const { values } = parseArgs({ options: { ...COMMON, times: { type: "string" } } });
  const options = { times: Number(values.times ?? times), seed: Number(values.seed ?? 1), dist: values.dist };
  await print(loop(options));
}

/** Like {@link runAsScript}, with `--minutes` and `--out` instead of `--times`. */
export async function runForMinutes(
  meta: ImportMeta,
  minutes: number,
  loop: (options: TimedSoakOptions) => Promise<Figures>,
): Promise<void> {
  if (!isStarted(meta)) return;
  const { values } = parseArgs({
    options: {
      ...COMMON,
      minutes: { type: "string" },
      out: { type: "string" },
      durable: { type: "boolean", default: false },
    },
  });
  const { seed = 1, dist, out, durable } = values;
  await print(loop({ minutes: Number(values.minutes ?? minutes), seed: Number(seed), dist, out, durable }));
}

function isStarted(meta: ImportMeta): boolean {
  const started = process.argv[1];
  return started !== undefined && realpathSync(started) === fileURLToPath(meta.url);
}

async function print(figures: Promise<Figures>): Promise<void> {
  try {
    for (const [name, value] of Object.entries(await figures)) console.log(`${name.padEnd(44)} ${value}`);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}
