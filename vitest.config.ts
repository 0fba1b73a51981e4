import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // A process a file: if native code ever takes a process down, one file is lost and not the run.
    pool: "forks",
    // Most of these tests wait, for elections and for threads to start: two files at once share two cores well.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
  },
});
