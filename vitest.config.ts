import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/built/longest-first.ts";

/** What shows that threads start from the source, under vitest as under tsx. */
const FROM_SOURCE = ["test/actors/supervisor.test.ts"];

/** What starts threads and processes, by the folder that imports it, and what takes its place in tests. */
const REPLACED = [
  ["src/actors", "./thread.ts", "thread.ts"],
  ["src/storage", "./reading-program.ts", "reading-program.ts"],
  ["test/storage", "./fixtures/thread.ts", "storage-thread.ts"],
  ["test/soak/apps", "./program.ts", "app.ts"],
  ["test/soak", "./apps/program.ts", "app.ts"],
] as const;

const common = {
  // A process a file: if native code ever takes a process down, one file is lost and not the run.
  pool: "forks",
  // For who hangs. A shared machine may take five times as long today as it does tomorrow.
  testTimeout: 120_000,
  hookTimeout: 120_000,
  teardownTimeout: 10_000,
} as const;

export default defineConfig({
  test: {
    // Most of these tests wait, for elections and for threads to start: two files at once share two cores well.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      { test: { ...common, name: "source", include: FROM_SOURCE } },
      {
        // What starts from the source needs four times the CPU of what starts from what tsc makes of it; and tests start
        // some thousand threads, and some dozen processes.
        plugins: [
          {
            name: "built-threads",
            enforce: "pre",
            resolveId(specifier, importer) {
              const found = REPLACED.find(([folder, file]) => importer?.includes(`/${folder}/`) && specifier === file);
              return found && fileURLToPath(new URL(`test/built/${found[2]}`, import.meta.url));
            },
          },
        ],
        test: {
          ...common,
          name: "built",
          include: ["test/**/*.test.ts"],
          exclude: FROM_SOURCE,
          globalSetup: ["test/built/build.ts"],
        },
      },
    ],
  },
});
