import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Mutant } from "./mutants.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Makes a copy of the source with that bug in it. @throws Error when the source is not as the mutant says. */
export function plant({ name, file, edits }: Mutant, folder: string): void {
  mkdirSync(folder, { recursive: true });
  cpSync(join(ROOT, "src"), join(folder, "src"), { recursive: true });
  for (const each of ["package.json", "tsconfig.json"]) cpSync(join(ROOT, each), join(folder, each));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, file), mutated({ name, file, edits }));
}

/** The file with that bug in it. @throws Error when the source is not as the mutant says. */
export function mutated({ name, file, edits }: Mutant): string {
  let source = readFileSync(join(ROOT, file), "utf8");
  for (const [find, replace] of edits) {
    const count = source.split(find).length - 1;
    if (count !== 1)
      throw new Error(`"${name}": ${count} places in ${file} are like ${JSON.stringify(find)}, expected one`);
    source = source.replace(find, () => replace);
  }
  return source;
}
