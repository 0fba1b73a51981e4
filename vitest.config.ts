import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** What shows that threads start from the source, under vitest as under tsx. */
const FROM_SOURCE = ["test/actors/supervisor.test.ts"];

const common = {
  // A process a file: if native code ever takes a process down, one file is lost and not the run.
  pool: "forks",
  testTimeout: 30_000,
  hookTimeout: 30_000,
  teardownTimeout: 10_000,
} as const;

export default defineConfig({
  test: {
    // Most of these tests wait, for elections and for threads to start: three files at once share two cores well.
    maxWorkers: 3,
    projects: [
      { test: { ...common, name: "source", include: FROM_SOURCE } },
      {
        // A thread that starts from the source needs four times the CPU of one that starts from what tsc makes of it; and
        // tests start some thousand threads.
        plugins: [
          {
            name: "built-threads",
            enforce: "pre",
            resolveId(specifier, importer) {
              const place = { "./thread.ts": "actors", "./reading-program.ts": "storage" }[specifier];
              if (place === undefined || !importer?.includes(`/src/${place}/`)) return undefined;
              return fileURLToPath(new URL(`test/built/${specifier}`, import.meta.url));
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
