import { createRequire } from "node:module";

/**
 * Loads the native library, which is to be done inside the gate. What its package has for `require` is one file, and not a dozen
 * modules: a thread takes 45 ms to load it instead of 75.
 */
export function loadLmdb(): typeof import("lmdb") {
  return createRequire(import.meta.url)("lmdb") as typeof import("lmdb");
}
