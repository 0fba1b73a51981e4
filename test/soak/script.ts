import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type * as flotilla from "../../src/actors/supervisor.ts";

/** What a soak loop is told. */
export interface SoakOptions {
  /** How often it does what it does. */
  readonly times: number;
  /** Moments and victims are drawn from it. */
  readonly seed: number;
  /** Whether it runs the built package instead of the sources: its threads start much faster. */
  readonly dist: boolean;
}

/** What a loop has measured, by name. */
export type Figures = Readonly<Record<string, string | number>>;

/** The package as sources, or as it was built. */
export async function loadFlotilla(dist: boolean): Promise<typeof flotilla> {
  if (!dist) return import("../../src/actors/supervisor.ts");
  const module = "../../dist/actors/supervisor.js";
  return (await import(module)) as typeof flotilla;
}

/**
 * Runs `loop` if `meta` is of the file that was started, as the arguments `--times`, `--seed` and `--dist` say: prints
 * its figures, or why it failed, and then exits with 1.
 */
export async function runAsScript(
  meta: ImportMeta,
  times: number,
  loop: (options: SoakOptions) => Promise<Figures>,
): Promise<void> {
  const started = process.argv[1];
  if (started === undefined || realpathSync(started) !== fileURLToPath(meta.url)) return;
  const { values } = parseArgs({
    options: { times: { type: "string" }, seed: { type: "string" }, dist: { type: "boolean", default: false } },
  });
  const options = { times: Number(values.times ?? times), seed: Number(values.seed ?? 1), dist: values.dist };
  try {
    for (const [name, value] of Object.entries(await loop(options))) console.log(`${name.padEnd(44)} ${value}`);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}
